"""Running a coroutine so that an interrupt of the run ends it, wherever it stands.

Dagster turns Ctrl-C into an exception of its own, raised in the main thread between any two instructions. Raised
inside a callback of an event loop it would be logged and lost; so the loop has a thread of its own, the main thread
only waits, and what interrupts the waiting cancels the coroutine. What it had begun to write is written to its end.

    report = run_interruptibly(run_candles(job, conn, effects))
"""

import asyncio
import contextvars
import threading
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_AGAIN_S = 1.0


def run_interruptibly(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of `coroutine`, run in a thread of its own with this thread's context variables.

    Raises:
        BaseException: What the coroutine raised, or what interrupted this thread meanwhile; then the coroutine was
            cancelled and has ended.
    """
    work = _Work(coroutine)
    try:
        work.thread.start()
        work.ended.wait()
    except BaseException:
        # Again each second until it has ended: one that meets the loop at an unlucky moment must not be the last.
        work.cancel()
        while not work.ended.wait(_AGAIN_S):
            work.cancel()
        raise
    return work.result()


class _Work(Generic[T]):
    """One coroutine and the thread of its event loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.ended = threading.Event()
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=context.run, args=[self._run], name="event-loop", daemon=True)
        self._coroutine = coroutine
        self._lock = threading.Lock()
        self._cancelled = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[T]] | None = None
        self._outcome: list[T] = []
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """End the coroutine wherever it stands, be it that its thread has hardly begun."""
        with self._lock:
            self._cancelled = True
            if self._running is not None:
                loop, task = self._running
                loop.call_soon_threadsafe(task.cancel)
        if self.thread.ident is None and not self.ended.wait(1.0):  # interrupted before there was a thread
            self._coroutine.close()
            self.ended.set()

    def result(self) -> T:
        """What the coroutine returned or raised."""
        if self._error is not None:
            raise self._error
        return self._outcome[0]

    def _run(self) -> None:
        try:
            self._outcome.append(asyncio.run(self._main()))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error
        finally:
            self.ended.set()

    async def _main(self) -> T:
        with self._lock:
            task = asyncio.ensure_future(self._coroutine)
            self._running = asyncio.get_running_loop(), task
            if self._cancelled:
                task.cancel()
        try:
            return await task
        finally:
            with self._lock:  # from here on the loop may be closed at any moment
                self._running = None

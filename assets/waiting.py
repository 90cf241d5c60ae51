"""Running a coroutine so that an interrupt of the run ends it, wherever it stands.

Dagster turns Ctrl-C into an exception of its own, raised in the main thread between any two instructions. Raised
inside a callback of an event loop it would be logged and lost; so the loop has a thread of its own, the main thread
only waits, and what interrupts the waiting cancels the coroutine. What it had begun to write is written to its end.

    report = run_interruptibly(run_candles(job, conn, effects))
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_interruptibly(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of `coroutine`, run in a thread of its own with this thread's context variables.

    Raises:
        BaseException: What the coroutine raised, or what interrupted this thread meanwhile; then the coroutine was
            cancelled and has ended.
    """
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def main() -> T:
        task = asyncio.ensure_future(coroutine)
        running.append((asyncio.get_running_loop(), task))
        return await task

    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-loop") as pool:
        future = pool.submit(context.run, asyncio.run, main())
        try:
            return future.result()
        except BaseException:
            for loop, task in running:
                if not future.done():
                    loop.call_soon_threadsafe(task.cancel)
            raise

import asyncio
import contextvars
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from assets.waiting import run_interruptibly

VARIABLE = contextvars.ContextVar("variable", default="nothing")


class Interrupted(BaseException):
    """Like Dagster's: no Exception, and none that an event loop knows."""


@pytest.fixture
def interrupts() -> Iterator[None]:
    def handler(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handler)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_the_result_and_the_context_of_the_caller_pass_through() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return VARIABLE.get()

    VARIABLE.set("something")
    assert run_interruptibly(work()) == "something"


def test_what_the_coroutine_raises_is_raised() -> None:
    async def work() -> None:
        msg = "no such luck"
        raise LookupError(msg)

    with pytest.raises(LookupError, match="no such luck"):
        run_interruptibly(work())


@pytest.mark.parametrize("busy", [True, False])
def test_an_interrupt_cancels_the_coroutine_in_a_callback_as_well_as_in_a_wait(
    interrupts: None,
    busy: bool,  # noqa: FBT001
) -> None:
    del interrupts
    main = threading.main_thread().ident
    assert main is not None
    ended: list[str] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        interrupt = signal.pthread_kill
        if busy:
            loop.call_soon(interrupt, main, signal.SIGUSR1)
        else:
            loop.call_later(0.01, interrupt, main, signal.SIGUSR1)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    with pytest.raises(Interrupted):
        run_interruptibly(work())
    assert ended == ["cancelled"]


def test_a_coroutine_that_shrugs_off_one_cancellation_is_cancelled_again(interrupts: None) -> None:
    del interrupts
    main = threading.main_thread().ident
    assert main is not None
    ended: list[str] = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(signal.pthread_kill, main, signal.SIGUSR1)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("shrugged")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    with pytest.raises(Interrupted):
        run_interruptibly(work())
    assert ended == ["shrugged", "cancelled"]

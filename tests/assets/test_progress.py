import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from assets import progress


def test_without_a_listener_nobody_minds() -> None:
    heard: list[tuple[str, int, int]] = []
    progress.report("early", done=1, total=2)
    with progress.listening(lambda *told: heard.append(told)):
        pass
    progress.report("late", done=1, total=2)
    assert heard == []


def test_a_listener_hears_what_is_reported_inside() -> None:
    heard: list[tuple[str, int, int]] = []
    with progress.listening(lambda *told: heard.append(told)):
        progress.report("months", done=0, total=2)
        progress.report("months", done=2, total=2)
    assert heard == [("months", 0, 2), ("months", 2, 2)]


def test_the_inner_listener_hears_alone_and_the_outer_one_again_afterwards() -> None:
    outer: list[str] = []
    inner: list[str] = []
    with progress.listening(lambda label, _done, _total: outer.append(label)):
        with progress.listening(lambda label, _done, _total: inner.append(label)):
            progress.report("a", done=0, total=1)
        progress.report("b", done=0, total=1)
    assert (outer, inner) == (["b"], ["a"])


def test_a_listener_is_gone_after_an_error() -> None:
    heard: list[str] = []

    def fails() -> None:
        with progress.listening(lambda label, _done, _total: heard.append(label)):
            int("x")

    with pytest.raises(ValueError, match="invalid literal"):
        fails()
    progress.report("after", done=0, total=1)
    assert heard == []


def test_a_task_and_a_thread_of_the_run_are_heard_too() -> None:
    heard: list[str] = []

    async def run() -> None:
        await asyncio.create_task(step())
        await asyncio.to_thread(progress.report, "thread", done=0, total=1)

    async def step() -> None:
        progress.report("task", done=0, total=1)

    with progress.listening(lambda label, _done, _total: heard.append(label)):
        asyncio.run(run())
    assert heard == ["task", "thread"]


def test_other_threads_report_through_a_counter() -> None:
    heard: list[tuple[str, int, int]] = []
    with progress.listening(lambda *told: heard.append(told)):
        count = progress.counter("nodes")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(count, 1, 2).result()
            pool.submit(progress.report, "unheard", done=1, total=2).result()
    assert heard == [("nodes", 1, 2)]

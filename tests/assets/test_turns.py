import random
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from assets.turns import Turns, TurnsClosed

STAGES = ("read", "write", "close")


@pytest.mark.parametrize("seed", range(3))
def test_every_stage_sees_the_works_in_their_order_and_one_at_a_time(seed: int) -> None:
    turns, seen, inside = Turns(*STAGES), defaultdict[str, list[int]](list), defaultdict[str, int](int)
    pauses = random.Random(seed)

    def work(number: int) -> None:
        for stage in STAGES:
            turns.take(stage, number)
            inside[stage] += 1
            assert inside[stage] == 1
            seen[stage].append(number)
            time.sleep(pauses.random() / 1000)
            inside[stage] -= 1
            turns.give(stage, number)

    with ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(work, number) for number in range(20)]:
            one.result(timeout=10)
    assert dict(seen) == {stage: list(range(20)) for stage in STAGES}


def test_a_work_may_be_stages_ahead_of_the_one_behind_it() -> None:
    turns = Turns(*STAGES)
    for stage in STAGES:
        turns.take(stage, 0)
        turns.give(stage, 0)
    turns.take("read", 1)


def test_who_waits_when_the_turns_are_closed_and_who_comes_later_are_refused() -> None:
    turns = Turns(*STAGES)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(turns.take, "read", 1)
        turns.close()
        with pytest.raises(TurnsClosed):
            waiting.result(timeout=10)
    with pytest.raises(TurnsClosed):
        turns.take("read", 0)

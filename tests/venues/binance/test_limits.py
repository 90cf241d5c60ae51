import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import Halt, Rejected, Retryable
from tests.venues.binance.fakes import NOW, Clock
from venues.binance.limits import RequestPool, WeightBudget


def budget_of(limit: int, clock: Clock, *, share: float = 0.8) -> WeightBudget:
    return WeightBudget("fapi.test", limit, share=share, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5)


def test_no_more_than_the_share_is_spent_in_a_minute_and_the_rest_waits_for_the_next() -> None:
    clock = Clock()
    budget = budget_of(100, clock)

    async def spend() -> None:
        for _ in range(9):
            await budget.spend(10)

    asyncio.run(spend())
    assert clock.slept == [50.5]  # ten seconds into the minute, and half a second of jitter
    assert budget.left == 70


def test_what_others_on_the_address_used_counts() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    ticket = asyncio.run(budget.spend(2))
    budget.settle(ticket, used=75)
    assert budget.left == 5
    asyncio.run(budget.spend(6))
    assert clock.slept == [50.5]


def test_a_header_below_our_own_count_does_not_give_weight_back() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    first, _second = asyncio.run(budget.spend(10)), asyncio.run(budget.spend(10))
    budget.settle(first, used=3)
    assert budget.left == 60


def test_requests_under_way_are_added_to_what_the_header_states() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    first, _second = asyncio.run(budget.spend(10)), asyncio.run(budget.spend(10))
    budget.settle(first, used=50)
    assert budget.left == 20


def test_an_answer_of_the_minute_before_says_nothing_about_this_one() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    ticket = asyncio.run(budget.spend(10))
    clock.now += 60
    budget.settle(ticket, used=90)
    assert budget.left == 80


def test_the_exchanges_own_limit_is_followed() -> None:
    budget = budget_of(100, Clock())
    budget.limit_is(6000)
    assert budget.left == 4800


def test_after_a_429_nothing_is_sent_before_the_time_it_named() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    budget.pause(7.0)
    budget.pause(3.0)
    asyncio.run(budget.spend(1))
    assert clock.now == NOW + 7.0


def test_after_a_429_without_a_time_the_next_minute_is_waited_for() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    budget.pause(None)
    asyncio.run(budget.spend(1))
    assert clock.now == NOW + 50.5


def test_a_pause_longer_than_two_minutes_is_the_callers_to_wait_for() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    budget.pause(600.0)
    with pytest.raises(Retryable) as caught:
        asyncio.run(budget.spend(1))
    assert caught.value.retry_after == 600.0
    assert clock.slept == []


def test_during_a_ban_every_call_is_refused_at_once_and_afterwards_none() -> None:
    clock = Clock()
    budget = budget_of(100, clock)
    budget.halt(300.0, why="HTTP 418")
    clock.now += 100
    with pytest.raises(Halt, match="HTTP 418") as caught:
        asyncio.run(budget.spend(1))
    assert caught.value.retry_after == 200.0
    clock.now += 200
    asyncio.run(budget.spend(1))
    assert clock.slept == []


def test_a_waiting_call_is_refused_when_a_ban_comes_meanwhile() -> None:
    clock = Clock()
    budget = budget_of(10, clock)

    async def scene() -> None:
        await budget.spend(8)
        waiting = asyncio.create_task(budget.spend(8))
        await asyncio.sleep(0)
        budget.halt(300.0, why="HTTP 418")
        await waiting

    with pytest.raises(Halt):
        asyncio.run(scene())


def test_a_request_heavier_than_the_whole_budget_is_refused_and_not_waited_for() -> None:
    with pytest.raises(Rejected, match="weight 81 exceeds the budget of 80"):
        asyncio.run(budget_of(100, Clock()).spend(81))


@given(weights=st.lists(st.integers(0, 40), max_size=60), gaps=st.lists(st.floats(0, 30), min_size=60, max_size=60))
def test_no_minute_ever_holds_more_than_the_share(weights: list[int], gaps: list[float]) -> None:
    clock = Clock()
    budget = budget_of(50, clock)
    spent: dict[int, int] = {}

    async def one(weight: int) -> None:
        ticket = await budget.spend(weight)
        minute = int(clock.now // 60)
        spent[minute] = spent.get(minute, 0) + weight
        budget.settle(ticket, used=None)

    async def scene() -> None:
        for weight, gap in zip(weights, gaps, strict=False):
            clock.now += gap
            await asyncio.gather(one(weight), one(weight // 2))

    asyncio.run(scene())
    assert all(used <= 40 for used in spent.values())
    assert sum(spent.values()) == sum(weight + weight // 2 for weight in weights)


def test_a_pool_lets_no_stretch_of_its_length_hold_more_than_the_share() -> None:
    clock = Clock()
    pool = RequestPool("funding", 5, window_s=100, share=0.8, clock=clock, sleep=clock.sleep)

    async def take(times: int) -> None:
        for _ in range(times):
            await pool.take()

    asyncio.run(take(2))
    clock.now += 60
    asyncio.run(take(3))  # the third waits for the first of the four to leave
    assert clock.slept == [40.0]
    asyncio.run(take(1))
    assert clock.slept == [40.0]


@settings(deadline=None)  # no test here depends on how fast the machine is
@given(pauses=st.lists(st.integers(0, 60), min_size=1, max_size=40))
def test_whenever_it_is_asked_any_window_holds_at_most_the_share(pauses: list[int]) -> None:
    clock = Clock()
    pool = RequestPool("funding", 10, window_s=100, share=0.5, clock=clock, sleep=clock.sleep)
    sent: list[float] = []

    async def ask() -> None:
        for pause in pauses:
            clock.now += pause
            await pool.take()
            sent.append(clock.now)

    asyncio.run(ask())
    assert all(sum(at - 100 < other <= at for other in sent) <= 5 for at in sent)


def test_a_pool_that_is_told_to_rest_rests_and_without_a_time_for_a_whole_window() -> None:
    clock = Clock()
    pool = RequestPool("funding", 500, window_s=300, share=0.8, clock=clock, sleep=clock.sleep)
    pool.pause(20)
    asyncio.run(pool.take())
    assert clock.slept == [20.0]
    pool.pause(None)
    with pytest.raises(Retryable, match="another 300 s") as caught:
        asyncio.run(pool.take())
    assert caught.value.retry_after == 300

"""Who may send when, by the exchange's windows and headers."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.binance.fakes import NOW, Clock
from venues.binance.budget import USDM_LIMITS, Limit, OverBudget, Priority, Ticket, TradingBudget

WEIGHT = "x-mbx-used-weight-1m"
TEN = "x-mbx-order-count-10s"
LIMITS = (Limit(WEIGHT, 60, 100), Limit(TEN, 10, 10, counts_orders=True))
ENTRY, EXIT, QUERY = Priority.ENTRY, Priority.EXIT, Priority.QUERY


def budget_of(clock: Clock, limits: tuple[Limit, ...] = LIMITS) -> TradingBudget:
    return TradingBudget(limits, clock=clock, ticks=clock, sleep=clock.sleep, jitter=lambda: 0.5)


def take(
    budget: TradingBudget,
    clock: Clock,
    *,
    weight: int = 0,
    orders: int = 0,
    priority: Priority = ENTRY,
    patience: float = 0.0,
) -> Ticket:
    return asyncio.run(
        budget.take(weight=weight, orders=orders, priority=priority, deadline=clock.now + patience),
    )


def test_entries_and_queries_stop_at_the_share_and_exits_at_the_limit() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.settle(take(budget, clock, weight=1), {WEIGHT: "80"})
    for priority in (ENTRY, QUERY):
        with pytest.raises(OverBudget) as held:
            take(budget, clock, weight=1, priority=priority)
        assert held.value.retry_after == 50.0  # NOW is ten seconds into a minute
    budget.settle(take(budget, clock, weight=20, priority=EXIT), {WEIGHT: "100"})
    with pytest.raises(OverBudget):
        take(budget, clock, weight=1, priority=EXIT)
    assert clock.slept == []


def test_order_counts_stop_orders_and_not_queries() -> None:
    clock = Clock()
    budget = budget_of(clock)
    for _ in range(8):
        budget.settle(take(budget, clock, weight=1, orders=1), None)
    with pytest.raises(OverBudget):
        take(budget, clock, weight=1, orders=1)
    take(budget, clock, weight=1, priority=QUERY)
    take(budget, clock, weight=1, orders=2, priority=EXIT)
    with pytest.raises(OverBudget):
        take(budget, clock, weight=1, orders=1, priority=EXIT)


def test_who_waits_goes_when_the_window_has_ended() -> None:
    clock = Clock(NOW + 4.5)
    budget = budget_of(clock)
    budget.settle(take(budget, clock, orders=8), None)
    take(budget, clock, orders=1, patience=10.0)
    assert clock.slept == [1.0, 1.0, 1.0, 1.0, 1.0, 0.5]


def test_who_waits_goes_earlier_when_an_answer_tells_that_less_was_used() -> None:
    clock = Clock()
    budget = budget_of(clock)
    ticket = take(budget, clock, orders=8)

    async def scene() -> None:
        waiting = asyncio.create_task(budget.take(weight=0, orders=1, priority=ENTRY, deadline=clock.now + 20))
        await asyncio.sleep(0)
        budget.settle(ticket, {TEN: "3"})  # five of them filled at once
        await waiting

    asyncio.run(scene())
    assert clock.slept == [1.0]


def test_requests_under_way_count_beside_what_a_header_tells() -> None:
    clock = Clock()
    budget = budget_of(clock)
    first = take(budget, clock, weight=30)
    take(budget, clock, weight=30)
    budget.settle(first, {WEIGHT: "40"})
    assert [spent.spent for spent in budget.uses()] == [70, 0]


def test_an_answer_that_was_overtaken_does_not_lower_the_count() -> None:
    clock = Clock()
    budget = budget_of(clock)
    first, second = take(budget, clock, weight=1), take(budget, clock, weight=1)
    budget.settle(second, {WEIGHT: "60"})
    budget.settle(first, {WEIGHT: "59"})
    assert budget.uses()[0].spent == 60


def test_a_request_without_an_answer_is_counted() -> None:
    clock = Clock()
    budget = budget_of(clock)
    budget.settle(take(budget, clock, weight=7, orders=1), None)
    budget.settle(take(budget, clock, weight=7, orders=1), {WEIGHT: "soon", TEN: "9" * 30})
    assert [spent.spent for spent in budget.uses()] == [14, 2]


def test_an_answer_of_a_window_that_is_over_says_nothing_of_the_next() -> None:
    clock = Clock()
    budget = budget_of(clock)
    ticket = take(budget, clock, weight=80)
    clock.now += 51
    budget.settle(ticket, {WEIGHT: "100"})
    assert budget.uses()[0].spent == 0


def test_during_a_pause_nothing_goes_and_after_it_all_do() -> None:
    clock = Clock()
    budget = budget_of(clock)
    assert budget.pause(30.0) == 30.0
    budget.pause(5.0)  # a shorter one does not end it
    with pytest.raises(OverBudget) as held:
        take(budget, clock, priority=EXIT)
    assert held.value.retry_after == 30.0
    take(budget, clock, priority=EXIT, patience=30.0)
    assert clock.now == NOW + 30.0
    assert budget.paused_s == 0.0


def test_a_pause_without_a_time_lasts_to_the_next_minute_and_an_absurd_one_as_long_as_the_longest_ban() -> None:
    assert budget_of(Clock()).pause(None) == 50.5
    assert budget_of(Clock()).pause(1e18) == 3 * 86_400.0


def test_a_pause_lasts_as_long_when_the_server_s_clock_is_measured_anew() -> None:
    server, steady = Clock(), Clock(0.0)
    budget = TradingBudget(LIMITS, clock=server, ticks=steady)
    budget.pause(30.0)
    server.now += 3600
    assert budget.paused_s == 30.0
    with pytest.raises(OverBudget):
        take(budget, server, weight=1, priority=EXIT)
    server.now -= 7200
    steady.now += 30
    take(budget, server, weight=1, priority=EXIT)


def test_held_orders_let_everything_else_go() -> None:
    clock = Clock(NOW + 4.0)
    budget = budget_of(clock)
    assert budget.hold_orders(None) == 6.0  # the end of the ten seconds
    with pytest.raises(OverBudget):
        take(budget, clock, orders=1, priority=EXIT, patience=5.9)
    take(budget, clock, weight=1, priority=EXIT)
    assert budget.hold_orders(20.0) == 20.0


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    clock = Clock()
    with pytest.raises(OverBudget, match="deadline has passed"):
        take(budget_of(clock), clock, weight=1, priority=EXIT, patience=-0.001)


def test_a_limit_of_exchange_info_replaces_the_documented_one() -> None:
    clock = Clock()
    budget = budget_of(clock, USDM_LIMITS)
    budget.limit_is(TEN, 5)
    take(budget, clock, orders=4)
    with pytest.raises(OverBudget):
        take(budget, clock, orders=1)
    with pytest.raises(ValueError, match="x-mbx-order-count-1m"):
        budget.limit_is("x-mbx-order-count-1d", 5)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_share_that_leaves_nothing_to_exits_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="leave something"):
        TradingBudget(LIMITS, clock=Clock(), share=share)


STEPS = st.lists(
    st.tuples(st.sampled_from(Priority), st.integers(0, 40), st.integers(0, 5), st.floats(0, 4), st.booleans()),
    max_size=60,
)


@given(STEPS)
def test_what_is_let_through_in_a_window_never_passes_the_limit_nor_by_entries_the_share(
    steps: list[tuple[Priority, int, int, float, bool]],
) -> None:
    clock = Clock()
    budget = budget_of(clock)
    weights: Counter[int] = Counter()
    orders_sent: Counter[int] = Counter()
    for priority, weight, orders, pause, answered in steps:
        clock.now += pause
        try:
            ticket = take(budget, clock, weight=weight, orders=orders, priority=priority)
        except OverBudget:
            continue
        minute, ten = int(clock.now // 60), int(clock.now // 10)
        weights[minute] += weight
        orders_sent[ten] += orders
        assert weights[minute] <= 100
        assert orders_sent[ten] <= 10
        if priority is not EXIT:
            assert weight == 0 or weights[minute] <= 80
            assert orders == 0 or orders_sent[ten] <= 8
        told = {WEIGHT: str(weights[minute]), TEN: str(orders_sent[ten])}
        budget.settle(ticket, told if answered else None)

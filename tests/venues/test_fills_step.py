"""The face of the fill model: which bars an order takes, whose rules, and its state as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.venues.fill_bars import RULES, SINCE, TERMS, TF, Market, entered
from venues.fills import Bar, BarRefused, BracketOrder, OrderRefused, step
from venues.fills.conversion import costs_of


def test_a_bar_is_taken_once() -> None:
    market = entered(1)
    with pytest.raises(BarRefused, match="knows all until 2024-03-04 09:15:00"):
        market.step(0, 100, 101, 90, 100)
    assert market.order.state == "OPEN"


def test_a_bar_from_before_the_order_is_refused() -> None:
    with pytest.raises(BarRefused, match="a bar of 2024-03-04T08:45:00"):
        Market(1).step(-1, 100, 101, 90, 100)


def test_a_bar_that_straddles_the_timeframe_is_refused() -> None:
    market = Market(1)
    with pytest.raises(BarRefused, match="lies in two 15m bars"):
        step(market.order, market.bar(0, (101, 101, 101, 101), minutes=10, after=10), (), RULES)


def test_finer_bars_may_be_walked_in_the_place_of_bars() -> None:
    market = Market(1, asked={"max_bars": 1})
    fills = []
    for number in range(2):
        for after in (0, 5, 10):
            bar = market.bar(number, (101, 101, 99 if after == 5 else 100, 101), minutes=5, after=after)
            fills += step(market.order, bar, (), RULES)
    # In by the second 5m bar; the time stop counts bars of 15m: out at the open of the next one.
    assert [(fill.role, fill.at - SINCE) for fill in fills] == [
        ("ENTRY", timedelta(minutes=10)),
        ("EXIT", timedelta(minutes=15)),
    ]


@pytest.mark.parametrize(
    ("afters", "minutes"), [((5, 0, 10), 5), ((0, 5, 15), 5), ((0, 5), 10), ((0, 0, 5), 5)], ids=str
)
def test_finer_bars_that_do_not_lie_in_the_bar_one_after_the_other_are_refused(
    afters: tuple[int, ...], minutes: int
) -> None:
    market = Market(1)
    finer = [market.bar(0, (101, 101, 101, 101), minutes=minutes, after=after) for after in afters]
    with pytest.raises(BarRefused, match="overlap, leave it, or differ in length"):
        step(market.order, market.bar(0, (101, 101, 101, 101)), finer, RULES)


def test_the_rules_of_another_instrument_are_refused() -> None:
    market = Market(1)
    other = RULES.model_copy(update={"symbol": "ETHUSDT"})
    with pytest.raises(OrderRefused, match="binance_usdm:BTCUSDT was handed the rules of binance_usdm:ETHUSDT"):
        step(market.order, market.bar(0, (101, 101, 101, 101)), (), other)


def test_prices_stay_counts_of_the_tick_they_were_placed_with() -> None:
    market = entered(1)
    coarser = RULES.model_copy(update={"tick_size": Decimal(5), "step_size": Decimal(1)})
    (fill,) = step(market.order, market.bar(1, (100, 100, 97, 100)), (), coarser)
    assert (fill.price, fill.quantity) == (Decimal(97), Decimal(1))


def test_prices_off_the_grid_are_no_better_than_those_on_it() -> None:
    # Rules of today, a tick of 1, and bars of a time with a finer one.
    market = Market(1)
    bar = replace(market.bar(0, (101, 101, 99, 100)), low=Decimal("99.4"))
    assert step(market.order, bar, (), RULES) == []
    (entry,) = step(market.order, market.bar(1, (101, 101, 99, 100)), (), RULES)
    assert entry.price == 100
    gap = Bar(SINCE + 2 * TF.duration, SINCE + 3 * TF.duration, *map(Decimal, ("97.9", "97.9", "97.9", "97.9")))
    (stop,) = step(market.order, gap, (), RULES)
    # 97.9 less half a percent is 97.41: 97.
    assert stop.price == 97


def test_decimal_prices_survive_a_tick_that_binary_cannot_say() -> None:
    rules = RULES.model_copy(
        update={"tick_size": Decimal("0.1"), "step_size": Decimal("0.001"), "min_qty": Decimal("0.001")}
    )
    terms = replace(TERMS, slippage=Decimal(0))
    ask = replace(
        Market(1).ask, entry=Decimal("100.1"), stop=Decimal("98.7"), ladder=((Decimal("100.3"), Decimal("0.007")),)
    )
    order = BracketOrder(ask, rules, terms)
    prices = [("100.2", "100.2", "100.0", "100.1"), ("100.1", "100.4", "100.1", "100.3")]
    fills = []
    for number, texts in enumerate(prices):
        opens = SINCE + number * TF.duration
        fills += step(order, Bar(opens, opens + TF.duration, *map(Decimal, texts)), (), rules)
    assert [fill.price for fill in fills] == [Decimal("100.1"), Decimal("100.3")]
    assert order.pnl == Decimal("0.0014")


def test_a_saved_order_of_another_bracket_is_refused() -> None:
    saved = Market(1).order.saved()
    other = Market(1, stop=97)
    with pytest.raises(OrderRefused, match="the saved state is of another bracket"):
        BracketOrder.restored(other.ask, RULES, TERMS, saved=saved)


def test_a_saved_order_of_another_layout_is_refused() -> None:
    market = Market(1)
    saved = market.order.saved().replace('"record": "', '"record": "00')
    with pytest.raises(OrderRefused, match="another layout"):
        BracketOrder.restored(market.ask, RULES, TERMS, saved=saved)


def test_a_naive_time_and_a_time_off_the_grid_are_refused() -> None:
    ask = Market(1).ask
    with pytest.raises(ValueError, match="UTC-aware"):
        BracketOrder(replace(ask, since=datetime(2024, 3, 4)), RULES, TERMS)  # noqa: DTZ001 - that is the test
    with pytest.raises(OrderRefused, match="a close of a 15m bar would do"):
        BracketOrder(replace(ask, since=datetime(2024, 3, 4, 9, 1, tzinfo=UTC)), RULES, TERMS)


@pytest.mark.parametrize(
    ("prices", "text"),
    [
        ((101, 100, 99, 100), "opens or closes outside its range"),
        ((100, 101, 99, 102), "opens or closes outside its range"),
        ((100, 101, 0, 100), "a price that is not positive"),
    ],
)
def test_a_bar_that_is_none_is_refused(prices: tuple[int, int, int, int], text: str) -> None:
    with pytest.raises(BarRefused, match=text):
        Market(1).bar(0, prices)


def test_a_bar_without_length_is_refused() -> None:
    with pytest.raises(BarRefused, match="not after its open"):
        Market(1).bar(0, (100, 100, 100, 100), minutes=0)


def test_both_filters_of_quantity_hold_for_a_bracket() -> None:
    rules = RULES.model_copy(
        update={
            "min_qty": Decimal("0.25"),
            "market_min_qty": Decimal("0.1"),
            "max_qty": Decimal(9),
            "market_max_qty": Decimal("2.55"),
        }
    )
    row = costs_of(rules, TERMS)[0]
    # Least 0.25 is 3 steps of 0.1 (2 are too few), most 2.55 is 25.
    assert (row["min_steps"], row["max_steps"], row["is_futures"]) == (3, 25, 1)


def test_a_bracket_is_counted_in_lots_that_a_market_order_may_close() -> None:
    rules = RULES.model_copy(update={"market_step_size": Decimal("0.2"), "max_qty": Decimal("2.5")})
    row = costs_of(rules, TERMS)[0]
    # The least is 0.1: one lot of 0.2. Twelve of these are 2.4.
    assert (row["step"], row["min_steps"], row["max_steps"]) == (0.2, 1, 12)
    market = Market(1, rules=rules, ladder=((102, "0.4"), (103, "0.6")))
    market.step(0, 99, 100, 99, 99)
    assert market.order.open_quantity == Decimal("1.0")
    with pytest.raises(OrderRefused, match=r"target 0 stopped of 0\.3 at 98: MARKET_LOT_SIZE: 0\.3 is no multiple"):
        Market(1, rules=rules, ladder=((102, "0.3"), (103, "0.7")))

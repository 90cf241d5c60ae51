"""Orders that stand alone. Worked for an order that buys; one that sells is its mirror (200 − p), slippage one tick."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.fill_bars import BOTH, RULES, SINCE, TERMS, TF, Market, Prices, terms
from venues.fills import OrderRefused, SingleOrder, step

Told = tuple[int, bool, int]


class Alone:
    """A single order in a market or its mirror.

    Args:
        side: +1 buys, −1 sells in the mirror.
        kind: Of the order.
        price: As of the side that buys.
        asked: Further arguments.
    """

    def __init__(self, side: int, kind: Any, price: int, **asked: Any) -> None:  # noqa: ANN401 - of SingleOrder
        self.market = Market(side)
        asked = {"rules": RULES, "terms": TERMS, "quantity": Decimal(1), **asked}
        asked |= {"price": self.market.price(price), "since": SINCE}
        self.order = SingleOrder(kind, "BUY" if side > 0 else "SELL", **asked)

    def step(self, number: int, *prices: int) -> list[Told]:
        """Price, whether as maker, and how many bars after it was placed."""
        bar = self.market.bar(number, self.four(prices))
        return [
            (int(self.market.price(fill.price)), fill.maker, (fill.at - SINCE) // TF.duration)
            for fill in step(self.order, bar, (), RULES)
        ]

    @staticmethod
    def four(prices: tuple[int, ...]) -> Prices:
        opened, high, low, closed = prices
        return opened, high, low, closed


@BOTH
def test_a_market_order_fills_at_the_next_open_and_slippage(side: int) -> None:
    order = Alone(side, "MARKET", 100)
    assert order.step(0, 100, 105, 95, 95) == [(101, False, 0)]
    assert order.order.state == "DONE"
    assert order.step(1, 100, 105, 95, 95) == []


@BOTH
def test_a_limit_order_is_marketable_at_the_first_open_or_has_to_be_traded_through(side: int) -> None:
    # 98 + 1
    assert Alone(side, "LIMIT", 100).step(0, 98, 101, 98, 101) == [(99, False, 0)]
    # 99 + 1, 100 at most
    assert Alone(side, "LIMIT", 100, terms=terms(slippage=Decimal("0.03"))).step(0, 99, 101, 99, 101) == [
        (100, False, 0)
    ]
    resting = Alone(side, "LIMIT", 100)
    assert resting.step(0, 101, 101, 100, 101) == []
    assert resting.step(1, 101, 101, 99, 101) == [(100, True, 2)]


@BOTH
def test_a_resting_limit_that_is_jumped_over_gets_its_own_price(side: int) -> None:
    resting = Alone(side, "LIMIT", 100)
    assert resting.step(0, 101, 101, 100, 101) == []
    assert resting.step(1, 95, 96, 95, 96) == [(100, True, 1)]


@BOTH
def test_a_stop_market_order_is_set_off_by_a_touch(side: int) -> None:
    order = Alone(side, "STOP_MARKET", 105)
    assert order.step(0, 100, 104, 99, 100) == []
    assert order.step(1, 100, 105, 99, 100) == [(106, False, 2)]


@BOTH
def test_a_stop_market_order_fills_at_the_open_after_a_gap(side: int) -> None:
    assert Alone(side, "STOP_MARKET", 105).step(0, 109, 110, 101, 102) == [(110, False, 0)]


@BOTH
def test_a_take_profit_market_order_is_set_off_by_a_touch_and_pays_slippage(side: int) -> None:
    order = Alone(side, "TAKE_PROFIT_MARKET", 95)
    assert order.step(0, 100, 104, 96, 100) == []
    assert order.step(1, 100, 104, 95, 100) == [(96, False, 2)]
    # Set off by the open, it trades there.
    assert Alone(side, "TAKE_PROFIT_MARKET", 95).step(0, 90, 104, 90, 100) == [(91, False, 0)]


@BOTH
def test_a_single_order_expires_by_the_clock(side: int) -> None:
    order = Alone(side, "LIMIT", 100, expires=SINCE + timedelta(minutes=15))
    assert order.step(0, 101, 101, 100, 101) == []
    assert order.step(1, 95, 95, 95, 95) == []
    assert (order.order.state, order.order.expired) == ("DONE", True)


def test_fees_are_those_of_the_rules_at_the_bar() -> None:
    rules = RULES.model_copy(update={"taker_fee": Decimal("0.0005")})
    market = Market(1)
    order = SingleOrder(
        "MARKET", "SELL", quantity=Decimal(2), price=Decimal(100), since=SINCE, rules=RULES, terms=TERMS
    )
    (fill,) = step(order, market.bar(0, (101, 101, 101, 101)), (), rules)
    # Sold 2 at 101 − 1: 200 · 0.0005
    assert (fill.side, fill.role, fill.rung) == ("SELL", "EXIT", None)
    assert (fill.price, fill.fee) == (Decimal(100), Decimal("0.1"))


def test_a_single_order_the_venue_would_not_take_is_refused() -> None:
    rules = RULES.model_copy(update={"min_notional": Decimal(50)})
    with pytest.raises(OrderRefused, match=r"LIMIT BUY 0\.4 BTCUSDT at 100: NOTIONAL: 40 is below the least of 50"):
        Alone(1, "LIMIT", 100, quantity=Decimal("0.4"), rules=rules)


@BOTH
def test_a_bracket_and_three_single_orders_fill_alike(side: int) -> None:
    bars = ((101, 102, 99, 100), (100, 102, 98, 99), (99, 104, 99, 104))
    market, entry = Market(side, stop=96), Alone(side, "LIMIT", 100)
    # What closes a long position sells: 97 and 104 are 103 and 96 in the mirror of who buys.
    target, stop = Alone(-side, "LIMIT", 97), Alone(-side, "STOP_MARKET", 104)
    for number, prices in enumerate(bars):
        told = market.step(number, *prices)
        bar = market.bar(number, prices)
        alone = step(entry.order, bar, (), RULES)
        if number > 0:
            alone += step(target.order, bar, (), RULES)
            assert step(stop.order, bar, (), RULES) == []
        assert [(int(market.price(fill.price)), fill.maker) for fill in alone] == [
            (p, maker) for _, p, _, maker in told
        ]
    assert market.order.exit_reason == "TARGET"

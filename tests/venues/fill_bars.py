"""Bars, brackets and terms for tests of the fill model, written for the long side and mirrored for the short one.

One tick is 1 and prices stay between 80 and 120, so that the slippage of half a percent, at least 0.4 and at most 0.6,
is always rounded to one tick against the order: a mirrored market then gives exactly mirrored fills. The mirror of a
price p is 200 − p. Fees are zero unless a test is about them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import pytest

from contracts import InstrumentRules, Timeframe
from venues.fills import Bar, Bracket, BracketOrder, Fill, FillTerms, step

TF = Timeframe("15m")
SINCE = datetime(2024, 3, 4, 9, tzinfo=UTC)

RULES = InstrumentRules(
    venue="binance_usdm",
    symbol="BTCUSDT",
    status="TRADING",
    contract_type="PERPETUAL",
    base="BTC",
    quote="USDT",
    tick_size=Decimal(1),
    min_price=None,
    max_price=None,
    step_size=Decimal("0.1"),
    min_qty=Decimal("0.1"),
    max_qty=None,
    market_step_size=None,
    market_min_qty=None,
    market_max_qty=None,
    min_notional=None,
    max_notional=None,
    order_types=("LIMIT", "MARKET"),
    filters=(),
    maker_fee=Decimal(0),
    taker_fee=Decimal(0),
    max_leverage=Decimal(20),
    fees_source="exchange",
)
SPOT = RULES.model_copy(update={"venue": "binance_spot", "max_leverage": Decimal(1)})

# Half a percent: one tick. No margin is kept, at leverage 1: nothing is liquidated.
TERMS = FillTerms(slippage=Decimal("0.005"), maintenance_margin=Decimal(0))

Prices: TypeAlias = tuple[int, int, int, int]
# Role, price of the long side, quantity, whether as maker.
Told: TypeAlias = tuple[str, int, str, bool]

BOTH = pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])


@dataclass
class Market:
    """A market, or its mirror, and one bracket in it.

    Args:
        side: +1 as written, −1 in the mirror.
        entry: As of the long side, like all that follows.
        stop: See `entry`.
        ladder: Price and quantity of each rung.
        terms: Of the book.
        rules: Of the instrument.
        asked: Further fields of the bracket.
    """

    side: int
    entry: int = 100
    stop: int = 98
    ladder: tuple[tuple[int, str], ...] = ((103, "1"),)
    terms: FillTerms = TERMS
    rules: InstrumentRules = RULES
    asked: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.order = BracketOrder(self.ask, self.rules, self.terms)

    @property
    def ask(self) -> Bracket:
        return Bracket(
            "BUY" if self.side > 0 else "SELL",
            self.price(self.entry),
            self.price(self.stop),
            tuple((self.price(price), Decimal(quantity)) for price, quantity in self.ladder),
            since=SINCE,
            tf=TF,
            **(self.asked or {}),
        )

    def price(self, price: int | Decimal) -> Decimal:
        return Decimal(price) if self.side > 0 else 200 - Decimal(price)

    def bar(self, number: int, prices: Prices, *, minutes: int = 15, after: int = 0) -> Bar:
        """The bar of that number since the bracket was placed; `after` minutes into it, `minutes` long."""
        opens = SINCE + number * TF.duration + timedelta(minutes=after)
        opened, high, low, closed = map(self.price, prices)
        high, low = (high, low) if self.side > 0 else (low, high)
        return Bar(opens, opens + timedelta(minutes=minutes), opened, high, low, closed)

    def step(self, number: int, *prices: int, finer: tuple[Prices, ...] = ()) -> list[Told]:
        """Let a bar (open, high, low, close) happen, with 5m bars inside it; what filled, as of the long side."""
        assert len(prices) == 4
        bars = [self.bar(number, each, minutes=5, after=5 * k) for k, each in enumerate(finer)]
        return [self.told(fill) for fill in step(self.order, self.bar(number, prices), bars, self.rules)]

    def told(self, fill: Fill) -> Told:
        opens = fill.role == "ENTRY"
        assert fill.side == ("BUY" if opens == (self.side > 0) else "SELL")
        return fill.role, int(self.price(fill.price)), f"{fill.quantity:f}".removesuffix(".0"), fill.maker

    def stop_now(self) -> int:
        return int(self.price(self.order.stop_price))


def long_and_mirrored(**fields: Any) -> tuple[Market, Market]:  # noqa: ANN401 - the fields of Market
    return Market(1, **fields), Market(-1, **fields)


def terms(**changes: Decimal | Literal["stop", "target"]) -> FillTerms:
    return replace(TERMS, **changes)  # type: ignore[arg-type] # the fields of FillTerms


def entered(side: int, *, at: int = 100, **fields: Any) -> Market:  # noqa: ANN401 - the fields of Market
    """A market whose bar 0 has opened at `at` − 1 and filled the entry there: `at` − 1 and one tick of slippage."""
    market = Market(side, **fields)
    assert market.step(0, at - 1, at, at - 1, at - 1)[0][:2] == ("ENTRY", at)
    return market

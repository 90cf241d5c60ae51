"""What the fill model is spoken to with outside compiled code: bars, terms, brackets, single orders, fills.

Invariant: money is Decimal and exact here. A price is a whole multiple of the tick and a quantity of the step, or the
order is refused; nothing is rounded on the way in.

    ask = Bracket("BUY", entry, stop, ((target, quantity),), since=ts, tf=Timeframe("15m"), ttl_bars=8)
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from contracts.errors import DataRejected, Rejected
from contracts.timeframe import to_us

if TYPE_CHECKING:
    from datetime import datetime

    from contracts.timeframe import Timeframe

Side: TypeAlias = Literal["BUY", "SELL"]
Role: TypeAlias = Literal["ENTRY", "STOP", "TAKE_PROFIT", "EXIT"]


class OrderRefused(Rejected):
    """An order the venue would not take, or that contradicts itself; the message names the filter or the field."""


class BarRefused(DataRejected):
    """A bar that is none, or that does not follow those an order has seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A closed bar: quote prices, and the half-open window [open_time, end) it tells of.

    Raises:
        BarRefused: A price is not positive and finite, open or close lie outside [low, high], or it ends before it
            opens.
    """

    open_time: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def __post_init__(self) -> None:
        prices = (self.open, self.high, self.low, self.close)
        if not all(price.is_finite() and price > 0 for price in prices):
            msg = f"the bar of {self.open_time.isoformat()} has a price that is not positive: {self._text()}"
            raise BarRefused(msg)
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            msg = f"the bar of {self.open_time.isoformat()} opens or closes outside its range: {self._text()}"
            raise BarRefused(msg)
        if to_us(self.open_time) >= to_us(self.end):
            msg = f"the bar of {self.open_time.isoformat()} ends at {self.end.isoformat()}, which is not after its open"
            raise BarRefused(msg)

    def _text(self) -> str:
        return f"open {self.open}, high {self.high}, low {self.low}, close {self.close}"


@dataclass(frozen=True, slots=True)
class FillTerms:
    """What a book assumes of its fills beside the rules of the venue.

    Attributes:
        slippage: Fraction of the price by which a taker fills worse than the bar's price; half the spread included.
        leverage: Of the isolated margin, on futures; 1 on spot.
        maintenance_margin: Fraction of the notional below which an isolated position is taken over. The default is
            above what large instruments have at small sizes, so that liquidation comes early rather than late.
        ambiguity: What is taken for true where even the finest bar cannot tell: `stop` is the worst, `target` the best.

    Raises:
        OrderRefused: A value is out of its range.
    """

    slippage: Decimal
    leverage: Decimal = Decimal(1)
    maintenance_margin: Decimal = Decimal("0.05")
    ambiguity: Literal["stop", "target"] = "stop"

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("slippage", self.slippage, Decimal(0), Decimal("0.5")),
            ("leverage", self.leverage, Decimal(1), Decimal(125)),
            ("maintenance_margin", self.maintenance_margin, Decimal(0), Decimal("0.5")),
        ):
            if not (value.is_finite() and least <= value <= most):
                msg = f"{name} is {value}: a number from {least} to {most} would do"
                raise OrderRefused(msg)
        if self.maintenance_margin * self.leverage >= 1:
            msg = f"a maintenance margin of {self.maintenance_margin} at leverage {self.leverage} liquidates at once"
            raise OrderRefused(msg)


@dataclass(frozen=True, slots=True)
class Bracket:
    """One entry, one stop and a ladder of targets, as they are asked for.

    Attributes:
        side: BUY = long.
        entry: Limit of the entry; of a market entry the price it was decided at, which R is reckoned from.
        stop: Price that closes what is open.
        ladder: Price and quantity of each target, nearest first; their quantities sum to the position.
        since: When it was placed, a close of its timeframe: no bar that opens earlier can fill it.
        tf: Timeframe of its bars.
        kind: How it enters.
        ttl_bars: How many bars the entry waits; None = until it is filled.
        max_bars: How many bars the position is held, that of the entry included; None = no time stop.
        after_first: What the stop does at the end of the bar that filled the first target.
        trail: Distance in quote units at which it follows the best price, with `after_first` = `trail`.
    """

    side: Side
    entry: Decimal
    stop: Decimal
    ladder: tuple[tuple[Decimal, Decimal], ...]
    since: datetime
    tf: Timeframe
    kind: Literal["LIMIT", "MARKET"] = "LIMIT"
    ttl_bars: int | None = None
    max_bars: int | None = None
    after_first: Literal["keep", "breakeven", "trail"] = "keep"
    trail: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """What filled.

    Attributes:
        role: What the order was for; of a single order EXIT.
        rung: Of a TAKE_PROFIT, from 0; else None.
        side: Whether it bought or sold.
        price: Quote units.
        quantity: Base units.
        fee: Quote units; of a liquidation what was left of the margin is in it.
        maker: Whether it rested in the book before.
        at: Its bar's open where it filled there, else its bar's end: when it was certain.
    """

    role: Role
    rung: int | None
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    maker: bool
    at: datetime

"""What an account holds, waits for and has done, in exact decimals.

A limit counts what its own profile holds; whose something is, is told by `profile`. What is filled is a position, what
may still be filled is the open part of a bracket: nothing is counted twice.

Invariant: what may be lost at a stop is never negative, and everything where there is no stop.

    position.loss_at_stop + bracket.loss_at_stop
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from contracts.events import Exact, Instant, Price, Real
from risk.signals import Side, Value


class Position(Value):
    """What is held.

    Attributes:
        venue: As `symbol`, of the instrument.
        profile: Who owns it; limits count their own, `symbol_free` everybody's.
        side: Which way.
        quantity: Base units.
        entry_price: Average, quote units.
        mark_price: What its notional is reckoned at now.
        stop: Price of its stop; None = it has none, and the whole notional counts as lost.
        costs: Fees and slippage still to be paid if the stop is hit, quote units.
    """

    venue: str
    symbol: str
    profile: str
    side: Side
    quantity: Price
    entry_price: Price
    mark_price: Price
    stop: Price | None
    costs: Exact = Decimal(0)

    @property
    def notional(self) -> Decimal:
        """At the mark price, quote units."""
        return self.quantity * self.mark_price

    @property
    def loss_at_stop(self) -> Decimal:
        """What it loses, from its entry, if its stop is hit; never negative."""
        if self.stop is None:
            return self.notional
        return _lost(self.side, self.quantity, entry=self.entry_price, stop=self.stop) + self.costs


class OpenBracket(Value):
    """A bracket whose orders are open, filled or not.

    Attributes:
        bracket_id: Its name.
        venue: As `symbol`, of the instrument.
        profile: Who owns it.
        side: Which way.
        unfilled: How much of its entry is not filled yet and may still be; what is filled is a position.
        entry: Price of the entry.
        stop: Price of the stop.
        costs: Fees and slippage of the unfilled part, in and out at the stop.
    """

    bracket_id: str = Field(min_length=1)
    venue: str
    symbol: str
    profile: str
    side: Side
    unfilled: Exact
    entry: Price
    stop: Price
    costs: Exact = Decimal(0)

    @property
    def notional(self) -> Decimal:
        """Of what may still be filled, quote units."""
        return self.unfilled * self.entry

    @property
    def loss_at_stop(self) -> Decimal:
        """What the unfilled part loses if it is filled and stopped; never negative."""
        return _lost(self.side, self.unfilled, entry=self.entry, stop=self.stop) + self.costs


class ClosedTrade(Value):
    """A trade of this profile that has ended.

    Attributes:
        venue: As `symbol`, of the instrument.
        exit_ts: When.
        r: Result in units of the risk taken, after all costs.
        stopped: Whether a stop ended it (the first one, moved to break-even, trailing, or a liquidation). Cooldown and
            stop-loss guard count it where `r` is below 0, and only there.
    """

    venue: str
    symbol: str
    exit_ts: Instant
    r: Real
    stopped: bool


def _lost(side: Side, quantity: Decimal, *, entry: Decimal, stop: Decimal) -> Decimal:
    return quantity * max(Decimal(0), entry - stop if side == "LONG" else stop - entry)

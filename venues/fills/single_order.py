"""An order that stands alone and holds its own running state; the prices are those of a bracket's orders.

Invariant: it sees each bar once, in the order of time, and fills whole or not at all.

    order = SingleOrder("LIMIT", "BUY", quantity=quantity, price=price, since=now, rules=rules, terms=terms)
    fills = step(order, bar, (), rules)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from contracts.timeframe import to_us
from venues.fills.conversion import costs_of, fill_of, prices_of, require_same, window_of
from venues.fills.records import FILL, FILLED, FOREVER, SINGLE, SINGLE_KINDS
from venues.fills.refusals import counted
from venues.fills.single import match
from venues.fills.values import Fill, OrderRefused, Side

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from contracts.instrument import InstrumentRules
    from venues.fills.values import Bar, FillTerms


class SingleOrder:
    """An order that stands alone.

    Args:
        kind: LIMIT, MARKET, STOP_MARKET or TAKE_PROFIT_MARKET.
        side: BUY or SELL.
        quantity: Base units.
        price: The limit, or the price that triggers; of a MARKET order the price its notional is taken at.
        since: When it was placed: no bar that opens earlier can fill it.
        rules: Of its instrument, as of the time it is placed.
        terms: Of the book.
        expires: From when on it is cancelled; None = it is good till then.

    Raises:
        OrderRefused: A price or quantity is off the grid, or a filter of the venue refuses it.
    """

    def __init__(
        self,
        kind: Literal["LIMIT", "MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET"],
        side: Side,
        *,
        quantity: Decimal,
        price: Decimal,
        since: datetime,
        rules: InstrumentRules,
        terms: FillTerms,
        expires: datetime | None = None,
    ) -> None:
        if text := rules.refusal(quantity, price, market=kind != "LIMIT"):
            msg = f"order {kind} {side} {quantity} {rules.symbol} at {price}: {text}"
            raise OrderRefused(msg)
        self.terms = terms
        self._symbol = (rules.venue, rules.symbol)
        self._tick, self._step = rules.tick_size, rules.step_size
        self._records = np.zeros(1, SINGLE)
        self._until = to_us(since)
        row = self._records[0]
        row["side"], row["kind"] = (1 if side == "BUY" else -1), SINGLE_KINDS.index(kind)
        row["price"] = 0 if kind == "MARKET" else counted(price, self._tick, "price")
        row["steps"] = counted(quantity, self._step, "quantity")
        row["since_us"], row["expires_us"] = self._until, FOREVER if expires is None else to_us(expires)

    def advance(self, bar: Bar, rules: InstrumentRules) -> list[Fill]:
        """See `venues.fills.step`."""
        require_same(self._symbol, rules)
        opens, ends = window_of(bar, self._until)
        costs, fills = costs_of(rules, self.terms)[0], np.zeros(1, FILL)
        costs["tick"], costs["step"] = float(self._tick), float(self._step)
        bar_open, high, low, _ = prices_of(bar)
        code = match(self._records[0], costs, bar_open, high, low, opens, ends, fills[0])
        self._until = ends
        return [fill_of(fills[0], self._tick, self._step, rules)] if code == FILLED else []

    @property
    def state(self) -> Literal["WAITING", "DONE"]:
        """Whether anything can happen to it."""
        return "DONE" if self._records["state"][0] else "WAITING"

    @property
    def expired(self) -> bool:
        """Whether it was done without a fill."""
        return bool(self._records["reason"][0])

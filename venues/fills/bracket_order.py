"""A bracket that holds its own running state, for one bar at a time: paper, simulator, and a reader's notebook.

It puts Decimals into the record that compiled code walks over and turns the answers back, so that paper and backtest
fill by the same lines.

Invariant: it sees each bar once, in the order of time, none that opened before it was placed; its prices are counts of
the tick it was placed with, also where the venue changes its tick later.

    order = BracketOrder(ask, rules, terms)
    fills = step(order, bar, sub_bars, rules)
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from contracts.timeframe import to_us
from venues.fills.account import arm, close_out, excursion, fund
from venues.fills.conversion import columns_of, costs_of, fill_of, prices_of, require_same, window_of
from venues.fills.drill import resolve
from venues.fills.records import (
    AFTER_FIRST,
    ASKED,
    BRACKET,
    BY_LIQUIDATION,
    ENTRY_KINDS,
    EXIT_REASONS,
    FILL,
    MAX_FILLS,
    STATES,
)
from venues.fills.refusals import counted, refusal_of
from venues.fills.values import BarRefused, Fill, OrderRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from contracts.instrument import InstrumentRules
    from venues.fills.values import Bar, Bracket, FillTerms


class BracketOrder:
    """A bracket and all that has happened to it.

    Args:
        ask: What is asked.
        rules: Of its instrument, as of the time it is placed.
        terms: Of the book.

    Raises:
        OrderRefused: It contradicts itself, a price or quantity is off the grid, or a filter of the venue refuses the
            entry, the stop or a rung.
    """

    def __init__(self, ask: Bracket, rules: InstrumentRules, terms: FillTerms) -> None:
        if text := refusal_of(ask, rules, terms):
            msg = f"bracket {ask.side} {rules.symbol} at {ask.entry}: {text}"
            raise OrderRefused(msg)
        self.ask, self.terms = ask, terms
        self._symbol = (rules.venue, rules.symbol)
        self._tick, self._step = rules.tick_size, rules.lot_size
        self._until = to_us(ask.since)
        self._funding = Decimal(0)
        self._records = np.zeros(1, BRACKET)
        self._fills = np.zeros(MAX_FILLS, FILL)
        self._fees: list[Decimal] = []
        row = self._records[0]
        row["side"] = 1 if ask.side == "BUY" else -1
        row["kind"], row["after_first"] = ENTRY_KINDS.index(ask.kind), AFTER_FIRST.index(ask.after_first)
        row["entry"], row["stop"] = counted(ask.entry, self._tick, "entry"), counted(ask.stop, self._tick, "stop")
        row["rungs"] = len(ask.ladder)
        for rung, (price, quantity) in enumerate(ask.ladder):
            row["targets"][rung] = counted(price, self._tick, f"target {rung}")
            row["shares"][rung] = counted(quantity, self._step, f"quantity {rung}")
        row["steps"] = row["shares"].sum()
        row["trail"] = counted(ask.trail, self._tick, "trail") if ask.trail is not None else 0
        row["since_us"], row["bar_us"] = self._until, ask.tf.us
        row["ttl_bars"], row["max_bars"] = ask.ttl_bars or 0, ask.max_bars or 0
        arm(row)

    def advance(self, bar: Bar, sub_bars: Sequence[Bar], rules: InstrumentRules) -> list[Fill]:
        """See `venues.fills.step`."""
        opens, ends = window_of(bar, self._until)
        phase = (opens - to_us(self.ask.since)) % self.ask.tf.us
        if phase + ends - opens > self.ask.tf.us:
            msg = f"the bar {bar.open_time.isoformat()} … {bar.end.isoformat()} lies in two {self.ask.tf} bars"
            raise BarRefused(msg)
        times, finer = columns_of(sub_bars, opens, ends)
        length = to_us(sub_bars[0].end) - times[0].item() if sub_bars else 0
        resolve(
            self._records[0],
            self._costs(rules),
            *prices_of(bar),
            opens,
            ends,
            times,
            finer[0],
            finer[1],
            finer[2],
            finer[3],
            0,
            len(sub_bars),
            length,
            self._fills,
        )
        self._until = ends
        return self._new(rules)

    def fund(self, rate: Decimal, mark: Decimal, rules: InstrumentRules) -> Decimal:
        """Settle funding, before the bar that opens at the settlement.

        Returns:
            What was paid, quote units; negative = received, 0 = no position is open.
        """
        if self.state != "OPEN":
            return Decimal(0)
        paid = (rate if self.ask.side == "BUY" else -rate) * mark * self.open_quantity
        fund(self._records[0], self._costs(rules), float(rate), float(mark))
        self._funding += paid
        return paid

    def close_out(self, price: Decimal, at: datetime, rules: InstrumentRules) -> list[Fill]:
        """Cancel the entry that waits, or sell what is open at market: the data end, or the book is flattened."""
        close_out(self._records[0], self._costs(rules), float(price), to_us(at), self._fills)
        return self._new(rules)

    @property
    def state(self) -> Literal["WAITING", "OPEN", "DONE"]:
        """Where it stands."""
        return STATES[self._records["state"][0]]  # type: ignore[return-value] # the tuple holds these

    @property
    def exit_reason(self) -> str | None:
        """One of `EXIT_REASONS`; None = it is not done."""
        return EXIT_REASONS[self._records["reason"][0]] or None

    @property
    def entry_price(self) -> Decimal | None:
        """At which it was entered; None = it was not."""
        return self._records["entered"][0].item() * self._tick or None

    @property
    def stop_price(self) -> Decimal:
        """Where the stop stands after the last bar."""
        return int(self._records["stop_now"][0]) * self._tick

    @property
    def open_quantity(self) -> Decimal:
        """Base units."""
        return int(self._records["open_steps"][0]) * self._step

    @property
    def fees(self) -> Decimal:
        """Paid, quote units."""
        return sum(self._fees, Decimal(0))

    @property
    def funding(self) -> Decimal:
        """Paid, quote units; negative = received."""
        return self._funding

    @property
    def pnl(self) -> Decimal:
        """Result of what was closed so far after fees and funding, quote units."""
        return int(self._records["gross"][0]) * self._tick * self._step - self.fees - self._funding

    @property
    def r(self) -> float:
        """`pnl` in units of what was put at risk as it was asked: entry to stop, all of the quantity, before costs."""
        quantity = sum((share for _, share in self.ask.ladder), Decimal(0))
        return float(self.pnl / (abs(self.ask.entry - self.ask.stop) * quantity))

    @property
    def mfe_r(self) -> float:
        """Best price that surely came while it was open, in R from the entry."""
        return self._excursion("best")

    @property
    def mae_r(self) -> float:
        """Worst price that may have come while it was open, in R from the entry; negative."""
        return self._excursion("worst")

    @property
    def guesses(self) -> int:
        """How many bars could not tell what came first, so that the policy of its terms decided."""
        return int(self._records["guesses"][0])

    def saved(self) -> str:
        """All of its state as JSON text, for `restored`."""
        return json.dumps(
            {
                "record": self._records.tobytes().hex(),
                "fills": self._fills.tobytes().hex(),
                "fees": [str(fee) for fee in self._fees],
                "funding": str(self._funding),
                "until": self._until,
            }
        )

    @classmethod
    def restored(cls, ask: Bracket, rules: InstrumentRules, terms: FillTerms, *, saved: str) -> Self:
        """The order that `saved` was taken from; the other arguments are those it was made with.

        Raises:
            OrderRefused: `saved` belongs to another bracket, or to another layout of the records.
        """
        order = cls(ask, rules, terms)
        state = json.loads(saved)
        record, fills = (bytes.fromhex(state[name]) for name in ("record", "fills"))
        if len(record) != BRACKET.itemsize or len(fills) != FILL.itemsize * MAX_FILLS:
            msg = f"bracket {ask.side} {rules.symbol} at {ask.entry}: the saved state has another layout"
            raise OrderRefused(msg)
        before, order._records = order._records, np.frombuffer(record, BRACKET).copy()
        if any((before[name] != order._records[name]).any() for name in ASKED):
            msg = f"bracket {ask.side} {rules.symbol} at {ask.entry}: the saved state is of another bracket"
            raise OrderRefused(msg)
        order._fills = np.frombuffer(fills, FILL).copy()
        order._fees, order._funding = [Decimal(fee) for fee in state["fees"]], Decimal(state["funding"])
        order._until = state["until"]
        return order

    def _excursion(self, name: str) -> float:
        return float(excursion(self._records[0], float(self._records[name][0])))

    def _costs(self, rules: InstrumentRules) -> np.void:
        require_same(self._symbol, rules)
        row: np.void = costs_of(rules, self.terms)[0]
        row["tick"], row["step"] = float(self._tick), float(self._step)
        return row

    def _new(self, rules: InstrumentRules) -> list[Fill]:
        """The fills that are not told yet."""
        made = []
        for row in self._fills[len(self._fees) : self._records["fills"][0]]:
            fill = fill_of(row, self._tick, self._step, rules)
            if fill.role == "EXIT" and self._records["reason"][0] == BY_LIQUIDATION:
                fill = replace(fill, fee=max(fill.fee, Decimal(repr(float(row["fee"])))))
            self._fees.append(fill.fee)
            made.append(fill)
        return made

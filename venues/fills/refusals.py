"""Why an order may not be placed, as a sentence: what contradicts itself, then the filters of the venue.

The numeric twin for compiled loops is `venues.fills.asked`; tests hold both to the same verdicts.

    text = refusal_of(ask, rules, terms)      # None = it may be placed
"""

from __future__ import annotations

from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING

from contracts.timeframe import to_us
from venues.fills.records import MAX_RUNGS
from venues.fills.values import OrderRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contracts.instrument import InstrumentRules
    from venues.fills.values import Bracket, FillTerms


def counted(value: Decimal, grid: Decimal, what: str) -> int:
    """How many ticks or steps a value has, exactly.

    Raises:
        OrderRefused: It is not on the grid, or not positive.
    """
    if not value.is_finite() or value <= 0 or value % grid:
        msg = f"{what} is {value}: a positive multiple of {grid} would do"
        raise OrderRefused(msg)
    return int(value / grid)


def refusal_of(ask: Bracket, rules: InstrumentRules, terms: FillTerms) -> str | None:
    """The first reason not to place a bracket; None = there is none.

    Args:
        ask: The bracket.
        rules: Of its instrument, as of the time it is placed.
        terms: Of the book.
    """
    return next(chain(_contradictions(ask, rules, terms), _misfits(ask), _filters(ask, rules)), None)


def _contradictions(ask: Bracket, rules: InstrumentRules, terms: FillTerms) -> Iterator[str]:
    if ask.side == "SELL" and not rules.is_futures:
        yield f"side is SELL: {rules.venue} cannot open a short position"
    most = rules.max_leverage if rules.is_futures else 1
    if terms.leverage > most:
        yield f"leverage is {terms.leverage}: at most {most} would do on {rules.venue} {rules.symbol}"
    long = ask.side == "BUY"
    if not (ask.stop < ask.entry if long else ask.stop > ask.entry):
        yield f"stop is {ask.stop} on the wrong side of the entry {ask.entry} of a {ask.side}"
    before = ask.entry
    for rung, (price, _) in enumerate(ask.ladder):
        if not (price > before if long else price < before):
            yield f"target {rung} is {price}, which is not beyond {before} for a {ask.side}"
        before = price


def _misfits(ask: Bracket) -> Iterator[str]:
    if to_us(ask.since) % ask.tf.us:
        yield f"since is {ask.since.isoformat()}: a close of a {ask.tf} bar would do"
    for name, bars in (("ttl_bars", ask.ttl_bars), ("max_bars", ask.max_bars)):
        if bars is not None and bars < 1:
            yield f"{name} is {bars}: 1 or more would do, or none at all"
    if (ask.after_first == "trail") != (ask.trail is not None):
        yield f"trail is {ask.trail} with after_first {ask.after_first}: a distance belongs to `trail`, and to it alone"
    if not 1 <= len(ask.ladder) <= MAX_RUNGS:
        yield f"the ladder has {len(ask.ladder)} rungs: 1 to {MAX_RUNGS} would do"


def _filters(ask: Bracket, rules: InstrumentRules) -> Iterator[str]:
    total = sum((quantity for _, quantity in ask.ladder), Decimal(0))
    # A position on futures is reduced, which the filter of notionals exempts; on spot an exit is an order like others.
    least = None if rules.is_futures else rules.min_notional
    exits = rules.model_copy(update={"min_notional": least, "max_notional": None})
    checks = [("entry", ask.entry, total, rules, ask.kind == "MARKET"), ("stop", ask.stop, total, exits, True)]
    for rung, (price, quantity) in enumerate(ask.ladder):
        checks.append((f"target {rung}", price, quantity, exits, False))
        checks.append((f"target {rung} stopped", ask.stop, quantity, exits, True))
    for name, price, quantity, limits, market in checks:
        if text := limits.refusal(quantity, price, market=market):
            yield f"{name} of {quantity} at {price}: {text}"

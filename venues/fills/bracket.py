"""One bar happens to one bracket: its entry, its stop, its targets, its time stop, its liquidation.

The rules in words are in `venues.fills`. A caller walks the bars of the bracket's timeframe; where `advance` answers
AMBIGUOUS it has changed nothing, and finer bars are walked in the place of that one (`venues.fills.drill` does both).
Expiry, time stop and moves of the stop are reckoned in bars of the bracket's own timeframe whichever bars are walked,
so that finer bars know more and never mean something else.

Invariant: no allocation, no Python object, nothing remembered outside the record. `advance` on a record that was
copied between two bars gives what it would have given on the original.

    arm(bracket)
    code = advance(bracket, costs, bar_open, high, low, close, open_us, close_us, 0, fills)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import types

from contracts import rounding
from contracts.kernel import Record, formula, kernel
from contracts.rounding import whole_below
from venues.fills import account, prices, records
from venues.fills.account import book, finish, forfeit, liquidated_at
from venues.fills.prices import bought, bought_within, falls_through, in_ticks, rises_through, sold, sold_within
from venues.fills.records import (
    AMBIGUOUS,
    BREAKEVEN,
    BY_BREAKEVEN,
    BY_EXPIRY,
    BY_LIQUIDATION,
    BY_TARGET,
    BY_TIME,
    BY_TRAIL,
    CLOSED,
    DONE,
    ENTRY,
    EXIT,
    FILLED,
    FOREVER,
    KEEP,
    MARKET,
    NOTHING,
    STOP,
    TAKE_PROFIT,
    TARGET_FIRST,
    WAITING,
    bracket_type,
    costs_type,
    fills_type,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_int = types.int64
_real = types.float64

# Where in a bar the position began to be exposed to it.
_AT_OPEN, _INSIDE = range(2)


@formula
def _end_of_bar(bracket: Record, open_us: int, bars: int) -> int:
    """When the bar of the bracket's timeframe ends that stands `bars` − 1 after the one `open_us` falls into."""
    end: int = bracket.since_us + ((open_us - bracket.since_us) // bracket.bar_us + bars) * bracket.bar_us
    return end


@formula
def _reached(bracket: Record, first: int, high: float) -> int:
    """The first rung from `first` on that a price of `high` does not trade through."""
    rung = first
    while rung < bracket.rungs and rises_through(bracket.side * bracket.targets[rung], high):
        rung += 1
    return rung


@formula
def _moved_stop(bracket: Record, open_us: int) -> float:
    """Where the stop stands in a bar: moved by bars of its own timeframe that were closed before it, if at all."""
    stop = float(bracket.side * bracket.stop_now)
    if open_us < bracket.moves_us:
        return stop
    if bracket.after_first == BREAKEVEN:
        return max(stop, float(bracket.side * bracket.entered))
    return max(stop, float(whole_below(bracket.best) - bracket.trail))


@formula
def _keep_stop(bracket: Record, stop: float, open_us: int) -> None:
    """Remember a stop that `_moved_stop` has moved, and when the next move is due."""
    if open_us >= bracket.moves_us:
        if stop > bracket.side * bracket.stop_now:
            bracket.stop_now = bracket.side * int(stop)
            bracket.stop_reason = BY_BREAKEVEN if bracket.after_first == BREAKEVEN else BY_TRAIL
        bracket.moves_us = FOREVER if bracket.after_first == BREAKEVEN else _end_of_bar(bracket, open_us, 1)


@kernel(
    _int(bracket_type, costs_type, _real, _real, _real, _real, _int, _int, _int, fills_type),
    also=(rounding, account, prices, records),
)
def advance(  # noqa: C901 - the rules of one bar in their order; to hand `fills` on costs atomic additions
    bracket: Record,
    costs: Record,
    bar_open: float,
    high: float,
    low: float,
    close: float,
    open_us: int,
    close_us: int,
    last_resort: int,
    fills: NDArray[Any],
) -> int:
    """Let a closed bar happen to a bracket.

    Args:
        bracket: `BRACKET` record, armed; written, unless the answer is AMBIGUOUS.
        costs: `COSTS` record as of the bar.
        bar_open: Quote units, as the other prices.
        high: See `bar_open`.
        low: See `bar_open`.
        close: See `bar_open`.
        open_us: When it opened, at `since_us` of the bracket or later.
        close_us: When it ended.
        last_resort: 0, or 1 where there is no finer bar to ask: then the policy of `costs` decides, and
            `guesses` counts it.
        fills: `FILL` records of this bracket, `MAX_FILLS` places; new ones are written behind those there are.

    Returns:
        NOTHING, FILLED, CLOSED (filled or expired, and done with) or AMBIGUOUS. A bracket that is done: NOTHING.
    """
    if bracket.state == DONE:
        return NOTHING
    side = bracket.side
    opened = side * in_ticks(bar_open, costs.tick)
    closed = side * in_ticks(close, costs.tick)
    top = side * in_ticks(high if side > 0 else low, costs.tick)
    bottom = side * in_ticks(low if side > 0 else high, costs.tick)

    # The entry: whether, where in the bar, at which price.
    waiting = bracket.state == WAITING
    where, entered, maker = _AT_OPEN, 0.0, 0
    if waiting:
        if open_us >= bracket.expires_us:
            finish(bracket, BY_EXPIRY, bracket.expires_us)
            return CLOSED
        limit = float(side * bracket.entry)
        if bracket.kind == MARKET:
            entered = bought(opened, costs.slippage)
        elif falls_through(limit, opened):
            # On the first bar it comes to such a market; later it was in the book before, and gets its own price.
            maker = 1 if open_us > bracket.since_us else 0
            entered = limit if maker else bought_within(limit, opened, costs.slippage)
        elif falls_through(limit, bottom):
            where, entered, maker = _INSIDE, limit, 1
        else:
            return NOTHING
        stop = float(side * bracket.stop)
        liquidation = liquidated_at(side, entered, 0.0, costs)
    else:
        stop = _moved_stop(bracket, open_us)
        liquidation = bracket.liquidation

    # What the bar did to the position, before anything is written: rungs filled at its open, rungs filled in it.
    guard = max(stop, liquidation)
    rung = bracket.next_rung
    whole = where == _AT_OPEN
    gapped = whole and opened <= guard
    at_open = _reached(bracket, rung, opened) if whole and not gapped else rung
    timed = not waiting and not gapped and open_us >= bracket.leaves_us
    inside, stopped, guessed = at_open, False, 0
    if not gapped and not timed and at_open < bracket.rungs:
        # Inside the bar of the entry only the close is known to have come after it, and the low, which made it.
        sure = _reached(bracket, at_open, top if whole else closed)
        may = _reached(bracket, sure, top)
        stopped = bottom <= guard
        inside = sure
        if may > sure or (stopped and may > at_open):
            if not last_resort:
                return AMBIGUOUS
            guessed = 1
            if costs.policy == TARGET_FIRST:
                inside = may
            elif stopped:
                inside = at_open

    # Nothing is in doubt: write it down, in the order of its happening.
    before = bracket.fills
    bracket.guesses += guessed
    if waiting:
        us = open_us if whole else close_us
        book(fills[bracket.fills], bracket, costs, (ENTRY, bracket.steps, maker), entered, us)
        bracket.liquidation = liquidation
        if bracket.max_bars > 0:
            bracket.leaves_us = _end_of_bar(bracket, open_us, bracket.max_bars)
    else:
        _keep_stop(bracket, stop, open_us)
    if whole:
        bracket.best = max(bracket.best, opened)
        bracket.worst = min(bracket.worst, opened)
    first = bracket.next_rung == 0
    while bracket.next_rung < inside:
        target = float(side * bracket.targets[bracket.next_rung])
        steps = bracket.shares[bracket.next_rung]
        if bracket.next_rung >= at_open:
            book(fills[bracket.fills], bracket, costs, (TAKE_PROFIT, steps, 1), target, close_us)
        elif waiting:  # it came to a market that was beyond it already
            price = sold_within(target, opened, costs.slippage)
            book(fills[bracket.fills], bracket, costs, (TAKE_PROFIT, steps, 0), price, open_us)
        else:
            book(fills[bracket.fills], bracket, costs, (TAKE_PROFIT, steps, 1), target, open_us)
        bracket.best = max(bracket.best, target)
    if first and inside > 0 and bracket.after_first != KEEP:
        bracket.moves_us = _end_of_bar(bracket, open_us, 1)

    if bracket.open_steps == 0:
        if inside > at_open:  # it was open for a part of the bar: the low may have been in that part
            bracket.worst = min(bracket.worst, bottom)
        finish(bracket, BY_TARGET, close_us if inside > at_open else open_us)
        return CLOSED
    if gapped or timed or stopped:
        us = close_us if stopped else open_us
        level = guard if stopped else opened
        row = fills[bracket.fills]
        if not timed and level <= liquidation:
            book(row, bracket, costs, (EXIT, bracket.open_steps, 0), float(whole_below(level)), us)
            forfeit(row, bracket, costs)
            finish(bracket, BY_LIQUIDATION, us)
        else:
            role = EXIT if timed else STOP
            book(row, bracket, costs, (role, bracket.open_steps, 0), sold(level, costs.slippage), us)
            finish(bracket, BY_TIME if timed else bracket.stop_reason, us)
        bracket.worst = min(bracket.worst, float(side * row.price))
        return CLOSED
    bracket.best = max(bracket.best, top if whole else closed)
    bracket.worst = min(bracket.worst, bottom)
    return FILLED if bracket.fills > before else NOTHING

"""The life of a bracket in the portfolio: it is placed as the verdict has it, waits for what happens next, is settled.

What happens next is the end of a bar of its series; with bars or without, its entry expires by the clock, and a symbol
that is not traded any more by its rules is left.

Invariant: what is placed is what was judged; a result is taken into the account and its protections once.

    place(bracket, signal, verdict, terms, costs, tf, ts)
    await_next(symbol, bracket, at, ends)
    settle(book, stops, losses, limits, symbol, bracket, costs, fills, trade, trade_fills, at)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.kernel import Record, formula
from contracts.rounding import whole_below
from risk.protections import add_exit
from venues.fills.account import excursion, net, risk
from venues.fills.records import (
    BY_BREAKEVEN,
    BY_LIQUIDATION,
    BY_STOP,
    BY_TRAIL,
    FOREVER,
    LIMIT,
    TRAIL,
    WAITING,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@formula
def place(bracket: Record, signal: Record, verdict: Record, terms: Record, costs: Record, tf: int, ts: int) -> None:
    """Write a bracket as the verdict has it; it may be filled from the next bar on, for as long as the signal lives."""
    bracket.side, bracket.kind = signal.side, LIMIT
    bracket.entry, bracket.stop, bracket.steps = verdict.entry, verdict.stop, verdict.steps
    bracket.rungs = verdict.targets
    for k in range(verdict.targets):
        bracket.targets[k], bracket.shares[k] = verdict.target[k], verdict.rung[k]
    bracket.after_first = terms.after_first
    bracket.trail = 0
    if terms.after_first == TRAIL:
        bracket.trail = max(1, whole_below(terms.trail_atr * signal.atr14 / costs.tick))
    bracket.since_us, bracket.bar_us = ts, tf
    bracket.ttl_bars = signal.ttl_bars - (ts - signal.ts) // tf
    bracket.max_bars = terms.max_bars


@formula
def halt_of(symbol: Record, rules: NDArray[Any], rules_from: NDArray[np.int64]) -> int:
    """When a version of a symbol's rules comes into force by which it is not traded; FOREVER = none does.

    What holds a bracket looks at it when that instant comes, not before.

    Args:
        symbol: SYMBOL record, whose rules are those of now.
        rules: RULES of all versions.
        rules_from: Since when each holds.
    """
    for k in range(symbol.rules + 1, symbol.rules_end):
        if rules[k].trading == 0:
            return int(rules_from[k])
    return FOREVER


@formula
def await_next(symbol: Record, bracket: Record, at: int, ends: int) -> None:
    """Note the next bar of a symbol that holds a bracket, and when something can happen to it at the earliest.

    Args:
        symbol: SYMBOL record, written.
        bracket: Its BRACKET.
        at: The bar, if it is known.
        ends: When that has ended; FOREVER = none is known.
    """
    symbol.at, symbol.ends = at, ends
    due = min(ends, symbol.halts)
    # Bars and expiry are on one grid: a bar that ends later opens too late to fill the entry.
    symbol.due = min(due, bracket.expires_us) if bracket.state == WAITING else due


@formula
def settle(
    book: Record,
    stops: Record,
    losses: Record,
    limits: Record,
    symbol: Record,
    bracket: Record,
    costs: Record,
    fills: NDArray[Any],
    trade: Record,
    trade_fills: NDArray[Any],
    at: int,
) -> None:
    """Write a bracket that has ended, and take its result into the account and its protections."""
    trade.signal, trade.symbol, trade.series, trade.costs = symbol.signal, at, symbol.series, symbol.costs
    trade.placed_us, trade.entered_us, trade.left_us = bracket.since_us, bracket.entered_us, bracket.left_us
    trade.side, trade.asked, trade.stop, trade.entered = bracket.side, bracket.entry, bracket.stop, bracket.entered
    trade.steps, trade.gross, trade.reason, trade.guesses = (
        bracket.steps,
        bracket.gross,
        bracket.reason,
        bracket.guesses,
    )
    trade.fees, trade.funding = bracket.fees, bracket.funding
    trade.pnl = net(bracket, costs)
    trade.r = trade.pnl / risk(bracket, costs)
    trade.mfe_r, trade.mae_r = excursion(bracket, bracket.best), excursion(bracket, bracket.worst)
    trade.fills = bracket.fills
    unit = costs.tick * costs.step
    for k in range(bracket.fills):
        row, fill = trade_fills[book.fills], fills[k]
        row.trade = book.trades
        row.us, row.role, row.rung, row.side = fill.us, fill.role, fill.rung, fill.side
        row.price, row.steps, row.maker, row.fee = fill.price, fill.steps, fill.maker, fill.fee
        book.turnover += fill.price * fill.steps * unit
        book.fills += 1
    book.trades += 1
    book.closed += trade.pnl
    if bracket.entered != 0:
        reason = bracket.reason
        stopped = reason in (BY_STOP, BY_BREAKEVEN, BY_TRAIL, BY_LIQUIDATION)
        # A longer bar tells late what happened at its open: exits are counted in the order in which they are told.
        us = max(bracket.left_us, book.last_exit)
        book.last_exit = us
        add_exit(losses, stops, limits, us, trade.r, stopped)

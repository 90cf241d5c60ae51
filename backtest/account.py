"""The account while it trades: what a bracket is worth, what it may lose, and what that makes of the whole.

A position is worth its open part at the last close of its series; a bracket that waits is worth nothing yet, but counts
with its full size and loss, for it may be filled at any moment.

Invariant: the account is summed anew from what is held after every change, never moved by differences: rounding does
not add up, and a restored book has the same equity to the last bit. Between the bars of two symbols of one instant the
sum mixes new marks with old ones; peak and drawdown are of instants, once all of their bars are known.

    revalue(symbol, bracket, costs, limits)
    recount(book, symbols, brackets, held)
    observe(book)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.kernel import Record, formula
from risk.sizing import slip
from venues.fills.account import net
from venues.fills.records import OPEN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@formula
def revalue(symbol: Record, bracket: Record, costs: Record, limits: Record) -> None:
    """Reckon a bracket at the symbol's mark: worth, notional, and loss from here to the stop with the costs of it.

    Args:
        symbol: SYMBOL record, written.
        bracket: Its BRACKET.
        costs: COSTS it was placed under.
        limits: Of the profile: its slippage.
    """
    unit = costs.tick * costs.step
    side = bracket.side
    stop = bracket.stop_now
    fee = max(costs.maker, costs.taker)
    leaving = slip(stop, limits.slippage_ppm) + fee * stop
    if bracket.state == OPEN:
        steps = bracket.open_steps
        symbol.worth = net(bracket, costs) + side * (symbol.mark / costs.tick - bracket.entered) * steps * unit
        symbol.notional = symbol.mark * steps * costs.step
        symbol.heat = (max(0, side * (bracket.entered - stop)) + leaving) * steps * unit
    else:
        entry = bracket.entry
        entering = slip(entry, limits.slippage_ppm) + fee * entry
        symbol.worth = 0.0
        symbol.notional = entry * bracket.steps * unit
        symbol.heat = (side * (entry - stop) + entering + leaving) * bracket.steps * unit


@formula
def recount(book: Record, symbols: NDArray[Any], brackets: NDArray[Any], held: NDArray[np.int64]) -> None:
    """Sum the account over what it holds.

    Args:
        book: BOOK record, written.
        symbols: SYMBOL records.
        brackets: BRACKET of each symbol.
        held: Which of them are held: the first `book.held`.
    """
    equity, long, short, heat = book.closed, 0.0, 0.0, 0.0
    for k in range(book.held):
        at = held[k]
        equity += symbols[at].worth
        heat += symbols[at].heat
        if brackets[at].side > 0:
            long += symbols[at].notional
        else:
            short += symbols[at].notional
    book.equity, book.long_notional, book.short_notional, book.heat = equity, long, short, heat


@formula
def observe(book: Record) -> None:
    """Remember peak and deepest drawdown of an instant whose bars have all happened; to do it twice changes nothing."""
    book.peak = max(book.peak, book.equity)
    book.drawdown = max(book.drawdown, (book.peak - book.equity) / book.peak)


@formula
def free(book: Record, symbols: NDArray[Any], held: NDArray[np.int64], at: int) -> None:
    """Take a symbol whose bracket has ended off what is held; the others stay in their order."""
    kept = 0
    for k in range(book.held):
        if held[k] != at:
            held[kept] = held[k]
            kept += 1
    book.held = kept
    symbols[at].holding = 0
    symbols[at].worth = symbols[at].notional = symbols[at].heat = 0.0

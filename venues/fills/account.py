"""What a fill, a settlement of funding and the end of the data do to a bracket's account, and what it came to.

Invariant: quantity bought = quantity sold + quantity open, and the result is Σ signed fills − fees − funding: `gross`
is kept in whole ticks × steps and is exact; fees and funding are float64, and the Decimal face computes fees anew.

Prices handed from formula to formula are ticks times side, as in `venues.fills.prices`.

    paid = fund(bracket, costs, rate, mark)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numba import types

from contracts import rounding
from contracts.kernel import Record, formula, kernel
from contracts.rounding import whole_above
from venues.fills import prices, records
from venues.fills.prices import in_ticks, sold
from venues.fills.records import (
    BY_END,
    BY_STOP,
    DONE,
    ENTRY,
    EXIT,
    FOREVER,
    NO_EXIT,
    OPEN,
    TAKE_PROFIT,
    WAITING,
    bracket_type,
    costs_type,
    fills_type,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_int = types.int64
_real = types.float64


@kernel(types.void(bracket_type), also=(records,))
def arm(bracket: Record) -> None:
    """Put a bracket of which all that is asked is written at its start: its entry waits."""
    bracket.state = WAITING
    bracket.reason = NO_EXIT
    bracket.expires_us = bracket.since_us + bracket.ttl_bars * bracket.bar_us if bracket.ttl_bars > 0 else FOREVER
    bracket.stop_now = bracket.stop
    bracket.stop_reason = BY_STOP
    bracket.moves_us = bracket.leaves_us = FOREVER
    bracket.liquidation = -math.inf
    bracket.entered = bracket.entered_us = bracket.open_steps = bracket.next_rung = 0
    bracket.gross = bracket.left_us = bracket.guesses = bracket.fills = 0
    bracket.best = bracket.worst = bracket.fees = bracket.funding = bracket.burden = 0.0


@formula
def liquidated_at(side: int, entered: float, burden: float, costs: Record) -> float:
    """The price at which an isolated position is taken over, rounded to where that comes earlier; −inf = none.

    There, margin and result together are the maintenance margin. Per unit, for a long one: e/L − b + (p − e) = m·p.

    Args:
        side: +1 long, −1 short.
        entered: Ticks times side, e.
        burden: Ticks of margin that funding has used up, b.
        costs: `COSTS` record: leverage L, maintenance margin m.
    """
    if not costs.is_futures:
        return -math.inf
    margin = abs(entered) / costs.leverage - burden
    return float(whole_above((entered - margin) / (1.0 - side * costs.maintenance)))


@formula
def book(fill: Record, bracket: Record, costs: Record, what: tuple[int, int, int], price: float, us: int) -> None:
    """Write a fill and what it does to the account; `what` = role, quantity in steps, whether as maker."""
    role, steps, maker = what
    fill.us, fill.role, fill.steps, fill.maker = us, role, steps, maker
    fill.price = bracket.side * int(price)
    fill.rung = bracket.next_rung if role == TAKE_PROFIT else -1
    fill.side = bracket.side if role == ENTRY else -bracket.side
    fill.fee = (costs.maker if maker else costs.taker) * (fill.price * costs.tick) * (steps * costs.step)
    if role == ENTRY:
        bracket.state = OPEN
        bracket.entered, bracket.entered_us, bracket.open_steps = fill.price, us, steps
        bracket.best = bracket.worst = price
    else:
        bracket.gross += (int(price) - bracket.side * bracket.entered) * steps
        bracket.open_steps -= steps
        if role == TAKE_PROFIT:
            bracket.next_rung += 1
    bracket.fees += fill.fee
    bracket.fills += 1


@formula
def forfeit(fill: Record, bracket: Record, costs: Record) -> None:
    """A liquidated position gets nothing back: what is left of its margin goes with the fee."""
    left = abs(bracket.entered) / costs.leverage - bracket.burden + bracket.side * (fill.price - bracket.entered)
    fee = left * costs.tick * (fill.steps * costs.step)
    if fee > fill.fee:
        bracket.fees += fee - fill.fee
        fill.fee = fee


@formula
def finish(bracket: Record, reason: int, us: int) -> None:
    """Nothing can happen to the bracket any more."""
    bracket.state, bracket.reason, bracket.left_us = DONE, reason, us


@kernel(_real(bracket_type, costs_type, _real, _real), also=(rounding, prices, records))
def fund(bracket: Record, costs: Record, rate: float, mark: float) -> float:
    """Settle funding for what is open now; call it before the bar that opens at the settlement.

    Args:
        bracket: `BRACKET` record, written.
        costs: `COSTS` record.
        rate: As settled; positive = long pays short.
        mark: Mark price, quote units.

    Returns:
        What was paid, quote units; negative = received, 0 = no position.
    """
    if bracket.state != OPEN:
        return 0.0
    owed = bracket.side * rate * mark
    paid: float = owed * (bracket.open_steps * costs.step)
    bracket.funding += paid
    if owed > 0.0:  # what is received is not relied on to keep the position alive
        bracket.burden += owed / costs.tick
        entered = float(bracket.side * bracket.entered)
        bracket.liquidation = liquidated_at(bracket.side, entered, bracket.burden, costs)
    return paid


@kernel(_int(bracket_type, costs_type, _real, _int, fills_type), also=(rounding, prices, records))
def close_out(bracket: Record, costs: Record, price: float, us: int, fills: NDArray[Any]) -> int:
    """End a bracket whatever its state (the data end, the book is flattened): cancel its entry or sell at market.

    Args:
        bracket: `BRACKET` record, written.
        costs: `COSTS` record.
        price: The last price, quote units.
        us: When.
        fills: As in `venues.fills.bracket.advance`.

    Returns:
        How many fills that made: 0 or 1.
    """
    if bracket.state == DONE:
        return 0
    made = 0
    if bracket.state == OPEN:
        got = sold(bracket.side * in_ticks(price, costs.tick), costs.slippage)
        book(fills[bracket.fills], bracket, costs, (EXIT, bracket.open_steps, 0), got, us)
        bracket.worst = min(bracket.worst, got)
        made = 1
    finish(bracket, BY_END, us)
    return made


@formula
def net(bracket: Record, costs: Record) -> float:
    """The result of what was closed so far after fees and funding, quote units."""
    result: float = bracket.gross * (costs.tick * costs.step) - bracket.fees - bracket.funding
    return result


@formula
def risk(bracket: Record, costs: Record) -> float:
    """What was put at risk as it was asked, entry to stop, before costs: one R of the whole bracket, quote units."""
    put: float = abs(bracket.entry - bracket.stop) * bracket.steps * (costs.tick * costs.step)
    return put


@formula
def excursion(bracket: Record, extreme: float) -> float:
    """`best` or `worst` of a bracket in R from its entry; 0 where it was never entered."""
    if bracket.entered == 0:
        return 0.0
    moved: float = (extreme - bracket.side * bracket.entered) / abs(bracket.entry - bracket.stop)
    return moved

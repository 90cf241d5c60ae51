"""Whether a bracket may be placed at all: what it asks makes sense, and every rung passes the venue's filters.

Refused up front, since a rung that the venue would not take leaves a position that is larger than it was sized for.
On spot every exit is an order of its own under the notional filter, at the target as at the stop; a position on
futures is reduced, which that filter exempts.

    code = refused(bracket, costs)
"""

from __future__ import annotations

from numba import types

from contracts.kernel import Record, kernel
from venues.fills import records
from venues.fills.records import (
    ACCEPTED,
    MAX_NOTIONAL,
    MAX_QTY,
    MIN_NOTIONAL,
    MIN_QTY,
    NO_SHORT,
    QUANTITY_SUM,
    STOP_SIDE,
    TARGET_ORDER,
    bracket_type,
    costs_type,
)

# A notional that is the limit on paper is not below it for the noise of floats.
_NOISE = 1.0 + 1e-12


@kernel(types.int64(bracket_type, costs_type), also=(records,))
def refused(bracket: Record, costs: Record) -> int:  # noqa: C901 - a list of filters, one after the other
    """The first thing that is wrong with a bracket.

    Args:
        bracket: `BRACKET` record; what was asked is read.
        costs: `COSTS` record as of the time it is placed.

    Returns:
        A code in `REFUSALS`; ACCEPTED = nothing is.
    """
    side, unit = bracket.side, costs.tick * costs.step * _NOISE
    if side < 0 and not costs.is_futures:
        return NO_SHORT
    if side * (bracket.entry - bracket.stop) <= 0 or bracket.stop <= 0:
        return STOP_SIDE
    if bracket.steps < costs.min_steps or bracket.steps <= 0:
        return MIN_QTY
    if costs.max_steps > 0 and bracket.steps > costs.max_steps:
        return MAX_QTY
    notional = bracket.entry * bracket.steps * unit
    if notional < costs.min_notional:
        return MIN_NOTIONAL
    if costs.max_notional > 0.0 and notional > costs.max_notional * _NOISE * _NOISE:
        return MAX_NOTIONAL
    before, total = bracket.entry, 0
    for rung in range(bracket.rungs):
        target, steps = bracket.targets[rung], bracket.shares[rung]
        if side * (target - before) <= 0 or target <= 0:
            return TARGET_ORDER
        if steps < costs.min_steps or steps <= 0:
            return MIN_QTY
        if not costs.is_futures and min(bracket.stop, target) * steps * unit < costs.min_notional:
            return MIN_NOTIONAL
        before, total = target, total + steps
    return QUANTITY_SUM if total != bracket.steps else ACCEPTED

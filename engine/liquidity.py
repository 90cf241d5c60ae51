"""Liquidity (engine-spec section 4b, table `liquidity_events`): equal levels, and levels that were run and given back.

Per side the most recently confirmed swing is remembered, and whether a later bar has traded beyond it.

Invariant: a swing is taken once at most, by the first bar after its confirmation that trades beyond it; the high side
comes first within a bar.

    found = liquidity(state.liquidity, open_time, high, low, close, atr14, swings, first, step, eq_tol, rows)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from numba import types

from contracts.kernel import Record, formula, instants, kernel, reals
from engine.rows import LIQUIDITY as EVENT
from engine.rows import SWING
from engine.state import LIQUIDITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

_int = types.int64
_EQH, _EQL, _SWEEP_HIGH, _SWEEP_LOW = range(4)


@formula
def _equal_highs(s: Record, swing: Record, within: float, row: Record) -> bool:
    """Make `swing` the HIGH to be taken; whether it stands level with the one before (NaN: undefined, hence not)."""
    price = swing.price
    equal: bool = abs(price - s.high) <= within
    if equal:
        row.kind, row.ref_ts = _EQH, s.high_ts
        row.level = max(price, s.high)
    s.high, s.high_ts, s.high_untaken = price, swing.pivot_ts, 1
    return equal


@formula
def _equal_lows(s: Record, swing: Record, within: float, row: Record) -> bool:
    price = swing.price
    equal: bool = abs(price - s.low) <= within
    if equal:
        row.kind, row.ref_ts = _EQL, s.low_ts
        row.level = min(price, s.low)
    s.low, s.low_ts, s.low_untaken = price, swing.pivot_ts, 1
    return equal


@formula
def _high_swept(s: Record, high: float, close: float, row: Record) -> bool:
    """Take the HIGH if the bar trades above it; whether the close gave it back."""
    if s.high_untaken == 0 or not high > s.high:
        return False
    s.high_untaken = 0
    row.kind, row.ref_ts, row.level = _SWEEP_HIGH, s.high_ts, s.high
    given_back: bool = close <= s.high
    return given_back


@formula
def _low_swept(s: Record, low: float, close: float, row: Record) -> bool:
    if s.low_untaken == 0 or not low < s.low:
        return False
    s.low_untaken = 0
    row.kind, row.ref_ts, row.level = _SWEEP_LOW, s.low_ts, s.low
    given_back: bool = close >= s.low
    return given_back


@kernel(
    _int(
        numba.from_dtype(LIQUIDITY)[::1],
        *(instants, reals, reals, reals, reals),
        *(numba.from_dtype(SWING)[::1], _int, _int, types.float64),
        numba.from_dtype(EVENT)[::1],
    )
)
def liquidity(
    state: NDArray[np.void],
    open_time: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    atr14: NDArray[np.float64],
    swings: NDArray[np.void],
    first: int,
    step: int,
    eq_tol: float,
    rows: NDArray[np.void],
) -> int:
    """Find equal highs and lows, and sweeps.

    Args:
        state: The `LIQUIDITY` record; advanced in place.
        open_time: µs since the epoch; one a bar, as the other columns.
        high: Prices in quote units.
        low: See `high`.
        close: See `high`.
        atr14: Feature of these bars; NaN where undefined.
        swings: The `SWING` rows confirmed at these bars, in order: a HIGH before a LOW of the same bar.
        first: Index t of the first of these bars.
        step: Duration of the timeframe in µs.
        eq_tol: Two levels are equal within this multiple of atr14.
        rows: Written: `LIQUIDITY` rows, two a bar at most.

    Returns:
        How many rows were written.
    """
    s = state[0]
    found = 0
    swing = 0
    for i in range(close.size):
        t = first + i
        ts = open_time[i] + step
        within = eq_tol * atr14[i]
        if swing < swings.size and swings[swing].bar == t and swings[swing].side > 0:
            event = _equal_highs(s, swings[swing], within, rows[found])
            swing += 1
        else:
            event = _high_swept(s, high[i], close[i], rows[found])
        if event:
            rows[found].ts = ts
            found += 1
        if swing < swings.size and swings[swing].bar == t:
            event = _equal_lows(s, swings[swing], within, rows[found])
            swing += 1
        else:
            event = _low_swept(s, low[i], close[i], rows[found])
        if event:
            rows[found].ts = ts
            found += 1
    return found

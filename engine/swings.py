"""Swings (engine-spec section 3, table `swings`): where price turned, told when that is known.

Two modes, of which a series uses one. `pivots`: a bar is a swing if N bars on either side do not reach beyond it; it
is known N bars later. `zigzag`: the extreme of a leg is a swing once a close has come back from it by k·atr14.

Invariant: rows are in the order of their confirmation, a HIGH before a LOW of the same bar, and the same bars give
the same rows however they are cut into calls.

    found = pivots(state.swings, open_time, high, low, first, size, pivot_n, step, rows)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

from contracts.kernel import Record, formula, instants, kernel, reals
from engine.rows import SWING
from engine.state import SWINGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_int = types.int64
_HH, _LH, _LL, _HL, _FIRST = 0, 1, 2, 3, -1


@formula
def _append(s: Record, row: Record, side: int, price: float) -> None:
    """Name the swing against the one before on its side, which it replaces."""
    row.side = side
    row.price = price
    if side > 0:
        before = s.high
        row.label = _FIRST if np.isnan(before) else _HH if price > before else _LH
        s.high = price
    else:
        before = s.low
        row.label = _FIRST if np.isnan(before) else _LL if price < before else _HL
        s.low = price


@formula
def _mark_highs(high: NDArray[Any], at: int, n: int, marks: NDArray[Any]) -> None:
    """Mark what is above every one of the n highs before it and not below any of the n after it.

    Of equals the first counts. One neighbour after the other is asked of all bars, several bars at a time.

    Args:
        high: Highs.
        at: Where in them the bar of the first mark stands.
        n: How many neighbours on either side.
        marks: Written: 1 or 0 a bar.
    """
    marks[:] = 1
    own = high[at : at + marks.size]
    for j in range(1, n + 1):
        before, after = high[at - j : at - j + marks.size], high[at + j : at + j + marks.size]
        for i in range(marks.size):
            marks[i] &= np.int64(own[i] > before[i]) & np.int64(own[i] >= after[i])


@formula
def _mark_lows(low: NDArray[Any], at: int, n: int, marks: NDArray[Any]) -> None:
    """The mirror image of `_mark_highs`."""
    marks[:] = 1
    own = low[at : at + marks.size]
    for j in range(1, n + 1):
        before, after = low[at - j : at - j + marks.size], low[at + j : at + j + marks.size]
        for i in range(marks.size):
            marks[i] &= np.int64(own[i] < before[i]) & np.int64(own[i] <= after[i])


@kernel(
    _int(numba.from_dtype(SWINGS)[::1], instants, reals, reals, _int, _int, _int, _int, numba.from_dtype(SWING)[::1])
)
def pivots(
    state: NDArray[np.void],
    open_time: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    first: int,
    size: int,
    pivot_n: int,
    step: int,
    rows: NDArray[np.void],
) -> int:
    """Confirm the swings of pivot half-width N.

    Args:
        state: The `SWINGS` record; advanced in place.
        open_time: µs since the epoch, of the bars that precede these (2·N at least) and then of these; so are high
            and low, which are NaN before bar 0.
        high: Prices in quote units.
        low: See `high`.
        first: Index t of the first of these bars.
        size: How many bars these are.
        pivot_n: N.
        step: Duration of the timeframe in µs.
        rows: Written: `SWING` records, two a bar at most.

    Returns:
        How many rows were written.
    """
    s = state[0]
    lead = high.size - size
    highs, lows = np.empty(size, np.int64), np.empty(size, np.int64)
    _mark_highs(high, lead - pivot_n, pivot_n, highs)
    _mark_lows(low, lead - pivot_n, pivot_n, lows)
    found = 0
    # Before bar 0 the columns hold NaN, which nothing is above or below: a pivot has its neighbours.
    for i in range(size):
        if highs[i] | lows[i] == 0:
            continue
        t, q = first + i, lead + i - pivot_n
        for side in (1, -1):
            if highs[i] if side > 0 else lows[i]:
                row = rows[found]
                row.bar = t
                row.ts = open_time[lead + i] + step
                row.pivot = t - pivot_n
                row.pivot_ts = open_time[q] + step
                _append(s, row, side, high[q] if side > 0 else low[q])
                found += 1
    return found


@formula
def _raise_top(s: Record, high: float, low: float, t: int, ts: int) -> None:
    """Take a bar into the search for a HIGH: the highest high so far, and the lowest low after it."""
    if np.isnan(s.top) or high > s.top:
        s.top, s.top_bar, s.top_ts = high, t, ts
        s.dip = np.nan
    elif np.isnan(s.dip) or low < s.dip:
        s.dip, s.dip_bar, s.dip_ts = low, t, ts


@formula
def _lower_bottom(s: Record, high: float, low: float, t: int, ts: int) -> None:
    """The mirror image: the lowest low so far, and the highest high after it."""
    if np.isnan(s.bottom) or low < s.bottom:
        s.bottom, s.bottom_bar, s.bottom_ts = low, t, ts
        s.peak = np.nan
    elif np.isnan(s.peak) or high > s.peak:
        s.peak, s.peak_bar, s.peak_ts = high, t, ts


@formula
def _seek_low(s: Record) -> None:
    """After a HIGH: start from the lowest low behind it (none yet where the HIGH is this very bar)."""
    s.seek = -1
    s.bottom, s.bottom_bar, s.bottom_ts = s.dip, s.dip_bar, s.dip_ts
    s.top = s.dip = s.peak = np.nan


@formula
def _seek_high(s: Record) -> None:
    s.seek = 1
    s.top, s.top_bar, s.top_ts = s.peak, s.peak_bar, s.peak_ts
    s.bottom = s.peak = s.dip = np.nan


@kernel(
    _int(
        numba.from_dtype(SWINGS)[::1],
        *(instants, reals, reals, reals, reals),
        *(_int, types.float64, _int),
        numba.from_dtype(SWING)[::1],
    )
)
def zigzag(
    state: NDArray[np.void],
    open_time: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    atr14: NDArray[np.float64],
    first: int,
    k: float,
    step: int,
    rows: NDArray[np.void],
) -> int:
    """Confirm the swings from which a close has come back by k·atr14; at most one a bar, sides alternate.

    Args:
        state: The `SWINGS` record; advanced in place.
        open_time: µs since the epoch; one a bar, as the other columns.
        high: Prices in quote units.
        low: See `high`.
        close: See `high`.
        atr14: Feature of these bars; NaN where undefined.
        first: Index t of the first of these bars.
        k: How many atr14 a close must come back.
        step: Duration of the timeframe in µs.
        rows: Written: `SWING` records.

    Returns:
        How many rows were written.
    """
    s = state[0]
    found = 0
    for i in range(close.size):
        t = first + i
        ts = open_time[i] + step
        if s.seek >= 0:
            _raise_top(s, high[i], low[i], t, ts)
        if s.seek <= 0:
            _lower_bottom(s, high[i], low[i], t, ts)
        if not atr14[i] > 0.0:
            continue
        row = rows[found]
        if s.seek >= 0 and close[i] <= s.top - k * atr14[i]:
            row.bar, row.ts, row.pivot, row.pivot_ts = t, ts, s.top_bar, s.top_ts
            _append(s, row, 1, s.top)
            _seek_low(s)
            found += 1
        elif s.seek <= 0 and close[i] >= s.bottom + k * atr14[i]:
            row.bar, row.ts, row.pivot, row.pivot_ts = t, ts, s.bottom_bar, s.bottom_ts
            _append(s, row, -1, s.bottom)
            _seek_high(s)
            found += 1
    return found

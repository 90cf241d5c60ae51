"""Structure (engine-spec section 4, table `smc_events`): breaks of swings by the close, and the trend they make.

Each side remembers two of the swings confirmed since it was last broken: the last one and the most extreme one. The
columns `trend` and `range_pos` of table `indicators` come from here, after the swings and the break of the bar.

Invariant: at most one break a bar. A break clears its whole side, so every swing is broken once at most.

    found = breaks(state.structure, open_time, close, swings, first, step, trend, range_pos, undefined, rows)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from numba import types

from contracts.kernel import Record, counts, formula, instants, kernel, reals, scratch
from engine.rows import BREAK, SWING
from engine.state import STRUCTURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_int = types.int64


@formula
def _confirm(s: Record, swing: Record) -> None:
    """A swing becomes the last of its side, and the external one if none of its side is as extreme."""
    price = swing.price
    if swing.side > 0:
        s.range_high = price
        s.last_high, s.last_high_bar, s.last_high_ts = price, swing.pivot, swing.pivot_ts
        if np.isnan(s.ext_high) or price > s.ext_high:
            s.ext_high, s.ext_high_bar, s.ext_high_ts = price, swing.pivot, swing.pivot_ts
    else:
        s.range_low = price
        s.last_low, s.last_low_bar, s.last_low_ts = price, swing.pivot, swing.pivot_ts
        if np.isnan(s.ext_low) or price < s.ext_low:
            s.ext_low, s.ext_low_bar, s.ext_low_ts = price, swing.pivot, swing.pivot_ts


@formula
def _break_up(s: Record, row: Record) -> None:
    turning = s.trend < 0
    row.side = 1
    row.choch = 1 if turning else 0
    row.level = s.last_high if turning else s.ext_high
    row.ref = s.last_high_bar if turning else s.ext_high_bar
    row.ref_ts = s.last_high_ts if turning else s.ext_high_ts
    s.trend = 1
    s.last_high = s.ext_high = np.nan


@formula
def _break_down(s: Record, row: Record) -> None:
    turning = s.trend > 0
    row.side = -1
    row.choch = 1 if turning else 0
    row.level = s.last_low if turning else s.ext_low
    row.ref = s.last_low_bar if turning else s.ext_low_bar
    row.ref_ts = s.last_low_ts if turning else s.ext_low_ts
    s.trend = -1
    s.last_low = s.ext_low = np.nan


@kernel(
    _int(
        numba.from_dtype(STRUCTURE)[::1],
        *(instants, reals, numba.from_dtype(SWING)[::1], _int, _int),
        *(types.Array(types.int16, 1, "C"), scratch, counts, numba.from_dtype(BREAK)[::1]),
    )
)
def breaks(
    state: NDArray[np.void],
    open_time: NDArray[np.int64],
    close: NDArray[np.float64],
    swings: NDArray[np.void],
    first: int,
    step: int,
    trend: NDArray[np.int16],
    range_pos: NDArray[np.float64],
    undefined: NDArray[np.int64],
    rows: NDArray[np.void],
) -> int:
    """Find the breaks of structure, and place each close in its range.

    Args:
        state: The `STRUCTURE` record; advanced in place.
        open_time: µs since the epoch; one a bar.
        close: Prices in quote units; one a bar.
        swings: The `SWING` rows confirmed at these bars, in order.
        first: Index t of the first of these bars.
        step: Duration of the timeframe in µs.
        trend: Written, one a bar: −1, 0 or +1.
        range_pos: Written, one a bar: 0 at the most recently confirmed LOW, 1 at the HIGH; NaN where undefined.
        undefined: Its first is raised by the number of NaN in `range_pos`.
        rows: Written: `BREAK` records, one a bar at most.

    Returns:
        How many rows were written.
    """
    s = state[0]
    found = 0
    swing = 0
    for i in range(close.size):
        t = first + i
        while swing < swings.size and swings[swing].bar == t:
            _confirm(s, swings[swing])
            swing += 1
        # A comparison with a reference that does not exist (NaN) is false.
        row = rows[found]
        if close[i] > (s.last_high if s.trend < 0 else s.ext_high):
            _break_up(s, row)
            row.bar, row.ts = t, open_time[i] + step
            found += 1
        elif close[i] < (s.last_low if s.trend > 0 else s.ext_low):
            _break_down(s, row)
            row.bar, row.ts = t, open_time[i] + step
            found += 1
        trend[i] = s.trend
        height = s.range_high - s.range_low
        if height > 0.0:
            range_pos[i] = (close[i] - s.range_low) / height
        else:
            range_pos[i] = np.nan
            undefined[0] += 1
    return found

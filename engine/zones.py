"""How zones are born (engine-spec section 5): fair value gaps, order blocks, and the inversions of mitigated zones.

A birth depends on bars and breaks alone, never on which zones are alive; what becomes of a zone is `engine.lives`.

Invariant: zones are made in the order of the text: within a bar a gap before an order block. The bounds, side and
strength of a zone never change.

    made = births(state.zone_counts, *columns, breaks, first, step, *params, rows)
    inverted = inversions(state.zone_counts, zones, events, rows)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

from contracts.kernel import Record, formula, instants, kernel, reals
from engine.rows import BREAK, ZONE, ZONE_EVENT
from engine.state import ZONES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEVER = -(2**63)
_OB, _FVG, _TO_INVERSION = 0, 1, 2  # a BREAKER is an OB + 2, an IFVG a FVG + 2
_ACTIVE = 0
_MITIGATED = 2  # in ZONE_EVENTS
_VOLUME_BARS = 20

_int = types.int64


@formula
def _create(
    zone: Record,
    name: tuple[int, int, int],
    low_and_high: tuple[float, float],
    born: tuple[int, int],
    origin: tuple[int, int],
    strength: int,
) -> None:
    """Write a new zone: its id, kind and side; its bounds; its bar and instant; where it comes from; its strength."""
    zone.id, zone.kind, zone.side = name
    zone.price_lo, zone.price_hi = low_and_high
    zone.created, zone.created_ts = born
    zone.origin_ts, zone.origin_event = origin
    zone.strength = strength
    zone.touches = 0
    zone.first_touch_ts = _NEVER
    zone.status = _ACTIVE
    zone.ended_ts = _NEVER


@formula
def _volume_term(volume: float, sum_volume: float) -> int:
    """⌊min(volume / mean of the last 20, 2)⌋; 0 where that mean is undefined or 0."""
    mean = sum_volume / _VOLUME_BARS
    if not mean > 0.0:
        return 0
    term: int = math.floor(min(volume / mean, 2.0))
    return term


@formula
def _strength(displacement: float, volume_term: int, apart: int, confluence_bars: int) -> int:
    """0 to 10; `apart` is the distance in bars to the latest gap (of a break: its own side) or break (of a gap)."""
    strength = math.floor(2.0 * min(displacement, 3.0)) + volume_term
    return strength + 2 if apart <= confluence_bars else strength


@formula
def _remember_break(s: Record, side: int, t: int) -> None:
    if side > 0:
        s.break_up = t
    else:
        s.break_down = t


@formula
def _remember_gap(s: Record, side: int, t: int) -> None:
    if side > 0:
        s.gap_demand = t
    else:
        s.gap_supply = t


@formula
def _gap_side(high_before: float, low_before: float, high: float, low: float) -> int:
    """Which way a bar leaves a gap to the bar two before it; 0 = none."""
    if low > high_before:
        return 1
    return -1 if high < low_before else 0


@formula
def _origin(open_: NDArray[Any], close: NDArray[Any], at: int, furthest: int, side: int) -> int:
    """The last candle against the break between `furthest` and at−1, both included; −1 = none."""
    for i in range(at - 1, furthest - 1, -1):
        if close[i] < open_[i] if side > 0 else close[i] > open_[i]:
            return i
    return -1


@kernel(
    _int(
        numba.from_dtype(ZONES)[::1],
        *(instants, reals, reals, reals, reals, reals, reals, reals),
        *(numba.from_dtype(BREAK)[::1], _int, _int),
        *(types.float64, _int, _int),
        numba.from_dtype(ZONE)[::1],
    )
)
def births(
    state: NDArray[np.void],
    open_time: NDArray[np.int64],
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    sum_volume: NDArray[np.float64],
    atr14: NDArray[np.float64],
    breaks: NDArray[np.void],
    first: int,
    step: int,
    fvg_min_atr: float,
    ob_lookback: int,
    confluence_bars: int,
    rows: NDArray[np.void],
) -> int:
    """Make the fair value gaps and order blocks of some bars.

    Args:
        state: The `ZONES` record; advanced in place.
        open_time: µs since the epoch: of the bars that precede these (`ob_lookback` and 2 at least) and then of
            these; so are the next four. What precedes bar 0 is not read.
        open_: Prices in quote units.
        high: See `open_`.
        low: See `open_`.
        close: See `open_`.
        volume: Base units; one a bar, as the next two.
        sum_volume: Of the last 20 bars, oldest first; NaN while there are fewer.
        atr14: Feature of these bars; NaN where undefined.
        breaks: The `BREAK` rows of these bars, in order.
        first: Index t of the first of these bars.
        step: Duration of the timeframe in µs.
        fvg_min_atr: Least height of a fair value gap, in atr14.
        ob_lookback: How many bars before a break its order block may lie.
        confluence_bars: How many bars a gap and a break may lie apart to be confluent.
        rows: Written: `ZONE` records, two a bar at most.

    Returns:
        How many rows were written.
    """
    s = state[0]
    lead = close.size - atr14.size
    made, seen = 0, 0
    for i in range(atr14.size):
        t, at = first + i, lead + i
        broken = seen < breaks.size and breaks[seen].bar == t
        if broken:
            _remember_break(s, breaks[seen].side, t)
            seen += 1
        atr = atr14[i]
        if not atr > 0.0:
            continue
        born = (t, open_time[at] + step)

        side = _gap_side(high[at - 2], low[at - 2], high[at], low[at])
        if side != 0 and open_time[at] - open_time[at - 2] == 2 * step:
            gap = (high[at - 2], low[at]) if side > 0 else (high[at], low[at - 2])
            height = gap[1] - gap[0]
            if height >= fvg_min_atr * atr:
                apart = t - (s.break_up if side > 0 else s.break_down)
                strength = _strength(height / atr, _volume_term(volume[i], sum_volume[i]), apart, confluence_bars)
                _create(rows[made], (s.made, _FVG, side), gap, born, (open_time[at - 1] + step, -1), strength)
                _remember_gap(s, side, t)
                s.made += 1
                made += 1

        if broken:
            event = breaks[seen - 1]
            side = event.side
            origin = _origin(open_, close, at, at - t + max(event.ref, t - ob_lookback), side)
            if origin >= 0:
                apart = t - (s.gap_demand if side > 0 else s.gap_supply)
                moved = abs(close[at] - close[origin])
                strength = _strength(moved / atr, _volume_term(volume[i], sum_volume[i]), apart, confluence_bars)
                came_from = (open_time[origin] + step, (0 if side > 0 else 1) + (0 if event.choch != 0 else 2))
                _create(rows[made], (s.made, _OB, side), (low[origin], high[origin]), born, came_from, strength)
                s.made += 1
                made += 1
    return made


@kernel(
    _int(
        numba.from_dtype(ZONES)[::1],
        *(numba.from_dtype(ZONE)[::1], numba.from_dtype(ZONE_EVENT)[::1]),
        numba.from_dtype(ZONE)[::1],
    )
)
def inversions(
    state: NDArray[np.void], zones: NDArray[np.void], events: NDArray[np.void], rows: NDArray[np.void]
) -> int:
    """Make a zone of the other side of every zone that was mitigated.

    Args:
        state: The `ZONES` record; advanced in place.
        zones: Zones.
        events: What happened to them, in order.
        rows: Written: `ZONE` records, one for each mitigation.

    Returns:
        How many rows were written.
    """
    s = state[0]
    made = 0
    for i in range(events.size):
        event = events[i]
        if event.event == _MITIGATED:
            parent = zones[event.row]
            name = (s.inversions_made, parent.kind + _TO_INVERSION, -parent.side)
            held = (parent.price_lo, parent.price_hi)
            _create(rows[made], name, held, (event.bar, event.ts), (parent.created_ts, -1), parent.strength)
            s.inversions_made += 1
            made += 1
    return made

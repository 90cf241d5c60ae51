"""Retest (engine-spec section 6, table `signals_raw`, agent `retest`): a break, a return to its zones, a confirmation.

A break opens a setup. For a few bars the price may come back to a zone of its side; the first bar that confirms from
inside one gives a signal. This section runs after the zones of the bar are final, and alone needs `micro_bos`, what
a sub-timeframe did meanwhile.

Invariant: a signal at bar t uses the zones that are active at its end and were made before it, never those made at t.

    found = retest(state.retest, state.entered, *columns, breaks, zones, first, step, *params, rows)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

from contracts.kernel import Record, formula, instants, kernel, reals
from engine.rows import BREAK, SIGNAL, ZONE
from engine.state import RETEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

AGENT = "retest"
# Bit i of a signal's flags.
FLAGS = ("ema200", "macd", "rsi", "micro_bos", "in_direction")
_EMA200, _MACD, _RSI, _MICRO_BOS, _IN_DIRECTION = 1, 2, 4, 8, 16
_NEVER = -(2**63)
_NONE = -1

_int, _real = types.int64, types.float64


@formula
def _remember(s: Record, event: Record) -> None:
    """Which way the last CHOCH went, and whether a BOS has confirmed it since."""
    if event.choch:
        s.choch = event.side
        s.continued = 0
    elif event.side == s.choch:
        s.continued = 1


@formula
def _in_play(s: Record, zone: Record, ts: int) -> bool:
    """Whether a zone of the setup's side is still active at the end of the bar."""
    active: bool = zone.side == s.side and (zone.ended_ts == _NEVER or zone.ended_ts > ts)
    return active


@formula
def _better(zone: Record, best: Record) -> bool:
    """Stronger, or as strong and newer, or of the same bar and a FVG; `zone` is never the newer one of the two."""
    if zone.strength != best.strength:
        stronger: bool = zone.strength > best.strength
        return stronger
    beside: bool = zone.created == best.created and zone.kind > best.kind
    return beside


@formula
def _rsi_rebounds(side: int, before: float, now: float, floor: float, ceiling: float) -> int:
    turned = now > before if side > 0 else now < before
    return _RSI if turned and floor <= before <= ceiling else 0


@formula
def _flags(s: Record, bar: tuple[float, float], values: tuple[float, float, float], micro_bos: int) -> int:
    """What speaks for a signal of the setup's side, the rebound of the RSI aside.

    Args:
        s: The `RETEST` record.
        bar: Open and close.
        values: ema200, rsi14 and macd_hist of the bar.
        micro_bos: Side of the last break of the sub-timeframe within the bar.
    """
    open_, close = bar
    ema200, _, hist = values
    flags = _MICRO_BOS if micro_bos == s.side else 0
    if s.side > 0:
        flags |= (_EMA200 if close > ema200 else 0) | (_MACD if hist > s.macd_hist else 0)
        return flags | (_IN_DIRECTION if close > open_ else 0)
    flags |= (_EMA200 if close < ema200 else 0) | (_MACD if hist < s.macd_hist else 0)
    return flags | (_IN_DIRECTION if close < open_ else 0)


@formula
def _write(s: Record, row: Record, zone: Record, close: float, tol: float, flags: int) -> None:
    """A signal of the setup, entered at the close, stopped behind its zone."""
    retest_ok = 1 if flags & _MACD and flags & _RSI else 0
    structure_ok = 1 if s.choch == s.side and s.continued else 0
    row.side = s.side
    row.entry = close
    row.stop = zone.price_lo - tol if s.side > 0 else zone.price_hi + tol
    row.flags = flags
    row.retest_ok = retest_ok
    row.structure_ok = structure_ok
    row.zone_kind = zone.kind
    row.zone_created_ts = zone.created_ts
    score = 0.30 + 0.20 * retest_ok + 0.15 * structure_ok
    score = score + 0.10 * (1 if flags & _EMA200 else 0)
    score = score + 0.05 * (1 if flags & _MACD else 0) + 0.05 * (1 if flags & _RSI else 0)
    row.score = score + 0.15 * zone.strength / 10.0


@formula
def _live_on(s: Record, t: int, window: int, event_side: int) -> bool:
    """Whether there is a setup to be tested at bar t, whose break (0 = none) went `event_side`."""
    if event_side == -s.side or t - s.opened > window:
        s.side = 0
    alive: bool = s.side != 0
    return alive


@formula
def _known(s: Record, values: tuple[float, float, float]) -> bool:
    """Whether ema200, and rsi14 and macd_hist of this bar and the one before, are defined."""
    ema200, rsi, hist = values
    undefined = np.isnan(ema200) or np.isnan(rsi) or np.isnan(s.rsi14) or np.isnan(hist) or np.isnan(s.macd_hist)
    return not undefined


@formula
def _entered_before(s: Record, entered_ids: NDArray[Any], zones: NDArray[Any]) -> NDArray[Any]:
    """For each zone the bar of the setup that has entered it; only that of the living one is known."""
    entered = np.full(zones.size, _NEVER)
    for i in range(zones.size if s.entered else 0):
        for j in range(s.entered):
            if zones[i].id == entered_ids[j]:
                entered[i] = s.opened
    return entered


@formula
def _keep_entered(s: Record, entered_ids: NDArray[Any], zones: NDArray[Any], entered: NDArray[Any]) -> None:
    """Carry what the living setup has entered to the next call; what is not in use is zero."""
    entered_ids[:] = 0
    s.entered = 0
    if s.side == 0:
        s.opened = s.since = 0
        return
    for i in range(zones.size):
        if entered[i] == s.opened and zones[i].ended_ts == _NEVER:
            entered_ids[s.entered] = zones[i].id
            s.entered += 1


@kernel(
    _int(
        *(numba.from_dtype(RETEST)[::1], types.Array(_int, 1, "C")),
        *(instants, reals, reals, reals, reals),
        *(reals, reals, reals, reals, types.Array(types.int8, 1, "C", readonly=True)),
        *(numba.from_dtype(BREAK)[::1], numba.from_dtype(ZONE)[::1], _int, _int),
        *(_int, _real, _real, _real, _real, _real),
        numba.from_dtype(SIGNAL)[::1],
    )
)
def retest(  # noqa: C901 - the rules of one bar in their order; to hand an array on costs two atomic additions
    state: NDArray[np.void],
    entered_ids: NDArray[np.int64],
    open_time: NDArray[np.int64],
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    atr14: NDArray[np.float64],
    ema200: NDArray[np.float64],
    rsi14: NDArray[np.float64],
    macd_hist: NDArray[np.float64],
    micro_bos: NDArray[np.int8],
    breaks: NDArray[np.void],
    zones: NDArray[np.void],
    first: int,
    step: int,
    window: int,
    tolerance: float,
    long_floor: float,
    long_ceiling: float,
    short_floor: float,
    short_ceiling: float,
    rows: NDArray[np.void],
) -> int:
    """Follow the setups and signal their confirmed retests.

    Args:
        state: The `RETEST` record; advanced in place.
        entered_ids: Ids of the zones that the setup has entered; advanced in place.
        open_time: µs since the epoch; one a bar, as the next ten columns.
        open_: Prices in quote units.
        high: See `open_`.
        low: See `open_`.
        close: See `open_`.
        atr14: Feature of these bars, NaN where undefined; so are the next three.
        ema200: See `atr14`.
        rsi14: See `atr14`.
        macd_hist: See `atr14`.
        micro_bos: Side of the last break of the sub-timeframe within each bar; 0 = none.
        breaks: The `BREAK` rows of these bars, in order.
        zones: The `ZONE` rows active before these bars or made at them, oldest first, with the end they have come to.
        first: Index t of the first of these bars.
        step: Duration of the timeframe in µs.
        window: How many bars after its break a setup lives.
        tolerance: How near a zone counts as entered, in atr14.
        long_floor: Least previous rsi14 of a rebound of a LONG.
        long_ceiling: Greatest previous rsi14 of a rebound of a LONG.
        short_floor: Least previous rsi14 of a rebound of a SHORT.
        short_ceiling: Greatest previous rsi14 of a rebound of a SHORT.
        rows: Written: `SIGNAL` records, one a bar at most.

    Returns:
        How many rows were written.
    """
    s = state[0]
    entered = _entered_before(s, entered_ids, zones)
    found, seen, known = 0, 0, 0
    for i in range(close.size):
        t = first + i
        while known < zones.size and zones[known].created < t:
            known += 1
        event_side = 0
        if seen < breaks.size and breaks[seen].bar == t:
            event_side = breaks[seen].side
            _remember(s, breaks[seen])
            seen += 1
        if _live_on(s, t, window, event_side) and atr14[i] >= 0.0:
            ts, tol = open_time[i] + step, tolerance * atr14[i]
            highest, lowest = high[i] + tol, low[i] - tol
            best = _NONE
            k = known - 1
            while k >= 0 and zones[k].created >= s.since:
                zone = zones[k]
                if _in_play(s, zone, ts):
                    if lowest <= zone.price_hi and highest >= zone.price_lo:
                        entered[k] = s.opened
                    if entered[k] == s.opened and (best == _NONE or _better(zone, zones[best])):
                        best = k
                k -= 1
            values = (ema200[i], rsi14[i], macd_hist[i])
            if best != _NONE and _known(s, values):
                flags = _flags(s, (open_[i], close[i]), values, micro_bos[i])
                if flags & (_IN_DIRECTION | _MICRO_BOS):
                    floor, ceiling = (long_floor, long_ceiling) if s.side > 0 else (short_floor, short_ceiling)
                    flags |= _rsi_rebounds(s.side, s.rsi14, rsi14[i], floor, ceiling)
                    rows[found].ts = ts
                    _write(s, rows[found], zones[best], close[i], tol, flags)
                    found += 1
                    s.side = 0
        if event_side != 0:
            s.side, s.opened, s.since = event_side, t, breaks[seen - 1].ref
        s.rsi14, s.macd_hist = rsi14[i], macd_hist[i]
    _keep_entered(s, entered_ids, zones, entered)
    return found

"""What becomes of zones (engine-spec section 5, tables `zones`, `inversions`, `zone_events`): touched, ended.

One kernel lives for zones and for inversions alike. Within a bar it tests what existed before the bar, oldest first;
then it takes in what is born at the bar, and evicts the oldest where there is one too many.

Zones stand in a table, oldest first. Beside it each side has a ladder of its active ones, ordered by the bound that a
price reaches first: `near`; the nearest to the price is the last. So a bar looks at the zones it touches and at one
more, however many there are. The bounds of SUPPLY are mirrored (negated): one comparison serves both sides.

Invariant: a zone has one event a bar at most, the last that happened to it: it is created, first touched, or ended.

    lives(state.zones, open_time, high, low, close, first, step, expiry_bars, limit, zones, born, events, *scratch)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

from contracts.kernel import Record, counts, formula, instants, kernel, reals
from engine.rows import ZONE, ZONE_EVENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUNG = np.dtype([("near", "<f8"), ("far", "<f8"), ("row", "<i8")])

_NEVER = -(2**63)
_INVERSIONS = 2  # in ZONE_KINDS: from here on
_ACTIVE, _MITIGATED, _EXPIRED, _EVICTED = range(4)
_CREATED, _TOUCHED, _ENDED = 0, 1, 1  # the event of an end is its status + 1

_int = types.int64
_zones = numba.from_dtype(ZONE)[::1]
_events = numba.from_dtype(ZONE_EVENT)[::1]


@formula
def _log(row: Record, zone: Record, place: int, event: int, now: tuple[int, int]) -> None:
    """Note what happened to the zone at `place` of the table, at the bar and instant `now`."""
    row.bar, row.ts = now
    row.event = event
    row.kind = zone.kind
    row.row = place
    row.created_ts = zone.created_ts
    row.parent_ts = zone.origin_ts if zone.kind >= _INVERSIONS else _NEVER
    row.touches = zone.touches
    zone.event_ts = row.ts


@formula
def _touch(zone: Record, ts: int) -> bool:
    """Count a touch; whether it is the first."""
    zone.touches += 1
    if zone.touches > 1:
        return False
    zone.first_touch_ts = ts
    return True


@formula
def _end(zone: Record, status: int, ts: int) -> None:
    zone.status = status
    zone.ended_ts = ts


@formula
def _clear(zone: Record) -> None:
    """What is not in use is zero, so that equal histories have equal bytes."""
    zone.id = zone.kind = zone.side = zone.created = zone.created_ts = zone.origin_ts = zone.origin_event = 0
    zone.strength = zone.touches = zone.first_touch_ts = zone.status = zone.ended_ts = zone.event_ts = 0
    zone.price_lo = zone.price_hi = 0.0


@formula
def _climb(ladders: NDArray[Any], heights: NDArray[Any], zone: Record, row: int) -> None:
    """Put an active zone on the ladder of its side."""
    ladder = 0 if zone.side > 0 else 1
    near = zone.price_hi if zone.side > 0 else -zone.price_lo
    k = heights[ladder]
    while k > 0 and ladders[ladder, k - 1].near > near:
        ladders[ladder, k] = ladders[ladder, k - 1]
        k -= 1
    rung = ladders[ladder, k]
    rung.near, rung.row = near, row
    rung.far = zone.price_lo if zone.side > 0 else -zone.price_hi
    heights[ladder] += 1


@formula
def _leave(ladders: NDArray[Any], heights: NDArray[Any], zones: NDArray[Any]) -> None:
    """Take what has ended from the ladders."""
    for ladder in range(2):
        kept = 0
        for k in range(heights[ladder]):
            if zones[ladders[ladder, k].row].status == _ACTIVE:
                if kept != k:
                    ladders[ladder, kept] = ladders[ladder, k]
                kept += 1
        heights[ladder] = kept


@formula
def _sort(due: NDArray[Any], size: int) -> None:
    """Rows of the table in the order of age; there are a few at most."""
    for i in range(1, size):
        row = due[i]
        k = i
        while k > 0 and due[k - 1] > row:
            due[k] = due[k - 1]
            k -= 1
        due[k] = row


@formula
def _place_of(events: NDArray[Any], size: int, row: int, t: int) -> int:
    """Where the event of a zone at this bar stands, to be written over; `size` where it has none."""
    for i in range(size - 1, -1, -1):
        if events[i].bar != t:
            break
        if events[i].row == row:
            return i
    return size


@kernel(
    types.void(
        *(_zones, instants, reals, reals, reals),
        *(_int, _int, _int, _int),
        *(_zones, _int, _events),
        *(types.Array(numba.from_dtype(RUNG), 2, "C"), counts, counts),
    )
)
def lives(  # noqa: C901 - the rules of one bar in their order; to hand an array on costs two atomic additions
    active: NDArray[np.void],
    open_time: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    first: int,
    step: int,
    expiry_bars: int,
    limit: int,
    zones: NDArray[np.void],
    born: int,
    events: NDArray[np.void],
    ladders: NDArray[np.void],
    due: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> None:
    """Let bars happen to zones.

    Args:
        active: Written: the zones that are active after the last bar, oldest first, `limit` places.
        open_time: µs since the epoch; one a bar, as the other columns.
        high: Prices in quote units.
        low: See `high`.
        close: See `high`.
        first: Index t of the first of these bars.
        step: Duration of the timeframe in µs.
        expiry_bars: Age in bars at which a zone expires.
        limit: How many may be active.
        zones: First those that were active before these bars, then those born at them, each oldest first; brought up
            to the last bar in place.
        born: How many of them were born at these bars.
        events: Written: `ZONE_EVENT` records, in the order of their happening.
        ladders: Scratch, shape (2, `limit` + 1 or more): `RUNG` records of DEMAND and of SUPPLY.
        due: Scratch, `limit` + 1 places or more.
        sizes: Written: how many zones are active, how many events there are.
    """
    heights = np.zeros(2, np.int64)
    coming = zones.size - born
    for row in range(coming):
        _climb(ladders, heights, zones[row], row)
    oldest, size = 0, 0
    for i in range(close.size):
        t, ts = first + i, open_time[i] + step
        dues, expired = 0, False
        for ladder in range(2):
            reached, closed = (low[i], close[i]) if ladder == 0 else (-high[i], -close[i])
            height = heights[ladder]
            k = height
            while k > 0 and reached <= ladders[ladder, k - 1].near:
                k -= 1
            kept = k
            for reaching in range(k, height):
                row = ladders[ladder, reaching].row
                happens = _touch(zones[row], ts)
                if closed < ladders[ladder, reaching].far:
                    _end(zones[row], _MITIGATED, ts)
                    happens = True
                else:
                    if kept != reaching:
                        ladders[ladder, kept] = ladders[ladder, reaching]
                    kept += 1
                if happens:
                    due[dues] = row
                    dues += 1
            heights[ladder] = kept
        while oldest < coming and (zones[oldest].status != _ACTIVE or t - zones[oldest].created >= expiry_bars):
            zone = zones[oldest]
            if zone.status == _ACTIVE:
                _end(zone, _EXPIRED, ts)
                expired = True
                if zone.first_touch_ts != ts:  # else it is due already
                    due[dues] = oldest
                    dues += 1
            oldest += 1
        _sort(due, dues)
        for k in range(dues):
            zone = zones[due[k]]
            _log(events[size], zone, due[k], _TOUCHED if zone.status == _ACTIVE else zone.status + _ENDED, (t, ts))
            size += 1
        if expired:
            _leave(ladders, heights, zones)

        while coming < zones.size and zones[coming].created == t:
            _log(events[size], zones[coming], coming, _CREATED, (t, ts))
            size += 1
            _climb(ladders, heights, zones[coming], coming)
            coming += 1
            if heights[0] + heights[1] > limit:
                while zones[oldest].status != _ACTIVE:
                    oldest += 1
                _end(zones[oldest], _EVICTED, ts)
                place = _place_of(events, size, oldest, t)
                _log(events[place], zones[oldest], oldest, _EVICTED + _ENDED, (t, ts))
                size = max(size, place + 1)
                _leave(ladders, heights, zones)

    count = 0
    for row in range(zones.size):
        if zones[row].status == _ACTIVE:
            active[count] = zones[row]
            count += 1
    for k in range(count, limit):
        _clear(active[k])
    sizes[0], sizes[1] = count, size


@formula
def _copy(event: Record, times: NDArray[Any], codes: NDArray[Any], place: int) -> None:
    """Write an event to columns, in the order of `engine.rows.EVENT_TIMES` and `engine.rows.EVENT_CODES`."""
    times[0, place] = event.ts
    times[1, place] = event.created_ts
    times[2, place] = event.parent_ts
    codes[0, place] = event.kind
    codes[1, place] = event.event
    codes[2, place] = event.touches


@kernel(types.void(_events, _events, types.Array(_int, 2, "C"), types.Array(types.int32, 2, "C"), _int))
def merge_events(
    zones: NDArray[np.void],
    inversions: NDArray[np.void],
    times: NDArray[np.int64],
    codes: NDArray[np.int32],
    at: int,
) -> None:
    """Put the events of zones and inversions in one order: by bar, within a bar those of zones first.

    Args:
        zones: Events of zones, in order.
        inversions: Events of inversions, in order.
        times: Written from column `at` on: a row for each field of `engine.rows.EVENT_TIMES`.
        codes: The same for `engine.rows.EVENT_CODES`.
        at: Where the first of these events stands.
    """
    j = 0
    for i in range(zones.size):
        while j < inversions.size and inversions[j].bar < zones[i].bar:
            _copy(inversions[j], times, codes, at + i + j)
            j += 1
        _copy(zones[i], times, codes, at + i + j)
    for k in range(j, inversions.size):
        _copy(inversions[k], times, codes, at + zones.size + k)

"""What a call of `advance` works with: the rows its sections find, and the scratch memory they write to.

Invariant: nothing in a `Room` outlives a span; what is found is copied to `Found`.

    found = Found.of(bars, state, params, step)
    with spare_room(bars.size, params) as room:
        ...
    found.finish()
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from engine.features import COLUMNS
from engine.lives import RUNG
from engine.rows import (
    BREAK,
    EVENT_CODES,
    EVENT_TIMES,
    LIQUIDITY,
    SIGNAL,
    SWING,
    ZONE,
    ZONE_EVENT,
    Columns,
    ZoneColumns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from engine.bars import Bars
    from engine.params import EngineParams
    from engine.state import SeriesState

RANGE_POS: Final = len(COLUMNS)
_spare: list[Room] = []  # at most one


@dataclass(slots=True)
class Found:
    """What the sections found in the bars of one call.

    Attributes:
        ts: µs since the epoch, one a bar.
        values: Shape (features and range_pos, bars); NaN = undefined.
        undefined: How many NaN each row of `values` has.
        trend: One a bar: −1, 0, +1.
        regimes: Shape (2, bars): codes of regime and vol_state.
        regime_rows: How many bars have a regime.
        swings: `SWING` rows.
        breaks: `BREAK` rows.
        liquidity: `LIQUIDITY` rows.
        event_times: `EVENT_TIMES` rows: the events of zones and inversions.
        event_codes: `EVENT_CODES` rows: the same events.
        zones: `ZONE` rows of the zones that the bars changed, as they were after the last; complete after `finish`.
        inversions: The same of inversions.
        signals: `SIGNAL` rows.
    """

    ts: NDArray[np.int64]
    values: NDArray[np.float64]
    undefined: NDArray[np.int64]
    trend: NDArray[np.int16]
    regimes: NDArray[np.uint8]
    zones: ZoneColumns
    inversions: ZoneColumns
    regime_rows: int = 0
    swings: Columns = field(default_factory=lambda: Columns(SWING))
    breaks: Columns = field(default_factory=lambda: Columns(BREAK))
    liquidity: Columns = field(default_factory=lambda: Columns(LIQUIDITY))
    event_times: Columns = field(default_factory=lambda: Columns(EVENT_TIMES))
    event_codes: Columns = field(default_factory=lambda: Columns(EVENT_CODES))
    signals: Columns = field(default_factory=lambda: Columns(SIGNAL))

    @classmethod
    def of(cls, bars: Bars, state: SeriesState, params: EngineParams, step: int) -> Self:
        """Nothing yet, with room for what these bars, each `step` µs long, will have after `state`."""
        size, columns, counts = bars.size, len(COLUMNS) + 1, state.zone_counts[0]
        return cls(
            bars.open_time + step,
            np.empty((columns, size)),
            np.zeros(columns, np.int64),
            np.empty(size, np.int16),
            np.empty((2, size), np.uint8),
            ZoneColumns(int(counts["active"]), params.max_zones),
            ZoneColumns(int(counts["active_inversions"]), params.max_inversions),
        )

    def finish(self) -> None:
        """All spans have been run: leave out zones and inversions to which nothing happened."""
        if self.ts.size:
            before = int(self.ts[0]) - 1
            self.zones.drop_unchanged(before)
            self.inversions.drop_unchanged(before)


class Room:
    """What the kernels write to, used again for every span; nothing in it outlives one.

    Args:
        size: Bars of the longest span.
        max_zones: How many zones may be active.
        max_inversions: How many inversions may be.
    """

    def __init__(self, size: int, max_zones: int, max_inversions: int) -> None:
        self.capacity = size, max_zones, max_inversions
        zones_made = max_zones + 2 * size  # a gap and an order block a bar
        self.true_range = np.empty(size)
        self.sum_volume = np.empty(size)
        self.swings = np.empty(2 * size + 1, SWING)
        self.liquidity = np.empty(2 * size + 1, LIQUIDITY)
        self.breaks = np.empty(size + 1, BREAK)
        self.zones = np.empty(zones_made, ZONE)
        self.inversions = np.empty(max_inversions + zones_made, ZONE)  # each zone may make one
        self.zone_events = np.empty(3 * self.zones.size, ZONE_EVENT)  # created, touched, ended
        self.inversion_events = np.empty(3 * self.inversions.size, ZONE_EVENT)
        most = max(max_zones, max_inversions) + 1
        self.ladders = np.empty((2, most), RUNG)
        self.due = np.empty(most, np.int64)
        self.sizes = np.zeros(2, np.int64)
        self.signals = np.empty(size + 1, SIGNAL)


@contextmanager
def spare_room(size: int, params: EngineParams) -> Iterator[Room]:
    """A room nobody else works in, for spans of `size` bars: memory that has been written to is a fifth faster.

    One is kept for the next call. A call that raises, or that ends while one is kept already, lets its own go.
    """
    needed = size, params.max_zones, params.max_inversions
    try:
        room = _spare.pop()
    except IndexError:
        room = Room(*needed)
    if any(map(int.__gt__, needed, room.capacity)):
        room = Room(*map(max, needed, room.capacity))
    yield room
    if not _spare:
        _spare.append(room)

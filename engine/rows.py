"""What one section hands to the next, and what the tables are made of: rows as records of fixed layout.

Kernels write rows into arrays of these records; `engine.frames` makes them tables. Sides are signs everywhere: +1 is
HIGH, up, DEMAND and LONG, −1 is LOW, down, SUPPLY and SHORT. Bars are named twice, by their index t (distances are
counted in bars) and by their `ts` in µs since the epoch (what a row says; it cannot be told from t across holes).

Invariant: `NEVER` stands for an instant that does not exist (yet); the codes of names are positions in the tuples
below, and those stand in saved states: their order never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import types

from contracts.kernel import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER: Final = np.iinfo(np.int64).min

SWING_KINDS = ("HIGH", "LOW")
LABELS = ("HH", "LH", "LL", "HL")
BREAK_KINDS = ("CHOCH_UP", "CHOCH_DN", "BOS_UP", "BOS_DN")
LIQUIDITY_KINDS = ("EQH", "EQL", "SWEEP_HIGH", "SWEEP_LOW")
ZONE_KINDS = ("OB", "FVG", "BREAKER", "IFVG")
SIDES = ("DEMAND", "SUPPLY")
STATUSES = ("ACTIVE", "MITIGATED", "EXPIRED", "EVICTED")
ZONE_EVENTS = ("CREATED", "TOUCHED", "MITIGATED", "EXPIRED", "EVICTED")

SWING = np.dtype(
    [
        ("bar", "<i8"),  # t, when it was confirmed
        ("ts", "<i8"),
        ("pivot", "<i8"),  # q, where it is drawn
        ("pivot_ts", "<i8"),
        ("side", "<i8"),
        ("price", "<f8"),
        ("label", "<i8"),  # in LABELS; −1 = the first of its side
    ]
)

BREAK = np.dtype(
    [
        ("bar", "<i8"),
        ("ts", "<i8"),
        ("side", "<i8"),
        ("choch", "<i8"),  # 1 = CHOCH, 0 = BOS
        ("ref", "<i8"),  # pivot bar of the swing that was broken
        ("ref_ts", "<i8"),
        ("level", "<f8"),
    ]
)

LIQUIDITY = np.dtype(
    [
        ("ts", "<i8"),
        ("kind", "<i8"),  # in LIQUIDITY_KINDS
        ("ref_ts", "<i8"),
        ("level", "<f8"),
    ]
)

# An inversion is a zone too.
ZONE = np.dtype(
    [
        ("id", "<i8"),  # zones of a series are numbered as they come, inversions apart
        ("kind", "<i8"),  # in ZONE_KINDS
        ("side", "<i8"),
        ("price_lo", "<f8"),
        ("price_hi", "<f8"),
        ("created", "<i8"),  # bar
        ("created_ts", "<i8"),
        ("origin_ts", "<i8"),  # of an inversion: created_ts of its parent
        ("origin_event", "<i8"),  # in BREAK_KINDS; −1 = none
        ("strength", "<i8"),
        ("touches", "<i8"),  # so far; rows of tables say 0 or 1 until the zone has ended
        ("first_touch_ts", "<i8"),
        ("status", "<i8"),  # in STATUSES
        ("ended_ts", "<i8"),
        ("event_ts", "<i8"),  # of the last event
    ]
)

ZONE_EVENT = np.dtype(
    [
        ("bar", "<i8"),
        ("row", "<i8"),  # of the zone in its table of the span
        ("ts", "<i8"),
        ("event", "<i8"),  # in ZONE_EVENTS
        ("kind", "<i8"),
        ("created_ts", "<i8"),
        ("parent_ts", "<i8"),  # NEVER = it is no inversion
        ("touches", "<i8"),
    ]
)

# What is left of an event for its table: instants, and small numbers that take half the room.
EVENT_TIMES = np.dtype([(name, "<i8") for name in ("ts", "created_ts", "parent_ts")])
EVENT_CODES = np.dtype([(name, "<i4") for name in ("kind", "event", "touches")])

SIGNAL = np.dtype(
    [
        ("ts", "<i8"),
        ("side", "<i8"),
        ("entry", "<f8"),
        ("stop", "<f8"),
        ("score", "<f8"),
        ("flags", "<i8"),  # bits in the order of engine.retest.FLAGS
        ("retest_ok", "<i8"),
        ("structure_ok", "<i8"),
        ("zone_kind", "<i8"),  # in ZONE_KINDS
        ("zone_created_ts", "<i8"),
    ]
)


_int = types.int64
_matrix = types.Array(_int, 2, "C")
_STATUS, _EVENT_TS = (list(ZONE.fields or ()).index(name) for name in ("status", "event_ts"))
_ACTIVE = 0


@kernel(types.void(_matrix, _matrix, _int))
def transpose(rows: NDArray[np.int64], columns: NDArray[np.int64], at: int) -> None:
    """Write rows of shape (rows, fields) to columns of shape (fields, …) from place `at` on."""
    for row in range(rows.shape[0]):
        for field in range(rows.shape[1]):
            columns[field, at + row] = rows[row, field]


@kernel(types.void(_matrix, types.Array(_int, 1, "C"), _int, _matrix, _int))
def write_zones(
    zones: NDArray[np.int64], places: NDArray[np.int64], before: int, columns: NDArray[np.int64], at: int
) -> None:
    """Write the zones of a span to columns: known ones over what was there, new ones behind each other.

    Args:
        zones: `ZONE` records as a matrix.
        places: Where the first `before` of them stand in `columns`; written: where those stand that are active now.
        before: How many of them have a place.
        columns: Written, shape (fields, …).
        at: Place of the first new one.
    """
    active = 0
    for row in range(zones.shape[0]):
        place = places[row] if row < before else at + row - before
        for field in range(zones.shape[1]):
            columns[field, place] = zones[row, field]
        if zones[row, _STATUS] == _ACTIVE:
            places[active] = place
            active += 1


@kernel(_int(_matrix, _int, _int))
def close_up(columns: NDArray[np.int64], known: int, since: int) -> int:
    """Close up the first `known` zones to those to which something has happened later than `since`.

    Returns:
        Where the first of those left stands; the last stands where it stood.
    """
    start = known
    for place in range(known - 1, -1, -1):
        if columns[_EVENT_TS, place] > since:
            start -= 1
            if start != place:
                for field in range(columns.shape[0]):
                    columns[field, start] = columns[field, place]
    return start


class Columns:
    """Rows by column: written as records or straight to the matrix, read field by field.

    All fields of a record are of one size, so turning rows into columns is transposing one matrix.

    Args:
        dtype: Type of the records.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._places = {name: place for place, name in enumerate(dtype.names or ())}
        self._values = np.empty((len(self._places), 0), f"i{dtype.itemsize // len(self._places)}")
        self._start = self._end = 0

    @property
    def size(self) -> int:
        """How many rows."""
        return self._end - self._start

    @property
    def matrix(self) -> NDArray[Any]:
        """The bytes of all rows and of some more: shape (fields, rows or more), to be written to after `extend`."""
        return self._values

    def extend(self, rows: int, *, share: float) -> int:
        """Make room for more rows; what they say is up to the caller.

        Args:
            rows: How many.
            share: Which share of all that is to come is there with them, above 0 to 1: so room is made once.

        Returns:
            The place of the first of them in `matrix`.
        """
        at, self._end = self._end, self._end + rows
        if self._end > self._values.shape[1]:
            room = self._end if share == 1.0 else int(1.2 * self._end / share)
            values = np.empty((len(self._places), room), self._values.dtype)
            values[:, :at] = self._values[:, :at]
            self._values = values
        return at

    def append(self, rows: NDArray[np.void], *, share: float) -> None:
        """Copy records of eight-byte fields behind those there are; `share` as in `extend`."""
        if rows.size:
            at = self.extend(rows.size, share=share)
            transpose(self._matrix(rows), self._values, at)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One field of all rows, contiguous."""
        values: NDArray[Any] = self._values[self._places[name], self._start : self._end].view(self._dtype[name])
        return values

    def _matrix(self, rows: NDArray[np.void]) -> NDArray[np.int64]:
        return rows.view(np.int64).reshape(rows.size, len(self._places))


class ZoneColumns(Columns):
    """Zones by column, one row each in the order of creation: those active before a call, then those born in it.

    Args:
        active: How many are active before the call.
        limit: How many may be.
    """

    def __init__(self, active: int, limit: int) -> None:
        super().__init__(ZONE)
        self._known = active
        self._active = np.arange(limit)

    def settle(self, zones: NDArray[np.void], born: int, *, share: float) -> None:
        """Take in what became of zones in a span: of those active before it, in their order, then of the `born` ones.

        `share` as in `Columns.extend`.
        """
        before = zones.size - born
        at = self.extend(born if self._end else zones.size, share=share)
        write_zones(self._matrix(zones), self._active, before, self._values, max(at, before))

    def drop_unchanged(self, since: int) -> None:
        """Leave out zones to which nothing has happened later than `since`, once the call's last span has settled."""
        if self._end:
            self._start = close_up(self._values, self._known, since)

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

from engine.kernel import kernel

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

# Whole numbers all of them, in this order: kernels write them as a matrix too.
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

# What is left of an event for its table.
LOGGED = np.dtype([(name, "<i8") for name in ZONE_EVENT.names[2:]])  # type: ignore[index]

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


_matrix = types.Array(types.int64, 2, "C")


@kernel(types.void(_matrix, _matrix, types.int64))
def transpose(rows: NDArray[np.int64], columns: NDArray[np.int64], at: int) -> None:
    """Write rows of shape (rows, fields) to columns of shape (fields, …) from place `at` on.

    A field at a time, so that what is written is contiguous; numpy's own transposed copy takes longer.
    """
    for field in range(rows.shape[1]):
        column = columns[field]
        for row in range(rows.shape[0]):
            column[at + row] = rows[row, field]


class Columns:
    """Rows by column: written as records, read field by field.

    Every field of a record has eight bytes, so turning rows into columns is transposing one matrix.

    Args:
        dtype: Type of the records.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._places = {name: place for place, name in enumerate(dtype.names or ())}
        self._values = np.empty((len(self._places), 0), np.int64)
        self._size = 0

    @property
    def size(self) -> int:
        """How many rows."""
        return self._size

    @property
    def matrix(self) -> NDArray[np.int64]:
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
        start, self._size = self._size, self._size + rows
        if self._size > self._values.shape[1]:
            room = self._size if share == 1.0 else int(1.2 * self._size / share)
            values = np.empty((len(self._places), room), np.int64)
            values[:, :start] = self._values[:, :start]
            self._values = values
        return start

    def append(self, rows: NDArray[np.void], *, share: float) -> None:
        """Copy records behind those there are; `share` as in `extend`."""
        if rows.size:
            start = self.extend(rows.size, share=share)
            transpose(rows.view(np.int64).reshape(rows.size, -1), self._values, start)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One field of all rows, contiguous."""
        values: NDArray[Any] = self._values[self._places[name], : self._size].view(self._dtype[name])
        return values

    def gather(self, rows: NDArray[np.int64]) -> Columns:
        """The rows of these positions, in their order."""
        gathered = Columns(self._dtype)
        gathered._values = np.take(self._values, rows, axis=1)
        gathered._size = rows.size
        return gathered

"""Bars as integers: the simulator's only arithmetic, exact by construction.

A `Bars` is one integer matrix, a row a column name and a column a bar. Prices are counted in 10⁻ᵖ of the quote unit,
volumes in 10⁻ᵛ of the base unit, so sums and maxima are exact and text is a matter of placing a point.
Times are milliseconds since the epoch. Bars ascend in time and never repeat; a missing minute is simply not there.
History is cut into blocks of 8 days, whose boundaries are boundaries of every timeframe up to a day.

    rolled = rollup(minutes, Timeframe("15m"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from contracts import Timeframe

Matrix = npt.NDArray[np.int64]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
BLOCK_DAYS = 8
BLOCK_MS = BLOCK_DAYS * DAY_MS
ORIGIN_MS = int(datetime(2017, 1, 1, tzinfo=UTC).timestamp()) * 1000


class Col(IntEnum):
    """Rows of the matrix."""

    OPEN_MS = 0
    OPEN = 1
    HIGH = 2
    LOW = 3
    CLOSE = 4
    VOLUME = 5
    QUOTE = 6
    TRADES = 7
    TAKER_BASE = 8
    TAKER_QUOTE = 9


@dataclass(frozen=True, slots=True)
class Bars:
    """A run of bars of one timeframe.

    Attributes:
        cells: int64 (Python integers where a file's volumes outgrow it), shape (10, n), rows as in `Col`, ascending
            in `Col.OPEN_MS`.
    """

    cells: Matrix

    def __len__(self) -> int:
        return int(self.cells.shape[1])

    def __getitem__(self, column: Col) -> Matrix:
        row: Matrix = self.cells[column]
        return row

    def window(self, start_ms: int, end_ms: int) -> Bars:
        """The bars that open in [start, end)."""
        low, high = np.searchsorted(self.cells[Col.OPEN_MS], (start_ms, end_ms))
        return Bars(self.cells[:, low:high])

    def first(self, count: int) -> Bars:
        """The oldest `count` bars."""
        return Bars(self.cells[:, :count])

    def last(self, count: int) -> Bars:
        """The newest `count` bars."""
        return Bars(self.cells[:, max(0, len(self) - count) :])


def empty() -> Bars:
    """No bars."""
    return Bars(np.empty((len(Col), 0), dtype=np.int64))


def join(parts: Sequence[Bars]) -> Bars:
    """Consecutive runs as one."""
    filled = [part.cells for part in parts if len(part)]
    return Bars(np.concatenate(filled, axis=1)) if filled else empty()


def rollup(minutes: Bars, tf: Timeframe) -> Bars:
    """Bars of `tf` from 1m bars: first open, highest high, lowest low, last close, sums of the rest.

    A bar exists where at least one of its minutes does.
    """
    if not len(minutes):
        return minutes
    cells = minutes.cells
    slot = cells[Col.OPEN_MS] // duration_ms(tf)
    starts = np.flatnonzero(np.diff(slot, prepend=slot[0] - 1))
    ends = np.append(starts[1:], len(slot)) - 1
    out = np.empty((len(Col), len(starts)), dtype=cells.dtype)
    out[Col.OPEN_MS] = slot[starts] * duration_ms(tf)
    out[Col.OPEN] = cells[Col.OPEN][starts]
    out[Col.HIGH] = np.maximum.reduceat(cells[Col.HIGH], starts)
    out[Col.LOW] = np.minimum.reduceat(cells[Col.LOW], starts)
    out[Col.CLOSE] = cells[Col.CLOSE][ends]
    out[Col.VOLUME :] = np.add.reduceat(cells[Col.VOLUME :], starts, axis=1)
    return Bars(out)


def duration_ms(tf: Timeframe) -> int:
    """Duration of a bar in milliseconds."""
    return tf.us // 1000


def block_of(instant_ms: int) -> int:
    """Index of the block that an instant falls into (negative before the origin)."""
    return (instant_ms - ORIGIN_MS) // BLOCK_MS


def block_start(index: int) -> int:
    """First instant of a block, in milliseconds."""
    return ORIGIN_MS + index * BLOCK_MS

"""Which candles of a window are missing, as runs of grid slots. Pure arithmetic on integer microseconds.

A run is the half-open window [start, end) of consecutive open times for which there is no candle. Whether a run is a
hole, and of which cause, is decided by `assets.loading`; here nothing is asked of anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from contracts import Timeframe, from_us, to_us

OpenTimes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """Consecutive grid slots without a candle: open times in [start, end)."""

    start: datetime
    end: datetime

    def within(self, window: Run) -> Run:
        """The part of this run inside `window`; empty (start = end) where they do not meet."""
        start = max(self.start, window.start)
        return Run(start, max(start, min(self.end, window.end)))

    def slots(self, tf: Timeframe) -> OpenTimes:
        """Open times of its slots, in microseconds."""
        return np.arange(to_us(tf.ceil(self.start)), to_us(self.end), tf.us, dtype=np.int64)


def open_times(candles: pl.DataFrame) -> OpenTimes:
    """Open times of a candle or bar frame in microseconds, in the frame's order."""
    found: OpenTimes = candles["open_time"].dt.epoch("us").to_numpy()
    return found


def missing_runs(present: Iterable[OpenTimes], run: Run, tf: Timeframe) -> list[Run]:
    """The runs of `run` for which no array of `present` holds an open time, oldest first.

    Args:
        present: Open times in microseconds; they may overlap, be unsorted, or reach beyond the window.
        run: The window looked at; its ends need not be on the grid.
        tf: The grid.
    """
    have = np.concatenate([np.empty(0, np.int64), *present])
    return runs_of(np.setdiff1d(run.slots(tf), have), tf)


def runs_of(times: OpenTimes, tf: Timeframe) -> list[Run]:
    """Ascending open times in microseconds as maximal runs."""
    if times.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(times) != tf.us)
    starts = times[np.concatenate([[0], breaks + 1])]
    ends = times[np.concatenate([breaks, [times.size - 1]])] + tf.us
    return [Run(from_us(int(start)), from_us(int(end))) for start, end in zip(starts, ends, strict=True)]

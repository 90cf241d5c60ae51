"""What may enter a series: bars on the grid, in order, with prices that can be.

A kernel finds the first unsound row (sound stretches are checked several bars at a time); the reason is then put into
words here, from that row alone.

Invariant: every bar that passes has `0 < low ≤ open, close ≤ high < ∞` and `0 ≤ volume < ∞`, and opens on the grid
after the bar before it. Holes pass (law 5). Left out: what a missing candle means; that is the caller's to know.

    bars = read_bars(frame)
    check_bars(bars, key.tf, start=0, end=bars.size, last_open_time=None)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numba import types

from contracts import from_us
from contracts.candles import BAR_SCHEMA
from contracts.kernel import formula, instants, kernel, reals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contracts import Timeframe

_COLUMNS, _DTYPES = BAR_SCHEMA.names(), BAR_SCHEMA.dtypes()
_PRICES = ("open", "high", "low", "close")
_BLOCK = 1024

MICRO_BOS = "micro_bos"
_FIRST_OPEN, _LAST_OPEN = -62_135_596_800_000_000, 253_370_764_799_999_999  # µs: years 1 to 9998


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars as the kernels read them: one array a column, open times in µs since the epoch."""

    open_time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    micro_bos: NDArray[np.int8]

    @property
    def size(self) -> int:
        """How many bars."""
        return self.open_time.size

    def span(self, start: int, end: int) -> Bars:
        """The bars of [start, end), over the same memory."""
        return Bars(
            self.open_time[start:end],
            self.open[start:end],
            self.high[start:end],
            self.low[start:end],
            self.close[start:end],
            self.volume[start:end],
            self.micro_bos[start:end],
        )


@formula
def _possible(open_: float, high: float, low: float, close: float, volume: float) -> bool:
    inside = (low > 0.0) & (high < math.inf) & (open_ >= low) & (open_ <= high) & (close >= low) & (close <= high)
    return inside & (volume >= 0.0) & (volume < math.inf)


@formula
def _uneven(open_time: NDArray[Any], step: int) -> int:
    """How many bars do not open one step after the bar before them."""
    found = 0
    before, after = open_time[:-1], open_time[1:]
    for i in range(before.size):
        found += after[i] - before[i] != step
    return found


@formula
def _impossible(
    open_: NDArray[Any], high: NDArray[Any], low: NDArray[Any], close: NDArray[Any], volume: NDArray[Any]
) -> int:
    """How many bars have values that cannot be."""
    found = 0
    for i in range(open_.size):
        found += not _possible(open_[i], high[i], low[i], close[i], volume[i])
    return found


@kernel(types.int64(instants, reals, reals, reals, reals, reals, types.int64, types.int64))
def first_unsound(
    open_time: NDArray[np.int64],
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    previous: int,
    step: int,
) -> int:
    """Index of the first row that cannot follow, or −1.

    Args:
        open_time: µs since the epoch.
        open_: Prices in quote units, like high, low and close.
        high: See `open_`.
        low: See `open_`.
        close: See `open_`.
        volume: Base units.
        previous: Open time of the bar before the first row; any earlier instant where there is none.
        step: Duration of the timeframe in µs.
    """
    size = open_time.size
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        # A bar that opens one step after a bar on the grid is on the grid: no division, except for a call's first row.
        sound = start > 0 or (open_time[0] % step == 0 and open_time[0] > previous)
        faults = _uneven(open_time[max(start - 1, 0) : end], step)
        faults += _impossible(open_[start:end], high[start:end], low[start:end], close[start:end], volume[start:end])
        if faults > 0 or not sound:
            for i in range(start, end):
                after = previous if i == 0 else open_time[i - 1]
                if open_time[i] <= after or open_time[i] % step != 0:
                    return i
                if not _possible(open_[i], high[i], low[i], close[i], volume[i]):
                    return i
    return -1


def read_bars(frame: pl.DataFrame) -> Bars:
    """The columns of a bar frame, not yet checked row by row.

    Args:
        frame: Columns of `contracts.candles.BAR_SCHEMA`, in any order, without nulls; optionally `micro_bos`, Int8.

    Raises:
        ValueError: A column is missing, unknown or of another type, a value is null, or a `micro_bos` is no side.
    """
    _check_schema(frame)
    columns = dict(zip(frame.columns, frame.get_columns(), strict=True))
    _check_nulls(columns)
    if MICRO_BOS in columns:
        micro_bos = columns[MICRO_BOS].to_numpy()
        _check_sides(frame, micro_bos)
    else:
        micro_bos = np.zeros(frame.height, np.int8)
    return Bars(
        columns["open_time"].to_numpy().view(np.int64),
        columns["open"].to_numpy(),
        columns["high"].to_numpy(),
        columns["low"].to_numpy(),
        columns["close"].to_numpy(),
        columns["volume"].to_numpy(),
        micro_bos,
    )


def check_bars(bars: Bars, tf: Timeframe, *, start: int, end: int, last_open_time: int | None) -> None:
    """Refuse the bars of [start, end) unless every one can follow the one before it.

    Args:
        bars: All bars of a call; those before `start` are sound.
        tf: Timeframe of the series.
        start: First row to check.
        end: First row not to check; above `start`.
        last_open_time: Open time of the last bar before row 0, in µs; None where there is none.

    Raises:
        ValueError: A row is unsound. The message names the row, its open time and what was received.
    """
    if start:
        previous = int(bars.open_time[start - 1])
    else:
        _check_times(bars)
        previous = int(bars.open_time[0]) - tf.us if last_open_time is None else last_open_time
    span = bars.span(start, end)
    row = first_unsound(span.open_time, span.open, span.high, span.low, span.close, span.volume, previous, tf.us)
    if row >= 0:
        raise ValueError(_refusal(bars, start + row, tf, last_open_time))


def _check_times(bars: Bars) -> None:
    """Refuse instants that no datetime can tell: nothing later could be computed from them, or even printed."""
    for row in (int(bars.open_time.argmin()), int(bars.open_time.argmax())):
        opened = int(bars.open_time[row])
        if not _FIRST_OPEN <= opened <= _LAST_OPEN:
            msg = f"{_place(row, opened)}: open_time must lie in the years 1 to 9998"
            raise ValueError(msg)


def _check_schema(frame: pl.DataFrame) -> None:
    if frame.columns == _COLUMNS and frame.dtypes == _DTYPES:  # as nearly every live bar is: comparing schemas is slow
        return
    received, needed = dict(frame.schema), dict(BAR_SCHEMA)
    if MICRO_BOS in received:
        needed[MICRO_BOS] = pl.Int8()
    faults = [f"{name} is missing" for name in needed if name not in received]
    faults += [f"{name} is not a column of a bar" for name in received if name not in needed]
    faults += [
        f"{name} is {received[name]}, not {dtype}"
        for name, dtype in needed.items()
        if name in received and received[name] != dtype
    ]
    if faults:
        msg = f"these are no bars: {'; '.join(faults)}; see contracts.candles.BAR_SCHEMA"
        raise ValueError(msg)


def _check_nulls(columns: dict[str, pl.Series]) -> None:
    for name, column in columns.items():
        if column.null_count():
            row = column.is_null().arg_true()[0]
            opened = columns["open_time"].to_physical()[row]
            msg = f"{_place(row, opened)}: {name} is null; leave a missing candle out, never half of one"
            raise ValueError(msg)


def _check_sides(frame: pl.DataFrame, micro_bos: NDArray[np.int8]) -> None:
    foreign = np.flatnonzero((micro_bos < -1) | (micro_bos > 1))
    if foreign.size:
        row = int(foreign[0])
        opened = frame["open_time"].to_physical()[row]
        msg = f"{_place(row, opened)}: {MICRO_BOS} must be -1, 0 or 1, received {micro_bos[row]}"
        raise ValueError(msg)


def _place(row: int, open_time: int | None) -> str:
    return f"bar {row}" if open_time is None else f"bar {row} (open_time {_instant(open_time)})"


def _instant(open_time: int) -> str:
    try:
        return from_us(open_time).isoformat()
    except OverflowError:  # beyond the years a datetime can tell
        return f"{open_time} µs"


def _refusal(bars: Bars, row: int, tf: Timeframe, last_open_time: int | None) -> str:
    """Why `row` is unsound, in words."""
    opened = int(bars.open_time[row])
    before = last_open_time if row == 0 else int(bars.open_time[row - 1])
    reason = _time_fault(opened, before, tf, first=row == 0) or _value_fault(
        {name: float(getattr(bars, name)[row]) for name in (*_PRICES, "volume")}
    )
    return f"{_place(row, opened)}: {reason}"


def _time_fault(opened: int, before: int | None, tf: Timeframe, *, first: bool) -> str | None:
    if before is not None and opened <= before:
        if first:
            return f"not after the last bar of the series, which opened at {_instant(before)}"
        fault = "twice the same open_time" if opened == before else "out of order"
        return f"{fault}: the row before has {_instant(before)}"
    if opened % tf.us:
        return f"off the grid of {tf}"
    return None


def _value_fault(values: dict[str, float]) -> str:
    for name in _PRICES:
        if not 0.0 < values[name] < math.inf:
            return f"{name} must be finite and positive, received {values[name]}"
    low, high = values["low"], values["high"]
    if low > high:
        return f"low {low} lies above high {high}"
    for name in ("open", "close"):
        if not low <= values[name] <= high:
            return f"{name} {values[name]} lies outside [low, high] = [{low}, {high}]"
    return f"volume must be finite and not negative, received {values['volume']}"

"""From the kernels' arrays to the tables' frames: `NaN` inside, `null` outside, nothing copied.

A column's values are lent to polars through Arrow buffers. Undefined values stand at the start of a series, so
their bitmap is made from a count; only where an overflow left a NaN elsewhere is the column looked through.

Invariant: columns, names and order are those of schema.md; frames without rows are shared, not made.

    indicator_frame(key, open_time, out, undefined)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl
import pyarrow as pa

from engine.features import COLUMNS
from engine.regime import NO_ROW, REGIMES, VOL_STATES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contracts import SeriesKey

_KEY = {"venue": pl.String(), "symbol": pl.String(), "tf": pl.String(), "ts": pl.Datetime("us", "UTC")}
_REGIMES = pl.Series("regime", REGIMES, pl.Enum(REGIMES))
_VOL_STATES = pl.Series("vol_state", VOL_STATES, pl.Enum(VOL_STATES))

INDICATOR_SCHEMA = pl.Schema({**_KEY, **dict.fromkeys(COLUMNS, pl.Float64())})
REGIME_SCHEMA = pl.Schema({**_KEY, "regime": _REGIMES.dtype, "vol_state": _VOL_STATES.dtype})

_NO_INDICATORS = INDICATOR_SCHEMA.to_frame()
_NO_REGIMES = REGIME_SCHEMA.to_frame()


def indicator_frame(
    key: SeriesKey,
    open_time: NDArray[np.int64],
    *,
    values: NDArray[np.float64],
    undefined: NDArray[np.int64],
) -> pl.DataFrame:
    """The rows of table `indicators`.

    Args:
        key: Series of the bars.
        open_time: µs since the epoch, one a bar.
        values: Shape (columns, bars); a row for each of `engine.features.COLUMNS`.
        undefined: How many NaN each row of `values` has.
    """
    if open_time.size == 0:
        return _NO_INDICATORS
    columns = [_reals(name, values[row], int(undefined[row])) for row, name in enumerate(COLUMNS)]
    return _keyed(key, open_time, columns)


def regime_frame(key: SeriesKey, open_time: NDArray[np.int64], *, codes: NDArray[np.uint8], rows: int) -> pl.DataFrame:
    """The rows of table `regimes`.

    Args:
        key: Series of the bars.
        open_time: µs since the epoch, one a bar.
        codes: Shape (2, bars): regime and vol_state as `engine.regime.regimes` wrote them.
        rows: How many bars have a row.
    """
    if rows == 0:
        return _NO_REGIMES
    start = open_time.size - rows
    if codes[0, start:].max() == NO_ROW:
        present = codes[0] != NO_ROW
        open_time, codes = open_time[present], codes[:, present]
    else:
        open_time, codes = open_time[start:], codes[:, start:]
    columns = [_REGIMES.gather(pl.Series(codes[0])), _VOL_STATES.gather(pl.Series(codes[1]))]
    return _keyed(key, open_time, columns)


def _keyed(key: SeriesKey, open_time: NDArray[np.int64], columns: list[pl.Series]) -> pl.DataFrame:
    ts = _lent(pa.int64(), open_time + key.tf.us, None).cast(_KEY["ts"]).alias("ts")
    texts = {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf)}
    return pl.DataFrame([ts, *columns]).select(*(pl.lit(text).alias(name) for name, text in texts.items()), pl.all())


def _reals(name: str, values: NDArray[np.float64], undefined: int) -> pl.Series:
    if undefined == 0:
        valid = None
    elif np.isnan(values[:undefined]).all():
        valid = np.full(values.size // 8 + 1, 0xFF, np.uint8)
        valid[: undefined // 8] = 0
        valid[undefined // 8] = 0xFF << undefined % 8 & 0xFF
    else:
        valid = np.packbits(~np.isnan(values), bitorder="little")
    return _lent(pa.float64(), values, valid).alias(name)


def _lent(dtype: pa.DataType, values: NDArray[np.generic], valid: NDArray[np.uint8] | None) -> pl.Series:
    """A series over the memory of `values` (contiguous, never written to again); a zero bit of `valid` is a null."""
    bitmap = None if valid is None else pa.py_buffer(valid)
    array = pa.Array.from_buffers(dtype, values.size, [bitmap, pa.py_buffer(values)])
    return cast("pl.Series", pl.from_arrow(array))

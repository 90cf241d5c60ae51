"""Equality to the last bit: values through their integer views, nulls through their masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine import SeriesRows


def assert_same_bits(left: pl.DataFrame, right: pl.DataFrame) -> None:
    """Fail with the first differing cell."""
    assert left.schema == right.schema
    assert left.height == right.height
    for name in left.columns:
        a, b = left[name], right[name]
        differing = a.is_null() != b.is_null()
        if a.dtype == pl.Float64:
            bits_a, bits_b = (pl.Series(s.fill_null(0.0).to_numpy().view(np.int64)) for s in (a, b))
            differing |= bits_a != bits_b
        else:
            differing |= a.ne_missing(b)
        rows = differing.arg_true()
        assert rows.is_empty(), f"{name}[{rows[0]}]: {a[rows[0]]!r} is not {b[rows[0]]!r}"


def joined(outputs: Iterable[SeriesRows]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both tables of consecutive calls, as if they had been one."""
    kept = list(outputs)
    return pl.concat([rows.indicators for rows in kept]), pl.concat([rows.regimes for rows in kept])

"""Equality to the last bit: values through their integer views, nulls through their masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine import SeriesRows

# Tables of which a later row replaces an earlier one of the same key.
LIVING = {"zones": ["kind", "created_ts"], "inversions": ["kind", "parent_created_ts"]}


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


def joined(outputs: Iterable[SeriesRows]) -> dict[str, pl.DataFrame]:
    """Every table of consecutive calls, as if they had been one."""
    kept = list(outputs)
    tables = {table: pl.concat([rows.frame(table) for rows in kept]) for table in TABLES}
    for table, key in LIVING.items():
        tables[table] = in_order(table, tables[table].unique(key, keep="last"))
    return tables


def in_order(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Zones and inversions by their key, which they are unique in; every other table as it is."""
    return frame.sort(*reversed(LIVING[table])) if table in LIVING else frame


def tables_of(rows: SeriesRows) -> dict[str, pl.DataFrame]:
    """Every table of one call."""
    return {table: in_order(table, rows.frame(table)) for table in TABLES}


def assert_same_tables(left: Mapping[str, pl.DataFrame], right: Mapping[str, pl.DataFrame]) -> None:
    """Fail with the first differing cell of the first differing table."""
    assert left.keys() == right.keys()
    for table, frame in left.items():
        try:
            assert_same_bits(frame, right[table])
        except AssertionError as error:
            msg = f"{table}: {error}"
            raise AssertionError(msg) from error

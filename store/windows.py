"""Windows of the analysis tables in SQL: the rows of a series in a span of time, read, found and forgotten.

A window is half-open over the instants its rows became known at (`store.frames.TIMES`). Floats leave the database with
the bits they have there; NUMERIC becomes the nearest float64, which is the one it was written from.

    source = sql.SQL("SELECT * {} ORDER BY ts").format(rows_known("swings"))
    frame = read_frame(conn, "swings", key, source, series_params(key, start=first, end=stop))
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl
import psycopg
from psycopg import sql

from contracts import SeriesKey
from store.connections import translated
from store.copying import read_arrays
from store.frames import INSTANT, SCHEMAS, TIMES, AnalysisTable

_UNDEFINED_US: Final = np.iinfo(np.int64).min + 946_684_800_000_000  # '-infinity', as copying decodes it


def series_params(key: SeriesKey, **others: object) -> dict[str, Any]:
    """Bound parameters of a query on one series."""
    return {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf), **others}


def rows_known(table: AnalysisTable) -> sql.Composed:
    """`FROM` and `WHERE` of a series' rows that became known in [%(start)s, %(end)s), for `series_params`."""
    return sql.SQL(
        "FROM {} WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND {} >= %(start)s AND {} < %(end)s"
    ).format(sql.Identifier("analysis", table), *[sql.Identifier(TIMES[table])] * 2)


def allow_any_decompression(conn: psycopg.Connection) -> None:
    """Let this transaction touch as many compressed rows as a series has (TimescaleDB's own limit is 100,000)."""
    conn.execute("SELECT set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true)")


def forget_since(conn: psycopg.Connection, table: AnalysisTable, key: SeriesKey, at: datetime) -> int:
    """Delete a series' rows that became known at `at` or later; returns how many."""
    query = sql.SQL("DELETE FROM {} WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND {} >= %(at)s")
    return conn.execute(
        query.format(sql.Identifier("analysis", table), sql.Identifier(TIMES[table])),
        series_params(key, at=at),
        prepare=False,
    ).rowcount


def read_frame(
    conn: psycopg.Connection,
    table: AnalysisTable,
    key: SeriesKey,
    source: sql.Composable,
    params: dict[str, Any],
) -> pl.DataFrame:
    """Run a query for rows of a table whose columns, beyond the series, are instants, numbers and known words.

    Args:
        conn: The caller's connection.
        table: Whose schema the rows have.
        key: The series, constant in the frame.
        source: A subquery that yields the table's columns in the wanted order.
        params: Its bound parameters.
    """
    series = {name: pl.lit(text) for name, text in series_params(key).items()}
    schema = {name: dtype for name, dtype in SCHEMAS[table].items() if name not in series}
    with translated(f"read {table}", key=key):
        arrays = read_arrays(conn, [_expression(name, dtype) for name, dtype in schema.items()], source, params)
    columns = [
        _column(name, dtype, pl.Series(name, array))
        for (name, dtype), array in zip(schema.items(), arrays, strict=True)
    ]
    return pl.DataFrame(columns).with_columns(**series).select(SCHEMAS[table].names())


def _expression(name: str, dtype: pl.DataType) -> sql.Composable:
    """A column as what `read_arrays` takes: an instant or a float8, never null."""
    column = sql.Identifier(name)
    if dtype == INSTANT:
        return sql.SQL("coalesce({}, '-infinity')").format(column)
    if isinstance(dtype, pl.Enum):
        words: Sequence[str] = dtype.categories.to_list()
        position = sql.SQL("array_position(ARRAY[{}], {})").format(sql.SQL(", ").join(map(sql.Literal, words)), column)
        return sql.SQL("coalesce({}::float8, 'NaN')").format(position)
    return sql.SQL("coalesce({}::float8, 'NaN')").format(column)


def _column(name: str, dtype: pl.DataType, values: pl.Series) -> pl.Series:
    if dtype == INSTANT:
        known = values.set(values == _UNDEFINED_US, None)
        return known.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    numbers = values.fill_nan(None)
    if isinstance(dtype, pl.Enum):
        return dtype.categories.gather(numbers.cast(pl.UInt32) - 1).cast(dtype).alias(name)
    return numbers.cast(dtype)

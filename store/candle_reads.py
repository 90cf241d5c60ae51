"""Reading candles: exact text for people and digests, float64 for the engine, missing grid slots for the ledger.

Windows are half-open [start, end) over open times. What is read inside a transaction is what that transaction sees:
whoever reads in pieces and needs them to fit together opens `connections.one_snapshot` around them.

    bars = read_bars(conn, key, start, end)
    rows, sha256 = stored_digest(conn, key, start, end)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

import polars as pl
import psycopg
from psycopg import sql

from contracts import SeriesKey, from_us, to_us
from contracts.candles import BAR_SCHEMA, CANDLE_SCHEMA
from store.connections import translated
from store.copying import read_arrays

_WINDOW: Final[LiteralString] = """
SELECT * FROM market.candles
WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND open_time >= %(start)s AND open_time < %(end)s
ORDER BY open_time
"""
_WINDOW_QUERY: Final = sql.SQL(_WINDOW)
# Not min and max: of a table without statistics the planner takes a series to be one row, and reads all of them.
_SERIES_TIMES: Final[LiteralString] = """
SELECT open_time FROM market.candles WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s ORDER BY open_time
"""
_EXTENT: Final[LiteralString] = f"SELECT ({_SERIES_TIMES} LIMIT 1), ({_SERIES_TIMES} DESC LIMIT 1)"

# `open_time_us|o|h|l|c|v|quote_vol|trades|taker_buy_vol`: the line contracts.candles.digest is made of. Seconds are
# exact in float8, and no timeframe opens between seconds.
CANDLE_LINE: Final[LiteralString] = """
concat_ws('|', date_part('epoch', open_time)::bigint * 1000000, trim_scale(open), trim_scale(high), trim_scale(low),
          trim_scale(close), trim_scale(volume), trim_scale(quote_vol), trades, trim_scale(taker_buy_vol))
"""
_LINES: Final = sql.SQL(f"SELECT string_agg({CANDLE_LINE}, E'\\n') FROM ({_WINDOW}) AS ordered")  # noqa: S608 - constants
_DIGEST: Final = sql.SQL(
    f"""
    SELECT count(*), encode(sha256(convert_to(coalesce(string_agg({CANDLE_LINE} || E'\\n', ''), ''), 'UTF8')), 'hex')
    FROM ({_WINDOW}) AS ordered
    """  # noqa: S608 - constants
)
_LINE_COLUMNS: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_vol",
    "trades",
    "taker_buy_vol",
)


@dataclass(frozen=True, slots=True)
class Extent:
    """What is stored of a series.

    Attributes:
        first: Open time of the first candle.
        last: Open time of the last candle.
    """

    first: datetime
    last: datetime


def read_candles(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> pl.DataFrame:
    """The candle frame of a window: decimal text without trailing zeros, ascending open times."""
    with translated("read candles", key=key):
        row = conn.execute(_LINES, _params(key, start, end), prepare=False).fetchone()
    return candles_of_lines(None if row is None else row[0], CANDLE_SCHEMA)


def candle_pieces(
    conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime, *, slots: int = 50_000
) -> Iterator[pl.DataFrame]:
    """The candles of a window of any length as candle frames, one after the other, each of at most `slots` candles.

    For exports: memory stays that of a piece (50,000 candles are about 15 MB on the way). Pieces without a candle are
    left out.
    """
    stored = extent(conn, key)
    if stored is None:
        return
    position, stop = max(key.tf.floor(start), stored.first), min(end, stored.last + timedelta(microseconds=1))
    while position < stop:
        following = position + timedelta(microseconds=slots * key.tf.us)
        piece = read_candles(conn, key, max(position, start), min(following, stop))
        if not piece.is_empty():
            yield piece
        position = following


def candles_of_lines(lines: str | None, schema: pl.Schema) -> pl.DataFrame:
    """The frame of `CANDLE_LINE` lines.

    Args:
        lines: One a candle; None = none.
        schema: `CANDLE_SCHEMA`, and behind it whatever the lines hold behind the candle; instants are microseconds.
    """
    if lines is None:
        return schema.to_frame()
    names = [*_LINE_COLUMNS, *schema.names()[len(_LINE_COLUMNS) :]]
    instants = [name for name in names if schema[name].base_type() == pl.Datetime]
    texts = pl.read_csv(
        lines.encode(),
        has_header=False,
        separator="|",
        quote_char=None,
        new_columns=names,
        schema_overrides=[pl.Int64 if name in instants else schema[name] for name in names],
    )
    known = (pl.from_epoch(name, time_unit="us").dt.replace_time_zone("UTC") for name in instants)
    return texts.with_columns(known).select(schema.names())


def read_bars(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> pl.DataFrame:
    """The bar frame of a window: each decimal as the nearest float64, ascending open times."""
    columns = [
        sql.Identifier("open_time"),
        *(sql.SQL("{}::float8").format(sql.Identifier(name)) for name in BAR_SCHEMA.names()[1:]),
    ]
    with translated("read bars", key=key):
        arrays = read_arrays(conn, columns, _WINDOW_QUERY, _params(key, start, end))
    data = dict(zip(BAR_SCHEMA.names(), arrays, strict=True))
    opened = pl.Series("open_time", data.pop("open_time")).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.DataFrame([opened, *(pl.Series(name, values) for name, values in data.items())], schema=BAR_SCHEMA)


def stored_digest(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> tuple[int, str]:
    """Number and digest of the stored candles of a window, computed in the database.

    Equal to `contracts.candles.digest(read_candles(...))`, without moving the candles.
    """
    with translated("digest candles", key=key):
        row = conn.execute(_DIGEST, _params(key, start, end), prepare=False).fetchone()
    return (0, hashlib.sha256().hexdigest()) if row is None else (int(row[0]), str(row[1]))


def extent(conn: psycopg.Connection, key: SeriesKey) -> Extent | None:
    """First and last stored open time of a series; None where nothing is stored."""
    with translated("read the extent", key=key):
        row = conn.execute(_EXTENT, {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf)}).fetchone()
    return None if row is None or row[0] is None else Extent(row[0], row[1])


def last_open_time(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> datetime | None:
    """Open time of the last stored candle of a window; None where it holds none."""
    with translated("read the last open time", key=key):
        row = conn.execute(
            """
            SELECT max(open_time) FROM market.candles
            WHERE venue = %s AND symbol = %s AND tf = %s AND open_time >= %s AND open_time < %s
            """,
            [key.venue, key.symbol, str(key.tf), start, end],
        ).fetchone()
    return None if row is None else row[0]


def source_counts(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> dict[str, int]:
    """How many stored candles of a window came from which source."""
    with translated("count sources", key=key):
        rows = conn.execute(
            sql.SQL("SELECT source, count(*) FROM ({}) AS ordered GROUP BY source ORDER BY source").format(
                _WINDOW_QUERY
            ),
            _params(key, start, end),
            prepare=False,
        ).fetchall()
    return {str(source): int(count) for source, count in rows}


def missing_ranges(
    conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """The grid slots of [start, end) that hold no candle, as maximal half-open ranges, in order.

    Both edges are moved up to the grid first; a window without a slot has no missing range.
    """
    first, stop = key.tf.ceil(start), key.tf.ceil(end)
    if first >= stop:
        return []
    with translated("look for holes", key=key):
        [opened] = read_arrays(
            conn,
            [sql.Identifier("open_time")],
            _WINDOW_QUERY,
            _params(key, first, stop),
        )
    length = key.tf.us
    present = pl.Series("from_us", opened, dtype=pl.Int64)
    # A range is missing between the end of one stored slot (or the window's start) and the next (or the window's end).
    edges = pl.DataFrame(
        {
            "from_us": pl.concat([pl.Series([to_us(first)]), present + length]),
            "to_us": pl.concat([present, pl.Series([to_us(stop)])]),
        }
    ).filter(pl.col("from_us") < pl.col("to_us"))
    return [(from_us(a), from_us(b)) for a, b in edges.iter_rows()]


def _params(key: SeriesKey, start: datetime, end: datetime) -> dict[str, Any]:
    return {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf), "start": start, "end": end}

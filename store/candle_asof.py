"""The candles of a series as they stood at an earlier instant, from the table and what it has replaced since.

Law: as of `at`, the answer is what a reader would have found then, whatever was merged later. A version stands from
the instant it came in until the one that took its place did, which the merge files to the microsecond; arrivals that
lost never stood. The law needs clocks of the writers that do not run backwards: of versions that claim one slot at
once, the one that came in last is taken.

    frame = candles_as_of(conn, key, start, end, at=instant)
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA
from store.candle_reads import CANDLE_LINE, candles_of_lines
from store.connections import translated
from store.frames import INSTANT

# source and ingested_at: of the version that stood, where and when it came in.
AS_OF_SCHEMA: Final = pl.Schema({**CANDLE_SCHEMA, "source": pl.String(), "ingested_at": INSTANT})

_VALUES: Final = "open_time, open, high, low, close, volume, trades, taker_buy_vol, quote_vol, source"
_SERIES: Final = (
    "venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND open_time >= %(start)s AND open_time < %(end)s"
)

# Of a revision that lost, superseded_at is null: it is never later than anything.
# date_part counts in float8: whole microseconds of this century survive it once rounded, and it is faster than exact.
_CAME_IN: Final = "round(date_part('epoch', came_in) * 1000000)::bigint"
_AS_OF: Final = sql.SQL(
    f"""
    SELECT string_agg(concat_ws('|', {CANDLE_LINE}, source, {_CAME_IN}), E'\\n')
    FROM (
        SELECT * FROM (
            SELECT {_VALUES}, ingested_at AS came_in FROM market.candles
            WHERE {_SERIES} AND ingested_at <= %(at)s
            UNION ALL
            SELECT {_VALUES}, seen_at FROM market.candle_revisions
            WHERE {_SERIES} AND seen_at <= %(at)s AND superseded_at > %(at)s
        ) AS versions
        ORDER BY open_time, came_in
    ) AS ordered
    """  # noqa: S608 - composed of the constants above alone
)


def candles_as_of(
    conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime, *, at: datetime
) -> pl.DataFrame:
    """The candles of [start, end) as they stood at `at`.

    Args:
        conn: A connection.
        key: The series.
        start: First open time.
        end: Exclusive end.
        at: The instant whose knowledge is asked for; what came in at that very instant counts.

    Returns:
        `AS_OF_SCHEMA`: decimal text without trailing zeros, ascending open times, a hole where nothing was stored yet.
    """
    params = {
        "venue": key.venue,
        "symbol": key.symbol,
        "tf": str(key.tf),
        "start": start,
        "end": end,
        "at": at,
    }
    with translated(f"read candles as of {at.isoformat()}", key=key):
        row = conn.execute(_AS_OF, params, prepare=False).fetchone()
    versions = candles_of_lines(None if row is None else row[0], AS_OF_SCHEMA)
    return versions.filter(pl.col("open_time").ne_missing(pl.col("open_time").shift(-1)))

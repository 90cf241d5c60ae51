"""Questions that stored candles must be able to answer with "none": what the asset checks ask.

Each question looks at one series and the half-open window [start, end) of open times, and returns what it found
wrong, at most `MOST` places with the whole count. The answers describe; whether they block anything is decided by the
checks.

    broken = broken_prices(conn, key, start, end)
    broken.count, broken.places
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from contracts import SeriesKey
from store.candle_reads import extent, missing_ranges, stored_digest
from store.connections import translated
from store.gaps import holes
from store.ledger import digests

MOST: Final = 20

_WINDOW: Final[LiteralString] = """
FROM market.candles
WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND open_time >= %(start)s AND open_time < %(end)s
"""


@dataclass(frozen=True, slots=True)
class Violations:
    """What one question found.

    Attributes:
        count: How many places are wrong.
        places: The first `MOST` of them, as texts for a person.
    """

    count: int = 0
    places: tuple[str, ...] = ()

    def __add__(self, other: Violations) -> Violations:
        return Violations(self.count + other.count, (*self.places, *other.places)[:MOST])


def off_grid(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> Violations:
    """Candles whose open time is no multiple of the timeframe, or whose close time does not follow from it."""
    return _rows(
        conn,
        key,
        start,
        end,
        "date_bin(%(length)s, open_time, 'epoch'::timestamptz) <> open_time "
        "OR close_time <> open_time + %(length)s - interval '1 millisecond'",
    )


def doubled(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> Violations:
    """Open times that more than one row claims (the primary key forbids it; this does not trust it)."""
    query = sql.SQL("SELECT open_time {} GROUP BY open_time HAVING count(*) > 1 ORDER BY open_time").format(
        sql.SQL(_WINDOW)
    )
    return _found(conn, key, start, end, query)


def broken_prices(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> Violations:
    """Candles with a price that is not positive, or an open or close outside [low, high]."""
    return _rows(conn, key, start, end, "low <= 0 OR low > least(open, close) OR high < greatest(open, close)")


def unexplained_holes(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> Violations:
    """Runs of slots before the last stored candle of the series that hold no candle and stand in no ledger row."""
    stored = extent(conn, key)
    if stored is None:
        return Violations()
    known = [(hole.start, hole.end) for hole in holes(conn, key, start, end)]
    found = []
    for first, stop in missing_ranges(conn, key, max(start, stored.first), min(end, stored.last)):
        covered = sum(
            key.tf.bars_in(max(first, begun), min(stop, over)) for begun, over in known if begun < stop and over > first
        )
        if covered < key.tf.bars_in(first, stop):
            found.append(f"{key} {first.isoformat()} to {stop.isoformat()}")
    return Violations(len(found), tuple(found[:MOST]))


def digest_mismatches(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> Violations:
    """Months whose stored candles do not have the digest that was written when they were loaded."""
    found = []
    for entry in digests(conn, key):
        begun = datetime(entry.month.year, entry.month.month, 1, tzinfo=start.tzinfo)
        over = datetime(begun.year + begun.month // 12, begun.month % 12 + 1, 1, tzinfo=start.tzinfo)
        if begun < start or begun >= end:
            continue
        rows, sha256 = stored_digest(conn, key, begun, over)
        if (rows, sha256) != (entry.rows, entry.sha256):
            found.append(
                f"{key} {begun:%Y-%m}: {entry.rows} rows {entry.sha256[:12]} were written, "
                f"{rows} rows {sha256[:12]} are stored"
            )
    return Violations(len(found), tuple(found[:MOST]))


def _rows(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime, wrong: LiteralString) -> Violations:
    query = sql.SQL("SELECT open_time {} AND ({}) ORDER BY open_time").format(sql.SQL(_WINDOW), sql.SQL(wrong))
    return _found(conn, key, start, end, query)


def _found(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime, query: sql.Composed) -> Violations:
    params: dict[str, Any] = {
        "venue": key.venue,
        "symbol": key.symbol,
        "tf": str(key.tf),
        "start": start,
        "end": end,
        "length": key.tf.duration,
    }
    with translated("check candles", key=key):
        times = [row[0] for row in conn.execute(query, params, prepare=False).fetchall()]
    return Violations(len(times), tuple(f"{key} {opened.isoformat()}" for opened in times[:MOST]))

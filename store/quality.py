"""Questions that stored candles must be able to answer with "none", where the answer stands in the ledgers.

What a row must look like by itself is said by the suites of the asset checks. Each question here looks at one series
and the half-open window [start, end) of open times, and returns what it found wrong, at most `MOST` places with the
whole count. The answers describe; whether they block anything is decided by the checks.

    missing = unexplained_holes(conn, key, start, end)
    missing.count, missing.places
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from contracts import SeriesKey
from store.candle_reads import extent, missing_ranges, stored_digest
from store.gaps import FILLED_ELSEWHERE, holes
from store.ledger import digests

MOST: Final = 20


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


def unexplained_holes(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> Violations:
    """Runs of slots before the last stored candle of the series that hold no candle and that no ledger row explains.

    Those before the window count too: what is computed from the window waits for them. Where digests and ledger add up
    to all of its slots, no candle before the window is looked at. An `archive` row speaks of candles that are there.
    """
    stored = extent(conn, key)
    if stored is None:
        return Violations()
    begin, until = max(start, stored.first), min(end, stored.last)
    if not _accounted(conn, key, stored.first, min(begin, stored.last)):
        begin = stored.first
    known = _explained(conn, key, begin, until)
    found = []
    for first, stop in missing_ranges(conn, key, begin, until):
        covered = sum(
            key.tf.bars_in(max(first, begun), min(stop, over)) for begun, over in known if begun < stop and over > first
        )
        if covered < key.tf.bars_in(first, stop):
            found.append(f"{key} {first.isoformat()} to {stop.isoformat()}")
    return Violations(len(found), tuple(found[:MOST]))


def _explained(
    conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    return [(hole.start, hole.end) for hole in holes(conn, key, start, end) if hole.cause != FILLED_ELSEWHERE]


def _accounted(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> bool:
    """Whether the months from the first candle, `start`, to `end` have as many candles and holes as slots."""
    rows = sum(entry.rows for entry in digests(conn, key) if entry.month < end.date())
    holed = sum(key.tf.bars_in(max(a, start), min(b, end)) for a, b in _explained(conn, key, start, end))
    return rows + holed >= key.tf.bars_in(start, end)


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

"""What was loaded: digests of months and their chain, archive files, refused rows.

A month's chain says from which candles everything up to its end was made: equal chains, equal candles. It builds on
the chain of the month before, so it is null after a month that is not stored, and where the series has a sub-timeframe
whose digest of that month is not stored. Call `rechain` after digests were written; it names the months whose chain
moved, and analysis starts again at the first of them.

    write_digest(conn, key, month, rows=44640, sha256=digest(candles), computed_at=now)
    moved = rechain(conn, key)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import polars as pl
import psycopg

from contracts import InstrumentKey, SeriesKey, to_us
from contracts.candles import chain_next, chain_start
from store.candle_reads import extent
from store.candles import Source
from store.connections import translated
from store.locks import hold_until_commit

# What stands in the place of a timeframe in `market.quarantine` where a refused row is a funding settlement.
FUNDING: Final = "funding"


@dataclass(frozen=True, slots=True)
class MonthDigest:
    """The fingerprint of one stored month of a series.

    Attributes:
        month: First day of the month, UTC.
        rows: Stored candles of the month.
        sha256: Digest of those candles.
        chain: Digest of every candle up to the month's end; None = an earlier month is not stored.
    """

    month: date
    rows: int
    sha256: str
    chain: str | None


@dataclass(frozen=True, slots=True)
class ArchiveFileRecord:
    """An archive file in the version that was loaded.

    Attributes:
        etag: The server's version tag; None = it sent none.
        sha256: Of the zip, equal to the published checksum.
        rows: Candles accepted from it.
        verified_at: When the checksum was last compared.
    """

    url: str
    etag: str | None
    sha256: str
    rows: int
    verified_at: datetime


def write_digest(
    conn: psycopg.Connection, key: SeriesKey, month: date, *, rows: int, sha256: str, computed_at: datetime
) -> None:
    """Store a month's digest; the same again changes nothing, another one waits for `rechain` without a chain."""
    with translated("write a digest", key=key):
        conn.execute(
            """
            INSERT INTO market.candle_digests AS d (venue, symbol, tf, month, rows, sha256, chain, computed_at)
            VALUES (%s, %s, %s, %s, %s, %s, NULL, %s)
            ON CONFLICT (venue, symbol, tf, month) DO UPDATE
            SET rows = excluded.rows, sha256 = excluded.sha256, chain = NULL, computed_at = excluded.computed_at
            WHERE (d.rows, d.sha256) IS DISTINCT FROM (excluded.rows, excluded.sha256)
            """,
            [key.venue, key.symbol, str(key.tf), month, rows, sha256, computed_at],
        )


def digests(conn: psycopg.Connection, key: SeriesKey) -> list[MonthDigest]:
    """The stored digests of a series, in order of months."""
    with translated("read digests", key=key):
        rows = conn.execute(
            """
            SELECT month, rows, sha256, chain FROM market.candle_digests
            WHERE venue = %s AND symbol = %s AND tf = %s ORDER BY month
            """,
            [key.venue, key.symbol, str(key.tf)],
        ).fetchall()
    return [MonthDigest(*row) for row in rows]


def rechain(conn: psycopg.Connection, key: SeriesKey) -> list[date]:
    """Compute the chain of every month of a series anew, in order.

    The sub-timeframe is the one of `market.series`; none where the series is not listed there.

    Returns:
        The months whose chain is another now, in order (a month that lost its chain counts).
    """
    with translated("chain digests", key=key), conn.transaction():
        hold_until_commit(conn, "chain", key)
        stored = digests(conn, key)
        sub = _sub_digests(conn, key)
        first = extent(conn, key)
        previous = None if first is None else chain_start(key, to_us(first.first))
        moved: list[tuple[str | None, date]] = []
        expected = stored[0].month if stored else None
        for entry in stored:
            sub_sha256 = "" if sub is None else sub.get(entry.month)
            if previous is not None and entry.month == expected and sub_sha256 is not None:
                previous = chain_next(previous, entry.sha256, sub_sha256)
                expected = _next_month(entry.month)
            else:
                previous = None
            if previous != entry.chain:
                moved.append((previous, entry.month))
        with conn.cursor() as cursor:
            cursor.executemany(
                """
                UPDATE market.candle_digests SET chain = %s
                WHERE venue = %s AND symbol = %s AND tf = %s AND month = %s
                """,
                [(chain, key.venue, key.symbol, str(key.tf), month) for chain, month in moved],
            )
        return [month for _, month in moved]


def rechain_instrument(conn: psycopg.Connection, instrument: InstrumentKey) -> dict[SeriesKey, list[date]]:
    """`rechain` every series of an instrument that has digests; only series with a moved chain are named."""
    with translated("list digests", key=instrument):
        rows = conn.execute(
            "SELECT DISTINCT tf FROM market.candle_digests WHERE venue = %s AND symbol = %s",
            [instrument.venue, instrument.symbol],
        ).fetchall()
    moved = {key: rechain(conn, key) for key in sorted(instrument.series(str(tf)) for (tf,) in rows)}
    return {key: months for key, months in moved.items() if months}


def record_archive_file(conn: psycopg.Connection, record: ArchiveFileRecord) -> None:
    """Remember the loaded version of an archive file; it replaces what was known of that address."""
    with translated("record an archive file", key=record.url):
        conn.execute(
            """
            INSERT INTO market.archive_files (url, etag, sha256, rows, verified_at) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (url) DO UPDATE SET etag = excluded.etag, sha256 = excluded.sha256, rows = excluded.rows,
                verified_at = excluded.verified_at
            """,
            [record.url, record.etag, record.sha256, record.rows, record.verified_at],
        )


def archive_files(conn: psycopg.Connection, urls: Sequence[str]) -> dict[str, ArchiveFileRecord]:
    """What is known of these addresses, by address; unknown ones are absent."""
    with translated("read archive files"):
        rows = conn.execute(
            "SELECT url, etag, sha256, rows, verified_at FROM market.archive_files WHERE url = ANY(%s)", [list(urls)]
        ).fetchall()
    return {record.url: record for record in (ArchiveFileRecord(*row) for row in rows)}


def quarantine(
    conn: psycopg.Connection,
    key: SeriesKey | InstrumentKey,
    rows: pl.DataFrame,
    source: Source,
    *,
    origin: str,
    seen_at: datetime,
) -> int:
    """Keep refused rows with their reason; the same row of the same origin is kept once.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        key: The series they were meant for; an instrument = its funding (`tf` is stored as `FUNDING`).
        rows: Columns `open_time` (Datetime, null = unreadable), `payload` (as received), `reason`.
        source: What kind of origin.
        origin: The file or address they came from.
        seen_at: When.

    Returns:
        How many were not known yet.
    """
    tf = str(key.tf) if isinstance(key, SeriesKey) else FUNDING
    with translated("quarantine rows", key=key), conn.transaction(), conn.cursor() as cursor:
        new = 0
        for opened, payload, reason in rows.select("open_time", "payload", "reason").iter_rows():
            # PostgreSQL text cannot hold NUL, and a refused row may hold anything.
            kept = str(payload).replace("\x00", "\\0")
            cursor.execute(
                """
                INSERT INTO market.quarantine (venue, symbol, tf, open_time, source, origin, payload, reason, seen_at)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
                """,
                [key.venue, key.symbol, tf, opened, source, origin, kept, reason, seen_at],
            )
            new += cursor.rowcount
        return new


def _sub_digests(conn: psycopg.Connection, key: SeriesKey) -> dict[date, str] | None:
    row = conn.execute(
        "SELECT sub_tf FROM market.series WHERE venue = %s AND symbol = %s AND tf = %s",
        [key.venue, key.symbol, str(key.tf)],
    ).fetchone()
    if row is None or row[0] is None:
        return None
    return {entry.month: entry.sha256 for entry in digests(conn, key.instrument.series(str(row[0])))}


def _next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)

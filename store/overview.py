"""What is stored, at a glance: one row a series, made from ledgers and index look-ups, never by counting candles.

for row in overview(conn): print(row.key, row.candles, row.last)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from contracts import SeriesKey
from store.connections import translated


@dataclass(frozen=True, slots=True)
class SeriesOverview:
    """One series.

    Attributes:
        key: The series.
        candles: Stored candles, by the digests of its months.
        months: Months that hold candles.
        first: Open time of the first candle; None = nothing is stored.
        last: Open time of the last candle.
        holes: Missing bars whose cause is settled.
        pending: Missing bars whose cause is not known yet.
        analysed_to: `ts` of the last indicators row; None = there is none.
    """

    key: SeriesKey
    candles: int
    months: int
    first: datetime | None
    last: datetime | None
    holes: int
    pending: int
    analysed_to: datetime | None


def overview(conn: psycopg.Connection) -> list[SeriesOverview]:
    """Every series of `market.series`, sorted by key."""
    with translated("read the overview"):
        rows = conn.execute(
            """
            SELECT s.venue, s.symbol, s.tf, coalesce(d.rows, 0), coalesce(d.months, 0), first.at, last.at,
                   coalesce(g.settled, 0), coalesce(g.pending, 0), done.at
            FROM market.series s
            LEFT JOIN LATERAL (
                SELECT sum(rows)::bigint AS rows, count(*) FILTER (WHERE rows > 0) AS months
                FROM market.candle_digests WHERE (venue, symbol, tf) = (s.venue, s.symbol, s.tf)
            ) d ON true
            LEFT JOIN LATERAL (
                SELECT min(open_time) AS at FROM market.candles WHERE (venue, symbol, tf) = (s.venue, s.symbol, s.tf)
            ) first ON true
            LEFT JOIN LATERAL (
                SELECT max(open_time) AS at FROM market.candles WHERE (venue, symbol, tf) = (s.venue, s.symbol, s.tf)
            ) last ON true
            LEFT JOIN LATERAL (
                SELECT sum(bars) FILTER (WHERE cause IN ('exchange', 'quarantined'))::bigint AS settled,
                       sum(bars) FILTER (WHERE cause = 'pending')::bigint AS pending
                FROM market.candle_gaps WHERE (venue, symbol, tf) = (s.venue, s.symbol, s.tf)
            ) g ON true
            LEFT JOIN LATERAL (
                SELECT max(ts) AS at FROM analysis.indicators WHERE (venue, symbol, tf) = (s.venue, s.symbol, s.tf)
            ) done ON true
            """
        ).fetchall()
    return sorted((SeriesOverview(SeriesKey(*row[:3]), *row[3:]) for row in rows), key=lambda found: found.key)

"""States of the engine to resume from, each with the chain of the candles it has seen.

A snapshot may be resumed from only while the stored candles still have its chain and the engine is the same one; the
caller compares, `latest` finds the candidates, `first_outdated` the month where they end. Month ends are kept; of live
ones the last three of a series are kept. The state is the engine's own binary with its own checksum: it is stored as it
comes.

    write_snapshot(conn, Snapshot(key, ts, engine.params_hash, engine.engine_version, chain, blob))
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import psycopg

from contracts import SeriesKey
from store.connections import translated

LIVE_KEPT: Final = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An engine's state after one bar.

    Attributes:
        ts: Close boundary of the last bar it has seen.
        chain: Digest of every candle it has seen, 64 hex characters.
        live: Whether the streaming service wrote it.
    """

    key: SeriesKey
    ts: datetime
    params_hash: str
    engine_version: int
    chain: str
    state: bytes
    live: bool = False


def write_snapshot(conn: psycopg.Connection, snapshot: Snapshot) -> None:
    """Store a snapshot in the place of one of the same series, instant and engine; thin out live ones."""
    key = snapshot.key
    series = [key.venue, key.symbol, str(key.tf)]
    engine = [snapshot.params_hash, snapshot.engine_version]
    with translated("write a snapshot", key=key), conn.transaction():
        conn.execute(
            """
            INSERT INTO analysis.engine_snapshots
                (venue, symbol, tf, ts, params_hash, engine_version, chain, live, state)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (venue, symbol, tf, ts, params_hash, engine_version) DO UPDATE
            SET chain = excluded.chain, live = excluded.live, state = excluded.state
            """,
            [*series, snapshot.ts, *engine, snapshot.chain, snapshot.live, snapshot.state],
        )
        if snapshot.live:
            conn.execute(
                """
                DELETE FROM analysis.engine_snapshots s
                WHERE venue = %s AND symbol = %s AND tf = %s AND params_hash = %s AND engine_version = %s AND live
                  AND ts < (
                      SELECT ts FROM analysis.engine_snapshots
                      WHERE venue = s.venue AND symbol = s.symbol AND tf = s.tf AND params_hash = s.params_hash
                        AND engine_version = s.engine_version AND live
                      ORDER BY ts DESC OFFSET %s LIMIT 1
                  )
                """,
                [*series, *engine, LIVE_KEPT - 1],
            )


def snapshot_at(
    conn: psycopg.Connection, key: SeriesKey, ts: datetime, *, params_hash: str, engine_version: int
) -> Snapshot | None:
    """The snapshot of exactly that instant and engine; None where there is none."""
    found = _select(conn, key, params_hash=params_hash, engine_version=engine_version, until=ts)
    return found if found is not None and found.ts == ts else None


def latest(
    conn: psycopg.Connection, key: SeriesKey, *, params_hash: str, engine_version: int, until: datetime
) -> Snapshot | None:
    """The last snapshot of that engine at or before `until`; None where there is none."""
    return _select(conn, key, params_hash=params_hash, engine_version=engine_version, until=until)


def first_outdated(conn: psycopg.Connection, key: SeriesKey) -> date | None:
    """The first month whose analysis was made from other candles than are stored now; None = there is none.

    A month that was never analysed is not outdated; live snapshots are not looked at.
    """
    with translated("look for outdated months", key=key):
        row = conn.execute(
            """
            SELECT min(d.month) FROM market.candle_digests d JOIN analysis.engine_snapshots s USING (venue, symbol, tf)
            WHERE venue = %s AND symbol = %s AND tf = %s AND NOT s.live AND s.chain IS DISTINCT FROM d.chain
              AND s.ts > d.month::timestamp AT TIME ZONE 'UTC'
              AND s.ts <= (d.month + interval '1 month') AT TIME ZONE 'UTC'
            """,
            [key.venue, key.symbol, str(key.tf)],
        ).fetchone()
    return None if row is None else row[0]


def drop_from(conn: psycopg.Connection, key: SeriesKey, ts: datetime) -> int:
    """Delete the snapshots of a series at or after `ts`, of every engine; returns how many."""
    with translated("drop snapshots", key=key):
        return conn.execute(
            "DELETE FROM analysis.engine_snapshots WHERE venue = %s AND symbol = %s AND tf = %s AND ts >= %s",
            [key.venue, key.symbol, str(key.tf), ts],
        ).rowcount


def _select(
    conn: psycopg.Connection, key: SeriesKey, *, params_hash: str, engine_version: int, until: datetime
) -> Snapshot | None:
    with translated("read a snapshot", key=key):
        row = conn.execute(
            """
            SELECT ts, chain, state, live FROM analysis.engine_snapshots
            WHERE venue = %s AND symbol = %s AND tf = %s AND params_hash = %s AND engine_version = %s AND ts <= %s
            ORDER BY ts DESC LIMIT 1
            """,
            [key.venue, key.symbol, str(key.tf), params_hash, engine_version, until],
        ).fetchone()
    if row is None:
        return None
    return Snapshot(key, row[0], params_hash, engine_version, row[1], bytes(row[2]), row[3])

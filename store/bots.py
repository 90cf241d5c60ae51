"""Spans in which a plug-in bot was not asked: written when it fails, replayed by batch, ended by a person.

A span [from_ts, to_ts) of a bot and a series says that no signal of it counts there. What is recorded stays: the
first record of a span stands, a release only gives it an end. The bots' own side is the room `bots/`.

    record_quarantine(conn, Quarantine("sweeper", key, from_ts=ts, reason="LATE", ...))
    released = release(conn, "sweeper", at=now)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg

from contracts import SeriesKey
from store.connections import translated

Reason = Literal["RAISED", "LATE", "EXITED", "REJECTED"]
Origin = Literal["batch", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """One span.

    Attributes:
        agent: Name of the bot.
        key: The series.
        from_ts: `ts` of the first bar the bot was not (or no longer) listened to.
        to_ts: Exclusive end; None = still quarantined.
        reason: Why.
        detail: Traceback, or what was wrong with its answer.
        bot_version: Fingerprint of the bot's source, or its distribution's version.
        origin: Who was running it.
        recorded_at: When it was written.
    """

    agent: str
    key: SeriesKey
    from_ts: datetime
    to_ts: datetime | None = None
    reason: Reason
    detail: str
    bot_version: str
    origin: Origin
    recorded_at: datetime


def record_quarantine(conn: psycopg.Connection, span: Quarantine) -> bool:
    """Store a span.

    One of the same bot, series and `from_ts` that is stored already stays as it is: what happened live is replayed.
    Only what batch saw an earlier version of the bot do gives way to what another version does.

    Returns:
        Whether it was written.

    Raises:
        FrameRejected: It ends before it begins, or its reason or origin is no known word.
    """
    key = span.key
    # A traceback quotes what a bot made: anything, also what no text in the database can hold.
    detail = span.detail.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    with translated(f"record the quarantine of {span.agent}", key=key):
        return bool(
            conn.execute(
                """
                INSERT INTO analysis.bot_quarantine
                    (agent, venue, symbol, tf, from_ts, to_ts, reason, detail, bot_version, origin, recorded_at)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (agent, venue, symbol, tf, from_ts) DO UPDATE
                SET to_ts = excluded.to_ts, reason = excluded.reason, detail = excluded.detail,
                    bot_version = excluded.bot_version, origin = excluded.origin, recorded_at = excluded.recorded_at
                WHERE bot_quarantine.origin = 'batch' AND bot_quarantine.bot_version <> excluded.bot_version
                """,
                [
                    *(span.agent, key.venue, key.symbol, str(key.tf), span.from_ts, span.to_ts, span.reason),
                    *(detail, span.bot_version, span.origin, span.recorded_at),
                ],
            ).rowcount
        )


def quarantines(
    conn: psycopg.Connection, key: SeriesKey | None = None, *, agent: str | None = None
) -> list[Quarantine]:
    """The spans of one series or all (None), of one bot or all, ended ones too, by bot, series and time."""
    with translated("read quarantines", key=key):
        rows = conn.execute(
            """
            SELECT agent, venue, symbol, tf, from_ts, to_ts, reason, detail, bot_version, origin, recorded_at
            FROM analysis.bot_quarantine
            WHERE (agent = %(agent)s OR %(agent)s::text IS NULL)
              AND ((venue, symbol, tf) = (%(venue)s, %(symbol)s, %(tf)s) OR %(venue)s::text IS NULL)
            """,
            {"agent": agent, **_series(key)},
        ).fetchall()
    spans = [
        Quarantine(
            agent=row[0],
            key=SeriesKey(*row[1:4]),
            from_ts=row[4],
            to_ts=row[5],
            reason=row[6],
            detail=row[7],
            bot_version=row[8],
            origin=row[9],
            recorded_at=row[10],
        )
        for row in rows
    ]
    return sorted(spans, key=lambda span: (span.agent, span.key, span.from_ts))


def release(conn: psycopg.Connection, agent: str, *, at: datetime, key: SeriesKey | None = None) -> int:
    """End the open spans of a bot, on one series or all (None): bars from `at` on are given to it again.

    A span that begins at `at` or later stays open: there is nothing to end yet.

    Returns:
        How many spans ended.
    """
    with translated(f"release {agent}", key=key):
        return conn.execute(
            """
            UPDATE analysis.bot_quarantine SET to_ts = %(at)s
            WHERE agent = %(agent)s AND to_ts IS NULL AND from_ts < %(at)s
              AND ((venue, symbol, tf) = (%(venue)s, %(symbol)s, %(tf)s) OR %(venue)s::text IS NULL)
            """,
            {"agent": agent, "at": at, **_series(key)},
        ).rowcount


def _series(key: SeriesKey | None) -> dict[str, str | None]:
    if key is None:
        return {"venue": None, "symbol": None, "tf": None}
    return {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf)}

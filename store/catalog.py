"""What the platform keeps: instruments, series, and the trading rules of each instrument over time.

Everything that lists series reads `market.series`. Rules get a row only when their fingerprint changed, so the table is
the history of an instrument's rules; `rules_at` reads it as of an instant.

    upsert_series(conn, SeriesSetting(key, sub_tf=Timeframe.M1))
    [setting.key for setting in list_series(conn, enabled_only=True)]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from contracts import InstrumentKey, InstrumentRules, SeriesKey, Timeframe
from store.connections import translated
from store.locks import hold_until_commit


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable symbol as its exchange information last described it.

    Attributes:
        listed_at: When trading began; None = the exchange does not say.
        delisted_at: When it ended or will end; None = open-ended.
        status: The exchange's word, e.g. `TRADING`.
    """

    key: InstrumentKey
    contract_type: str
    base: str
    quote: str
    status: str
    listed_at: datetime | None = None
    delisted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SeriesSetting:
    """A series the platform keeps.

    Attributes:
        sub_tf: Timeframe whose structure breaks feed it; None = none.
        enabled: Whether backfills and schedules include it.
        live: Whether the streaming service runs it.
    """

    key: SeriesKey
    sub_tf: Timeframe | None = None
    enabled: bool = True
    live: bool = False


def upsert_instrument(conn: psycopg.Connection, instrument: Instrument) -> None:
    """Store what the exchange says of an instrument; the same again changes nothing."""
    with translated("store an instrument", key=instrument.key):
        conn.execute(
            """
            INSERT INTO market.instruments AS i
                (venue, symbol, contract_type, base, quote, status, listed_at, delisted_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (venue, symbol) DO UPDATE SET contract_type = excluded.contract_type, base = excluded.base,
                quote = excluded.quote, status = excluded.status, listed_at = excluded.listed_at,
                delisted_at = excluded.delisted_at
            WHERE i IS DISTINCT FROM excluded
            """,
            [
                instrument.key.venue,
                instrument.key.symbol,
                instrument.contract_type,
                instrument.base,
                instrument.quote,
                instrument.status,
                instrument.listed_at,
                instrument.delisted_at,
            ],
        )


def list_instruments(conn: psycopg.Connection) -> list[Instrument]:
    """Every known instrument, in order of its key."""
    with translated("list instruments"):
        rows = conn.execute(
            """
            SELECT venue, symbol, contract_type, base, quote, status, listed_at, delisted_at FROM market.instruments
            ORDER BY venue, symbol
            """
        ).fetchall()
    return [Instrument(InstrumentKey(row[0], row[1]), *row[2:]) for row in rows]


def upsert_series(conn: psycopg.Connection, setting: SeriesSetting) -> None:
    """Keep a series from now on, with this setting."""
    key = setting.key
    with translated("store a series", key=key):
        conn.execute(
            """
            INSERT INTO market.series AS s (venue, symbol, tf, sub_tf, enabled, live) VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (venue, symbol, tf) DO UPDATE
            SET sub_tf = excluded.sub_tf, enabled = excluded.enabled, live = excluded.live
            WHERE s IS DISTINCT FROM excluded
            """,
            [key.venue, key.symbol, str(key.tf), setting.sub_tf, setting.enabled, setting.live],
        )


def list_series(
    conn: psycopg.Connection, instrument: InstrumentKey | None = None, *, enabled_only: bool = False
) -> list[SeriesSetting]:
    """The series the platform keeps, sorted by key, of one instrument or of all."""
    with translated("list series", key=instrument):
        rows = conn.execute("SELECT venue, symbol, tf, sub_tf, enabled, live FROM market.series").fetchall()
    settings = (
        SeriesSetting(SeriesKey(*row[:3]), None if row[3] is None else Timeframe(row[3]), row[4], row[5])
        for row in rows
    )
    wanted: Iterable[SeriesSetting] = (
        setting
        for setting in settings
        if (instrument is None or setting.key.instrument == instrument) and (setting.enabled or not enabled_only)
    )
    return sorted(wanted, key=lambda setting: setting.key)


def record_rules(conn: psycopg.Connection, rules: InstrumentRules, *, sha256: str, seen_at: datetime) -> bool:
    """Store trading rules if they differ from the last stored ones.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        rules: The snapshot.
        sha256: Its fingerprint in canonical form, by the room that read it.
        seen_at: When the exchange stated them.

    Returns:
        Whether a row was added.
    """
    key = InstrumentKey(rules.venue, rules.symbol)
    with translated("store exchange rules", key=key), conn.transaction():
        hold_until_commit(conn, "rules", key)
        row = conn.execute(
            """
            INSERT INTO market.exchange_rules (venue, symbol, seen_at, rules, sha256)
            SELECT %(venue)s, %(symbol)s, %(seen_at)s, %(rules)s, %(sha256)s
            WHERE %(sha256)s IS DISTINCT FROM (
                SELECT sha256 FROM market.exchange_rules WHERE venue = %(venue)s AND symbol = %(symbol)s
                ORDER BY seen_at DESC LIMIT 1
            )
            RETURNING true
            """,
            {
                "venue": rules.venue,
                "symbol": rules.symbol,
                "seen_at": seen_at,
                "rules": Jsonb(rules.model_dump(mode="json")),
                "sha256": sha256,
            },
        ).fetchone()
    return row is not None


def rules_at(conn: psycopg.Connection, instrument: InstrumentKey, at: datetime) -> InstrumentRules | None:
    """The rules that were known at an instant; None = none were yet."""
    with translated("read exchange rules", key=instrument):
        row = conn.execute(
            """
            SELECT rules FROM market.exchange_rules WHERE venue = %s AND symbol = %s AND seen_at <= %s
            ORDER BY seen_at DESC LIMIT 1
            """,
            [instrument.venue, instrument.symbol, at],
        ).fetchone()
    return None if row is None else InstrumentRules.model_validate(row[0])


def rules_versions(
    conn: psycopg.Connection, instrument: InstrumentKey, until: datetime
) -> list[tuple[datetime, InstrumentRules]]:
    """Every version of the rules that was known before an instant, with since when, oldest first."""
    with translated("read the versions of exchange rules", key=instrument):
        rows = conn.execute(
            """
            SELECT seen_at, rules FROM market.exchange_rules WHERE venue = %s AND symbol = %s AND seen_at < %s
            ORDER BY seen_at
            """,
            [instrument.venue, instrument.symbol, until],
        ).fetchall()
    return [(seen_at, InstrumentRules.model_validate(rules)) for seen_at, rules in rows]


def rules_sha256(conn: psycopg.Connection, instrument: InstrumentKey, at: datetime) -> str | None:
    """The fingerprint of the rules that were known at an instant; None = none were yet."""
    with translated("read the version of exchange rules", key=instrument):
        row = conn.execute(
            """
            SELECT sha256 FROM market.exchange_rules WHERE venue = %s AND symbol = %s AND seen_at <= %s
            ORDER BY seen_at DESC LIMIT 1
            """,
            [instrument.venue, instrument.symbol, at],
        ).fetchone()
    return None if row is None else str(row[0])

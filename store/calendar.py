"""The calendar of events as it was known: every version of every event, and which of them stood at an instant.

Laws: of an event one version stands at a time; what was loaded is never changed, only superseded; the answer as of an
instant is the same whenever it is asked, but for events that are loaded later and whose source declares that they were
known by then. Hence a first version is known since its source says (at the latest since it was loaded), every later one
since it was loaded, whatever the source says: before that nobody here could have known. The same file again touches no
row. An event its source no longer lists is withdrawn where it lies in the future; one that has begun stays.

    counts = replace_source(conn, "fed", events, at=now)
    standing = events_as_of(conn, now, start, end)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

import psycopg

from contracts import to_us
from store.connections import translated
from store.errors import FrameRejected
from store.locks import hold_until_commit

Severity = Literal["HIGH", "MED"]

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEvent:
    """An event as its source lists it.

    Attributes:
        uid: Its name within its source.
        ts_start: When it begins.
        ts_end: When it ends (exclusive); `ts_start` itself = an instant.
        severity: How much it matters.
        title: What it is called.
        currency: Whose news it is, e.g. `USD`; `ALL` = it concerns every market.
        known_from: Since when the source says it was known; None = since it is first loaded.
    """

    uid: str
    ts_start: datetime
    ts_end: datetime
    severity: Severity
    title: str
    currency: str
    known_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEvent:
    """A version of an event that stands at some instant.

    Attributes:
        event_id: 24 hex characters, the same for every version.
        known_from: Since when this version was known.
        source: Name of the source that lists it.
    """

    event_id: str
    known_from: datetime
    ts_start: datetime
    ts_end: datetime
    severity: Severity
    title: str
    currency: str
    source: str


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of a calendar that is no event.

    Attributes:
        line: Line or entry of the file, from 1; None = the format has none.
        payload: The row as received.
        reason: Why it was refused.
    """

    line: int | None
    payload: str
    reason: str


@dataclass(frozen=True, slots=True)
class CalendarCounts:
    """What a load did to the events of its source.

    Attributes:
        added: Not standing before, standing now.
        changed: Another version stands now.
        withdrawn: No longer listed, and still to come: nothing stands now.
        unchanged: The version that stands says the same already.
    """

    added: int = 0
    changed: int = 0
    withdrawn: int = 0
    unchanged: int = 0


_Content = tuple[datetime, datetime, str, str, str]


def coming_by_source(conn: psycopg.Connection, at: datetime) -> dict[str, int]:
    """How many events of each source stand and begin later than `at`: what `replace_source` could withdraw."""
    with translated("read the calendar's sources"):
        rows = conn.execute(
            """
            SELECT source, count(*) FROM market.calendar_events WHERE superseded_at IS NULL AND ts_start > %s
            GROUP BY source ORDER BY source
            """,
            [at],
        ).fetchall()
    return dict(rows)


def event_id(source: str, uid: str) -> str:
    """The id of an event in all its versions: the first 24 hex characters of sha256 over `source|uid`."""
    return hashlib.sha256(f"{source}|{uid}".encode()).hexdigest()[:24]


def replace_source(
    conn: psycopg.Connection, source: str, events: Iterable[CalendarEvent], *, at: datetime, withdraw: bool = True
) -> CalendarCounts:
    """Make `events` what stands of a source: add, change and withdraw what differs, all of it or nothing.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        source: Name of the source.
        events: Everything it lists now, one event a uid.
        at: When it was read; later than every load before that is changed by this one.
        withdraw: Whether an event that is not listed has been taken back; False where a part of the source could not be
            read, and it may stand there.

    Raises:
        FrameRejected: A uid is listed twice, an event is out of order, or `at` is not later than the version that it
            would supersede; nothing was stored.
        DatabaseUnavailable: The database was lost; nothing was stored, the same call may be made again.
    """
    listed = _checked(source, events)
    with translated("store the calendar", key=source), conn.transaction():
        hold_until_commit(conn, "calendar", source)
        standing, known = _versions(conn, source)
        added = [key for key in listed if key not in standing]
        changed = [key for key in listed if key in standing and standing[key] != _content(listed[key])]
        withdrawn = [key for key in standing if withdraw and key not in listed and standing[key][0] > at]
        for key in [*changed, *withdrawn, *(key for key in added if key in known)]:
            if known[key] >= at:
                msg = (
                    f"the calendar {source} was read at {at.isoformat()}, but event {key} was loaded or withdrawn at "
                    f"{known[key].isoformat()}: a change is read after what it changes; nothing was stored"
                )
                raise FrameRejected(msg)
        conn.execute(
            """
            UPDATE market.calendar_events SET superseded_at = %s
            WHERE source = %s AND event_id = ANY(%s) AND superseded_at IS NULL
            """,
            [at, source, [*changed, *withdrawn]],
        )
        with conn.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO market.calendar_events
                    (event_id, known_from, ts_start, ts_end, severity, title, currency, source, loaded_at)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                [
                    (key, at if key in known else _first_known(listed[key], at), *_content(listed[key]), source, at)
                    for key in [*added, *changed]
                ],
            )
    return CalendarCounts(len(added), len(changed), len(withdrawn), len(listed) - len(added) - len(changed))


def record_refused(
    conn: psycopg.Connection, source: str, rows: Iterable[RefusedRow], *, origin: str, seen_at: datetime
) -> int:
    """Keep refused rows with their reason; the same row of the same origin is kept once, wherever in the file it moves.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        source: Name of the source.
        rows: The rows.
        origin: The file or address they came from.
        seen_at: When.

    Returns:
        How many were not known yet.
    """
    new = 0
    with translated("keep refused rows of the calendar", key=source), conn.transaction(), conn.cursor() as cursor:
        for row in rows:
            cursor.execute(
                """
                INSERT INTO market.calendar_refused (source, origin, line, payload, reason, seen_at)
                VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
                """,
                # PostgreSQL text cannot hold NUL, and a refused row may hold anything.
                [source, origin, row.line, row.payload.replace("\x00", "\\0"), row.reason, seen_at],
            )
            new += cursor.rowcount
    return new


def events_as_of(conn: psycopg.Connection, at: datetime, start: datetime, end: datetime) -> list[KnownEvent]:
    """The events that were known at `at` and touch [start, end), in order of start; an instant counts as its own."""
    with translated("read the calendar"):
        rows = conn.execute(
            """
            SELECT event_id, known_from, ts_start, ts_end, severity, title, currency, source
            FROM market.calendar_events
            WHERE known_from <= %(at)s AND (superseded_at IS NULL OR superseded_at > %(at)s)
              AND ts_start < %(end)s AND (ts_end > %(start)s OR ts_start >= %(start)s)
            ORDER BY ts_start, event_id
            """,
            {"at": at, "start": start, "end": end},
        ).fetchall()
    return [
        KnownEvent(
            event_id=row[0],
            known_from=row[1],
            ts_start=row[2],
            ts_end=row[3],
            severity=row[4],
            title=row[5],
            currency=row[6],
            source=row[7],
        )
        for row in rows
    ]


def calendar_version(conn: psycopg.Connection, at: datetime) -> str:
    """The fingerprint of everything that had been loaded by `at`, every version of it.

    What is loaded later never changes the answer for an earlier `at`: two results that name one version of the
    calendar saw the same events at every instant.

    Returns:
        64 hex characters: sha256 over one line of canonical JSON a version, in order of event and `known_from`.
    """
    with translated("read the calendar's version"):
        rows = conn.execute(
            """
            SELECT event_id, known_from, CASE WHEN superseded_at <= %(at)s THEN superseded_at END,
                   ts_start, ts_end, severity, title, currency
            FROM market.calendar_events WHERE loaded_at <= %(at)s ORDER BY event_id, known_from
            """,
            {"at": at},
        ).fetchall()
    digest = hashlib.sha256()
    for row in rows:
        line = [to_us(value) if isinstance(value, datetime) else value for value in row]
        digest.update(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()


def _checked(source: str, events: Iterable[CalendarEvent]) -> dict[str, CalendarEvent]:
    """The events by id, in the order of their start."""
    found: dict[str, CalendarEvent] = {}
    for event in sorted(events, key=lambda event: (event.ts_start, event.uid)):
        fault = None
        if event_id(source, event.uid) in found:
            fault = "is listed twice"
        elif event.ts_end < event.ts_start:
            fault = f"ends at {event.ts_end.isoformat()}, before it starts at {event.ts_start.isoformat()}"
        elif event.severity not in SEVERITIES:
            fault = f"has the severity {event.severity!r}, which is none of {', '.join(SEVERITIES)}"
        if fault is not None:
            msg = f"event {event.uid!r} of the calendar {source} {fault}; nothing was stored"
            raise FrameRejected(msg)
        found[event_id(source, event.uid)] = event
    return found


def _versions(conn: psycopg.Connection, source: str) -> tuple[dict[str, _Content], dict[str, datetime]]:
    """What stands of a source, by event, and the last instant at which anything of each event changed."""
    rows = conn.execute(
        """
        SELECT event_id, known_from, superseded_at, ts_start, ts_end, severity, title, currency
        FROM market.calendar_events WHERE source = %s ORDER BY event_id, known_from
        """,
        [source],
    ).fetchall()
    known = {str(row[0]): max(row[1], row[2] or row[1]) for row in rows}
    return {str(row[0]): row[3:] for row in rows if row[2] is None}, known


def _content(event: CalendarEvent) -> _Content:
    """What makes a version another one; since when it was known does not."""
    return event.ts_start, event.ts_end, event.severity, event.title, event.currency


def _first_known(event: CalendarEvent, at: datetime) -> datetime:
    return at if event.known_from is None else min(event.known_from, at)

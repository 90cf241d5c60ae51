"""Calendar files as events: CSV, JSON and the judgement of their rows. Pure: it fetches nothing and stores nothing.

Invariant: every row that comes in is accounted for once, as an event, as a refused row with its reason, as a repeated
row, or as one whose severity the source says to ignore. Nothing is guessed: a time without a zone, of a zone that was
not configured, or that its zone has twice or not at all refuses its row. A refused row never stops the others; a file
that is no calendar at all is rejected as a whole, so that what is stored stays.

A date without a time means the whole day; the `end` of such a row names its last day.

    file = read_calendar(content, Dialect(at=now, zone=ZoneInfo("Europe/Berlin")), form="auto", name="fed.csv")
    file.events; file.refused; file.overlaps
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from contracts import DataRejected
from store.calendar import CalendarEvent, RefusedRow, Severity

Form = Literal["auto", "csv", "json", "ics"]

IGNORED: Final = "IGNORE"
SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("high", "red", "3"), "HIGH"),
        **dict.fromkeys(("med", "medium", "moderate", "orange", "2"), "MED"),
        **dict.fromkeys(("low", "none", "holiday", "non-economic", "yellow", "grey", "gray", "1", "0"), IGNORED),
    }
)
LONGEST_TITLE: Final = 500

# What calendars call their columns; the first that is filled counts.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "start": ("start", "ts_start", "starts", "dtstart", "datetime", "date_time"),
    "date": ("date", "start_date", "day"),
    "time": ("time", "start_time"),
    "end": ("end", "ts_end", "ends", "dtend"),
    "end_date": ("end_date",),
    "end_time": ("end_time",),
    "title": ("title", "event", "name", "summary", "subject"),
    "severity": ("severity", "impact", "importance"),
    "currency": ("currency", "country", "ccy"),
    "uid": ("uid", "id", "event_id"),
    "known_from": ("known_from", "announced"),
    "timezone": ("timezone", "time_zone", "tz"),
}
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{2,10}")


class CalendarRejected(DataRejected):
    """A file is no calendar; nothing of it was taken, what is stored stays."""


class Refusal(StrEnum):
    """Why a row was refused."""

    SHAPE = "row_unreadable"
    NO_START = "start_missing"
    NO_TITLE = "title_missing"
    TIME = "time_unreadable"
    NO_ZONE = "time_without_zone"
    ZONE = "zone_unknown"
    TWICE = "time_occurs_twice"
    NEVER = "time_does_not_occur"
    REVERSED = "ends_before_start"
    SEVERITY = "severity_unknown"
    CURRENCY = "currency_unreadable"
    CONFLICT = "uid_repeated"
    RECURRENCE = "recurrence_unreadable"


class RowRefused(Exception):
    """A row cannot be an event; its one argument is the `Refusal`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the rows of one source are read.

    Attributes:
        at: When the file was read.
        zone: Zone of its times that name none; None = such rows are refused.
        severities: Word (lower case) → `HIGH`, `MED` or `IGNORE`, beside and over `SEVERITIES`.
        severity: Of rows that state none.
        currency: Of rows that state none; None = such events concern every market (`ALL`).
        known_days_before: How long before its start an event that does not say so was known; None = since it was
            first loaded.
        horizon: How far beyond `at` recurring events are written out.
    """

    at: datetime
    zone: ZoneInfo | None = None
    severities: Mapping[str, str] = field(default_factory=dict)
    severity: str = "MED"
    currency: str | None = None
    known_days_before: int | None = None
    horizon: timedelta = timedelta(days=400)

    def severity_of(self, word: str) -> Severity | None:
        """What a source's word means; None = such events are ignored.

        Raises:
            RowRefused: Nobody has said what it means.
        """
        found = {**SEVERITIES, **self.severities}.get(word.lower()) if word else self.severity
        if found == IGNORED:
            return None
        if found == "HIGH":
            return "HIGH"
        if found == "MED":
            return "MED"
        raise RowRefused(Refusal.SEVERITY)

    def currency_of(self, word: str) -> str:
        """The currency in capitals.

        Raises:
            RowRefused: It is no code of letters.
        """
        found = (word or self.currency or "ALL").upper()
        if not _CURRENCY.fullmatch(found):
            raise RowRefused(Refusal.CURRENCY)
        return found

    def known_from(self, start: datetime, stated: datetime | None = None) -> datetime | None:
        """Since when an event was known; None = since it is first loaded (the store knows nothing from later on)."""
        if stated is None and self.known_days_before is not None:
            return start - timedelta(days=self.known_days_before)
        return stated


@dataclass(slots=True)
class CalendarFile:
    """What a file held.

    Attributes:
        events: In order of start; one a uid.
        refused: The rows that cannot be events.
        ignored: Rows whose severity is to be ignored.
        repeated: Rows that say again what an earlier one said.
    """

    events: list[CalendarEvent] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    ignored: int = 0
    repeated: int = 0

    @property
    def overlaps(self) -> list[str]:
        """Events of one title and currency that overlap, one sentence a pair; both are kept."""
        found, last = [], dict[tuple[str, str], CalendarEvent]()
        for event in self.events:
            before = last.get((event.title, event.currency))
            if before is not None and event.ts_start < before.ts_end:
                found.append(
                    f"{event.title} ({event.currency}) of {event.ts_start:%Y-%m-%d %H:%M} begins before the one of "
                    f"{before.ts_start:%Y-%m-%d %H:%M} has ended"
                )
            if before is None or event.ts_end > before.ts_end:
                last[event.title, event.currency] = event
        return found


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        line: Where it begins, counted from 1 (in JSON: which entry it is).
        payload: The row as received.
        values: Field → text, by our names; a field that is not there or empty is absent.
    """

    line: int
    payload: str
    values: Mapping[str, str]


def read_calendar(content: bytes, dialect: Dialect, *, form: Form, name: str) -> CalendarFile:
    """The events of a file.

    Args:
        content: The file.
        dialect: How its rows are read.
        form: What kind of file it is; `auto` = told from its name and first character.
        name: What it is called in messages; its suffix tells its kind.

    Raises:
        CalendarRejected: It is empty, not UTF-8, or nothing of the kind it should be.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"calendar {name} is no UTF-8 text ({error.reason} at byte {error.start}); what is stored stays"
        raise CalendarRejected(msg) from error
    text = text.replace("\x00", "\ufffd")  # PostgreSQL's text cannot hold NUL
    if not text.strip():
        msg = f"calendar {name} is empty: a calendar without events still has its header; what is stored stays"
        raise CalendarRejected(msg)
    kind = form if form != "auto" else _kind(text, name)
    if kind == "ics":
        from assets.calendar_ics import read_ics  # it builds on this module

        return read_ics(text, dialect, name=name)
    return judged(_csv_rows(text, name) if kind == "csv" else _json_rows(text, name), dialect)


def judged(rows: Iterable[Row], dialect: Dialect) -> CalendarFile:
    """Rows as events; each is accounted for once."""
    file = CalendarFile()
    events: list[tuple[Row, CalendarEvent]] = []
    for row in rows:
        try:
            event = _event(row.values, dialect)
        except RowRefused as refusal:
            file.refused.append(RefusedRow(row.line, row.payload, str(refusal.args[0])))
            continue
        if event is None:
            file.ignored += 1
        else:
            events.append((row, event))
    keep_first(file, events)
    return file


def keep_first(file: CalendarFile, events: Iterable[tuple[Row, CalendarEvent]]) -> None:
    """Put events into a file, one a uid: a row that says the same again is counted, one that contradicts refused."""
    found: dict[str, CalendarEvent] = {}
    for row, event in events:
        first = found.setdefault(event.uid, event)
        if first is not event and first == event:
            file.repeated += 1
        elif first is not event:
            file.refused.append(RefusedRow(row.line, row.payload, Refusal.CONFLICT.value))
    file.events = sorted(found.values(), key=lambda event: (event.ts_start, event.title, event.uid))


def local(naive: datetime, zone: ZoneInfo | None) -> datetime:
    """The instant at which a clock of `zone` reads `naive`.

    Raises:
        RowRefused: There is no zone, or its clock reads that twice or never.
    """
    if zone is None:
        raise RowRefused(Refusal.NO_ZONE)
    first = naive.replace(tzinfo=zone, fold=0)
    if first.utcoffset() != first.replace(fold=1).utcoffset():
        there_and_back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        raise RowRefused(Refusal.TWICE if there_and_back == naive else Refusal.NEVER)
    return first.astimezone(UTC)


def instant(text: str, zone: ZoneInfo | None, *, last_day: bool = False) -> datetime:
    """The instant that a text names: an ISO 8601 time, or a date, which is its first instant.

    Args:
        text: What is written.
        zone: Of a time that names none.
        last_day: Whether a date means the first instant after it.

    Raises:
        RowRefused: It names none.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=last_day)
            return local(datetime.combine(day, time()), zone)
        stated = datetime.fromisoformat(text)
        return local(stated, zone) if stated.tzinfo is None else stated.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RowRefused(Refusal.TIME) from error


def plain(text: str) -> str:
    """A title in one line without doubled spaces, cut at 500 characters."""
    return " ".join(text.split())[:LONGEST_TITLE]


def _event(values: Mapping[str, str], dialect: Dialect) -> CalendarEvent | None:
    if not values:
        raise RowRefused(Refusal.SHAPE)
    zone = _zone(values["timezone"]) if "timezone" in values else dialect.zone
    begins = values.get("start") or _joined(values, "date", "time")
    ends = values.get("end") or _joined(values, "end_date", "end_time")
    title = plain(values.get("title", ""))
    if not begins:
        raise RowRefused(Refusal.NO_START)
    if not title:
        raise RowRefused(Refusal.NO_TITLE)
    severity = dialect.severity_of(values.get("severity", ""))
    start = instant(begins, zone)
    whole_day = begins if _DATE.fullmatch(begins) else None
    last = ends or whole_day
    end = start if last is None else instant(last, zone, last_day=True)
    if end < start:
        raise RowRefused(Refusal.REVERSED)
    currency = dialect.currency_of(values.get("currency", ""))
    stated = instant(values["known_from"], zone) if "known_from" in values else None
    if severity is None:
        return None
    return CalendarEvent(
        # Without a uid of its own an event is what it is called, where and when: moved, it is another one.
        uid=values.get("uid") or hashlib.sha256(f"{title}|{currency}|{start.isoformat()}".encode()).hexdigest()[:24],
        ts_start=start,
        ts_end=end,
        severity=severity,
        title=title,
        currency=currency,
        known_from=dialect.known_from(start, stated),
    )


def _joined(values: Mapping[str, str], *names: str) -> str:
    return " ".join(values[name] for name in names if name in values)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # an unknown zone is a KeyError
        raise RowRefused(Refusal.ZONE) from error


def _kind(text: str, name: str) -> Form:
    begun = text.lstrip()
    if begun.startswith("BEGIN:VCALENDAR") or name.lower().endswith(".ics"):
        return "ics"
    if begun.startswith(("[", "{")) or name.lower().endswith(".json"):
        return "json"
    if begun.startswith("<"):
        msg = (
            f"calendar {name} is a page for people, not a calendar: {begun[:60]!r}; is it shared with everybody who "
            f"has the link? (what is stored stays)"
        )
        raise CalendarRejected(msg)
    return "csv"


def _named(values: Mapping[str, Any]) -> dict[str, str]:
    """Fields by our names."""
    stated = {
        re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_"): str(value).strip()
        for name, value in values.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
    found = {ours: next((stated[name] for name in names if stated.get(name)), "") for ours, names in _FIELDS.items()}
    return {name: value for name, value in found.items() if value}


def _csv_rows(text: str, name: str) -> Iterator[Row]:
    lines = list(io.StringIO(text, newline=""))
    head = next(line for line in lines if line.strip())
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Nothing behind an open quote can be told apart any more.
            msg = f"calendar {name}: line {begins} is no CSV ({error}); what is stored stays"
            raise CalendarRejected(msg) from error
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _header(cells, name)
            continue
        payload = "".join(lines[begins - 1 : reader.line_num]).rstrip("\r\n")
        if len(cells) > len(columns):
            yield Row(begins, payload, {})  # the cells have lost their columns
            continue
        yield Row(begins, payload, _named(dict(zip(columns, cells, strict=False))))


def _header(cells: list[str], name: str) -> list[str]:
    known = _named(dict.fromkeys(cells, "x"))
    if "title" not in known or not known.keys() & {"start", "date", "time"}:
        msg = (
            f"calendar {name}: the first line names the columns {', '.join(cells)[:200]!r}; a title (title, event, "
            f"name) and a start (start, or date and time) are needed; what is stored stays"
        )
        raise CalendarRejected(msg)
    return cells


def _json_rows(text: str, name: str) -> Iterator[Row]:
    try:
        document = json.loads(text)
    except ValueError as error:
        msg = f"calendar {name} is no JSON: {error}; what is stored stays"
        raise CalendarRejected(msg) from error
    if isinstance(document, dict):
        document = next((document[key] for key in ("events", "items", "data") if key in document), None)
    if not isinstance(document, list):
        msg = f"calendar {name} holds no list of events, and none under `events`; what is stored stays"
        raise CalendarRejected(msg)
    for number, entry in enumerate(document, start=1):
        payload = json.dumps(entry, ensure_ascii=False)
        yield Row(number, payload, _named(entry) if isinstance(entry, dict) else {})

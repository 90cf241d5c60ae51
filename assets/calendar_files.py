"""Calendar files as events: the judgement of their rows (`calendar_rows`). Pure: it fetches nothing and stores nothing.

Invariant: every row that comes in is accounted for once, as an event, as a refused row with its reason, as a repeated
row, or as one whose severity the source says to ignore. Nothing is guessed: a time without a zone, of a zone that was
not configured, or that its zone has twice or not at all refuses its row. A refused row never stops the others, whatever
it made a parser raise; a file that is no calendar at all, or too large a one, is rejected as a whole, so that what is
stored stays.

A date without a time means the whole day; the `end` of such a row names its last day.

    file = read_calendar(content, Dialect(at=now, zone=ZoneInfo("Europe/Berlin")), form="auto", name="fed.csv")
    file.events; file.refused; file.overlaps
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from assets.calendar_rows import CalendarRejected, Form, Row, csv_rows, json_rows, kind_of, storable
from store.calendar import CalendarEvent, RefusedRow, Severity

IGNORED: Final = "IGNORE"
SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("high", "red", "3"), "HIGH"),
        **dict.fromkeys(("med", "medium", "moderate", "orange", "2"), "MED"),
        **dict.fromkeys(("low", "none", "holiday", "non-economic", "yellow", "grey", "gray", "1", "0"), IGNORED),
    }
)
LONGEST_TITLE: Final = 500
# Ten events a day for thirteen years; whoever lists more has a rule that never ends.
MOST_EVENTS: Final = 50_000

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{2,10}")


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
    CHARACTERS = "characters_unstorable"


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
        repeated: Rows that say again what another one says, or what a later version of theirs has replaced.
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


def read_calendar(content: bytes, dialect: Dialect, *, form: Form, name: str) -> CalendarFile:
    """The events of a file.

    Args:
        content: The file.
        dialect: How its rows are read.
        form: What kind of file it is; `auto` = told from its name and first character.
        name: What it is called in messages; its suffix tells its kind.

    Raises:
        CalendarRejected: It is empty, not UTF-8, nothing of the kind it should be, or lists more than 50,000 events.
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
    kind = form if form != "auto" else kind_of(text, name)
    if kind == "ics":
        from assets.calendar_ics import read_ics  # it builds on this module

        return read_ics(text, dialect, name=name)
    file = CalendarFile()
    keep_first(
        file, _judged(file, csv_rows(text, name) if kind == "csv" else json_rows(text, name), dialect), name=name
    )
    return file


@contextmanager
def refusing(file: CalendarFile, row: Row) -> Iterator[None]:
    """A row that cannot be an event is written down as refused, and the others go on.

    What a parser raises that nobody foresaw refuses the row, too, and becomes its reason: one row of a file that
    strangers write must not keep back what the others, and the other calendars, say.
    """
    reason = None
    try:
        yield
    except RowRefused as refusal:
        reason = str(refusal.args[0])
    except OverflowError:  # behind the year 9999
        reason = Refusal.TIME.value
    except Exception as error:  # noqa: BLE001 - the parsers are others', what they may raise is not documented
        reason = f"{Refusal.SHAPE} ({type(error).__name__}: {error})"
    if reason is not None:
        file.refused.append(RefusedRow(row.line, row.payload, storable(reason)))


def _judged(file: CalendarFile, rows: Iterable[Row], dialect: Dialect) -> Iterator[tuple[Row, CalendarEvent]]:
    """The rows that are events; of the others each is accounted for."""
    for row in rows:
        event = None
        refused = len(file.refused)
        with refusing(file, row):
            event = _event(row.values, dialect)
        if event is not None:
            yield row, event
        elif len(file.refused) == refused:
            file.ignored += 1


def keep_first(file: CalendarFile, events: Iterable[tuple[Row, CalendarEvent]], *, name: str) -> None:
    """Put events into a file, one a uid: a row that says the same again is counted, one that contradicts refused.

    Raises:
        CalendarRejected: There are more than `MOST_EVENTS`; the file is called `name`.
    """
    found: dict[str, CalendarEvent] = {}
    for row, event in events:
        first = found.setdefault(event.uid, event)
        if len(found) > MOST_EVENTS:
            msg = (
                f"calendar {name} lists more than {MOST_EVENTS:,} events, each occurrence of a recurring one counted: "
                f"shorten it, or calendar.horizon_days; what is stored stays"
            )
            raise CalendarRejected(msg)
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
    zone = zone_named(values["timezone"]) if "timezone" in values else dialect.zone
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
    if storable(named := f"{title}{values.get('uid')}") != named:
        raise RowRefused(Refusal.CHARACTERS)
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


def zone_named(name: str) -> ZoneInfo:
    """A time zone by its name in the IANA database.

    Raises:
        RowRefused: It has none of that name; `localtime`, the machine's own zone, is no zone of a calendar.
    """
    if name not in _zones():
        raise RowRefused(Refusal.ZONE)
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "Factory"})

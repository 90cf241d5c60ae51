"""Calendars of the kind phones and exchanges publish (iCalendar, RFC 5545) as events.

A recurring event is written out to the horizon, each occurrence under its own uid (`<uid>/<original start>`), so that
one that is moved or cancelled is revised alone. Its times recur on the wall clock of its zone, as RFC 5545 has it; a
wall-clock time that occurs twice is the first, one that never occurs is as far behind midnight as if the clock had not
been moved. Times without a zone take the one that was configured, else the file's own `X-WR-TIMEZONE`.

Severity is told by `X-SEVERITY` or `X-IMPACT`, a category that is a known word, or `PRIORITY` (1-4 high, 5 medium,
6-9 low); the currency by `X-CURRENCY`. Left out: to-dos, and rules that repeat more often than daily.

    file = read_ics(text, Dialect(at=now), name="fomc.ics")
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, takewhile
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rruleset, rrulestr  # type: ignore[import-untyped]  # dateutil ships no types
from icalendar import Calendar
from icalendar.cal.event import Event
from icalendar.prop import vDDDTypes, vRecur

from assets.calendar_files import (
    SEVERITIES,
    CalendarFile,
    CalendarRejected,
    Dialect,
    Refusal,
    Row,
    RowRefused,
    keep_first,
    plain,
)
from store.calendar import CalendarEvent, RefusedRow

# An event a day for fifty years.
MOST_OCCURRENCES: Final = 20_000
_FREQUENCIES: Final = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
_READ: Final = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
_EVENT: Final = re.compile(r"^BEGIN:VEVENT\s*$.*?^END:VEVENT\s*$", re.MULTILINE | re.DOTALL | re.IGNORECASE)


def read_ics(text: str, dialect: Dialect, *, name: str) -> CalendarFile:
    """The events of an iCalendar file; `name` is what it is called in messages.

    Raises:
        CalendarRejected: It is no iCalendar file, or its end is missing.
    """
    try:
        calendar = Calendar.from_ical(text)
        found = [component for component in calendar.walk("VEVENT") if isinstance(component, Event)]
    except (ValueError, KeyError, IndexError) as error:
        msg = f"calendar {name} is no iCalendar file: {' '.join(str(error).split())[:200]}; what is stored stays"
        raise CalendarRejected(msg) from error
    blocks = list(_EVENT.finditer(text))
    if len(blocks) != len(found):
        msg = f"calendar {name}: {len(blocks)} events begin and end, {len(found)} can be read; what is stored stays"
        raise CalendarRejected(msg)
    dialect = replace(dialect, zone=dialect.zone or _stated_zone(calendar))
    file = CalendarFile()
    read: list[tuple[Row, _Event]] = []
    line, seen = 1, 0
    for block, component in zip(blocks, found, strict=True):
        line, seen = line + text.count("\n", seen, block.start()), block.start()
        row = Row(line, block.group().strip(), {})
        with _refusing(file, row):
            read.append((row, _Event.of(component, dialect)))
    keep_first(file, _occurrences(file, read, dialect))
    file.refused.sort(key=lambda refused: refused.line or 0)
    return file


def _occurrences(
    file: CalendarFile, read: Sequence[tuple[Row, _Event]], dialect: Dialect
) -> list[tuple[Row, CalendarEvent]]:
    """Every occurrence, the revised ones of a recurring event in the place of the original ones."""
    revised = {(event.uid, event.recurs_at) for _, event in read if event.recurs_at is not None}
    found: list[tuple[Row, CalendarEvent]] = []
    for row, event in read:
        with _refusing(file, row):
            if event.cancelled:
                continue
            if not event.severity:
                file.ignored += 1
                continue
            found += [
                (row, one)
                for original, one in event.written_out(dialect, until=dialect.at + dialect.horizon)
                if event.recurs_at is not None or (event.uid, original) not in revised
            ]
    return found


@contextmanager
def _refusing(file: CalendarFile, row: Row) -> Iterator[None]:
    """A row that cannot be an event is written down as refused, and the others go on."""
    try:
        yield
    except RowRefused as refusal:
        file.refused.append(RefusedRow(row.line, row.payload, str(refusal.args[0])))
    except OverflowError:  # behind the year 9999
        file.refused.append(RefusedRow(row.line, row.payload, Refusal.TIME.value))


@dataclass(frozen=True, slots=True)
class _Event:
    """One VEVENT, read.

    Attributes:
        uid: Of the whole series of occurrences.
        zone: On whose wall clock it recurs.
        start: Wall-clock time of its (first) start.
        length: From its start to its end; of days where it is of whole days.
        whole_days: Whether it is.
        rule: How it recurs; None = not by a rule.
        also: Wall-clock starts beside the rule.
        never: Wall-clock starts that are left out.
        recurs_at: Of which original start it is the revision; None = of none.
        cancelled: Whether it was called off.
        title: What it is called.
        currency: Whom it concerns.
        severity: `HIGH`, `MED`, or empty = to be ignored.
    """

    uid: str
    zone: tzinfo
    start: datetime
    length: timedelta
    whole_days: bool
    rule: vRecur | None
    also: tuple[datetime, ...]
    never: frozenset[datetime]
    recurs_at: datetime | None
    cancelled: bool
    title: str
    currency: str
    severity: str

    @classmethod
    def of(cls, component: Event, dialect: Dialect) -> _Event:
        """What a component says.

        Raises:
            RowRefused: It cannot be an event.
        """
        broken = {name for name, _ in component.errors}
        if broken & {"RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}:
            raise RowRefused(Refusal.RECURRENCE)
        if broken & set(_READ):
            raise RowRefused(Refusal.TIME)
        if None in broken:
            raise RowRefused(Refusal.SHAPE)
        title = plain(str(component.get("SUMMARY", "")))
        uid = str(component.get("UID", "")).strip()
        if not title:
            raise RowRefused(Refusal.NO_TITLE)
        if "DTSTART" not in component:
            raise RowRefused(Refusal.NO_START)
        stated = _one(component, "DTSTART")
        zone = _zone_of(component, stated, dialect.zone)
        start = _wall(stated, zone)
        rules, revises = component.rrules, "RECURRENCE-ID" in component
        if len(rules) > 1 or (revises and "RANGE" in _property(component, "RECURRENCE-ID").params):
            raise RowRefused(Refusal.RECURRENCE)
        return cls(
            uid=uid or f"{title}|{start.isoformat()}",
            zone=zone,
            start=start,
            length=_length(component, stated, start, zone),
            whole_days=not isinstance(stated, datetime),
            rule=rules[0] if rules else None,
            also=tuple(_wall(begins, zone) for begins, _ in component.rdates),
            never=frozenset(_wall(one, zone) for one in component.exdates),
            recurs_at=_instant(_wall(_one(component, "RECURRENCE-ID"), zone), zone) if revises else None,
            cancelled=str(component.get("STATUS", "")).upper() == "CANCELLED",
            title=title,
            currency=dialect.currency_of(str(component.get("X-CURRENCY", "")).strip()),
            severity=dialect.severity_of(_severity(component, dialect)) or "",
        )

    def written_out(self, dialect: Dialect, *, until: datetime) -> list[tuple[datetime | None, CalendarEvent]]:
        """Its occurrences that start before `until`, each behind its original start; None = it does not recur.

        Raises:
            RowRefused: Its rule cannot be followed, or never ends within reason.
        """
        recurs = self.rule is not None or bool(self.also)
        found: list[tuple[datetime | None, CalendarEvent]] = []
        for naive in self._starts(until) if recurs else [self.start]:
            start = _instant(naive, self.zone)
            end = _instant(naive + self.length, self.zone) if self.whole_days else start + self.length
            original = start if recurs else self.recurs_at
            uid = self.uid if original is None else f"{self.uid}/{original:%Y%m%dT%H%M%SZ}"
            event = CalendarEvent(
                uid=uid,
                ts_start=start,
                ts_end=end,
                severity="HIGH" if self.severity == "HIGH" else "MED",
                title=self.title,
                currency=self.currency,
                known_from=dialect.known_from(start),
            )
            found.append((original, event))
        return found

    def _starts(self, until: datetime) -> list[datetime]:
        last = _wall(until, self.zone)
        starts = rruleset()
        starts.rdate(self.start)
        for one in self.also:
            starts.rdate(one)
        for one in self.never:
            starts.exdate(one)
        if self.rule is not None:
            starts.rrule(rrulestr(_bounded(self.rule, self.zone, last), dtstart=self.start))
        found = list(islice(takewhile(lambda start: start < last, starts), MOST_OCCURRENCES + 1))
        if len(found) > MOST_OCCURRENCES:
            raise RowRefused(Refusal.RECURRENCE)
        return found


def _bounded(rule: vRecur, zone: tzinfo, last: datetime) -> str:
    """The rule as text on the wall clock, with an end: one that can never be met would be followed to the year 9999.

    Raises:
        RowRefused: It repeats more often than daily.
    """
    if not _FREQUENCIES.issuperset(map(str, rule.get("FREQ", ["?"]))):
        raise RowRefused(Refusal.RECURRENCE)
    wall = vRecur(rule)
    if "COUNT" not in rule:  # a rule has one of the two
        stated = [_wall(one, zone, at_end=True) for one in rule.get("UNTIL", [])]
        wall["UNTIL"] = [min([last, *stated])]
    return str(wall.to_ical(), "utf-8")  # type: ignore[no-untyped-call]  # icalendar gives it no types


def _one(component: Event, name: str) -> date:
    found = _property(component, name).dt
    if not isinstance(found, date):  # datetimes are dates; a bare time is none
        raise RowRefused(Refusal.TIME)
    return found


def _property(component: Event, name: str) -> vDDDTypes:
    value = component[name]
    if not isinstance(value, vDDDTypes):  # the property stands twice
        raise RowRefused(Refusal.SHAPE)
    return value


def _length(component: Event, stated: date, start: datetime, zone: tzinfo) -> timedelta:
    whole_days = not isinstance(stated, datetime)
    if "DTEND" in component:
        end = _wall(_one(component, "DTEND"), zone)
        length = end - start if whole_days else _instant(end, zone) - _instant(start, zone)
    elif "DURATION" in component:
        stated_length = _property(component, "DURATION").dt
        if not isinstance(stated_length, timedelta):
            raise RowRefused(Refusal.TIME)
        length = stated_length
    else:
        length = timedelta(days=whole_days)
    if length < timedelta(0):
        raise RowRefused(Refusal.REVERSED)
    return length


def _zone_of(component: Event, stated: date, configured: tzinfo | None) -> tzinfo:
    if isinstance(stated, datetime) and stated.tzinfo is not None:
        return stated.tzinfo
    if "TZID" in _property(component, "DTSTART").params:
        raise RowRefused(Refusal.ZONE)
    if configured is None:
        raise RowRefused(Refusal.NO_ZONE)
    return configured


def _stated_zone(calendar: Any) -> ZoneInfo | None:  # noqa: ANN401 - icalendar's own class of calendars
    try:
        return ZoneInfo(str(calendar["X-WR-TIMEZONE"]))
    except (KeyError, ValueError, OSError, ZoneInfoNotFoundError):
        return None


def _wall(value: date, zone: tzinfo, *, at_end: bool = False) -> datetime:
    """What the wall clock of `zone` reads; of a date its beginning, or its last second."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(23, 59, 59) if at_end else time())
    return (value if value.tzinfo is None else value.astimezone(zone)).replace(tzinfo=None, fold=0)


def _instant(wall: datetime, zone: tzinfo) -> datetime:
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _severity(component: Event, dialect: Dialect) -> str:
    for name in ("X-SEVERITY", "X-IMPACT"):
        if name in component:
            return str(component[name]).strip()
    known = {**SEVERITIES, **dialect.severities}
    for category in map(str, component.categories):
        if category.strip().lower() in known:
            return category.strip()
    priority = component.get("PRIORITY")
    if priority is None or not 1 <= int(priority) <= 9:
        return ""
    return "high" if int(priority) < 5 else "medium" if int(priority) == 5 else "low"

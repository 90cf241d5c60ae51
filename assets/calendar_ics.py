"""Calendars of the kind phones and exchanges publish (iCalendar, RFC 5545) as events.

A recurring event is written out to the horizon, each occurrence under its own uid (`<uid>/<original start>`), so that
one that is moved or cancelled is revised alone. Its times recur on the wall clock of its zone, as RFC 5545 has it; a
wall-clock time that occurs twice is the first, one that never occurs is as far behind midnight as if the clock had not
been moved. Times without a zone take the one that was configured, else the file's own `X-WR-TIMEZONE`.

Of several versions of an event the one of the highest `SEQUENCE` counts. Severity is told by `X-SEVERITY` or
`X-IMPACT`, a category that is a known word, or `PRIORITY` (1-4 high, 5 medium, 6-9 low); the currency by `X-CURRENCY`.
Left out: to-dos, and rules that repeat more often than daily.

    file = read_ics(text, Dialect(at=now), name="fomc.ics")
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, takewhile
from typing import Any, Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rruleset, rrulestr  # type: ignore[import-untyped]  # dateutil ships no types
from icalendar import Calendar
from icalendar.cal.event import Event
from icalendar.prop import vDDDTypes, vRecur

from assets.calendar_files import (
    SEVERITIES,
    CalendarFile,
    Dialect,
    Refusal,
    RowRefused,
    keep_first,
    plain,
    refusing,
    zone_named,
)
from assets.calendar_rows import CalendarRejected, Row
from store.calendar import CalendarEvent

# An event a day for fifty years.
MOST_OCCURRENCES: Final = 20_000
_CYCLE_YEARS: Final = 400
_FREQUENCIES: Final = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
_READ: Final = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_EVENT: Final = re.compile(r"^BEGIN:VEVENT\s*$.*?^END:VEVENT\s*$", re.MULTILINE | re.DOTALL | re.IGNORECASE)


def read_ics(text: str, dialect: Dialect, *, name: str) -> CalendarFile:
    """The events of an iCalendar file; `name` is what it is called in messages.

    Raises:
        CalendarRejected: It is no iCalendar file, its end is missing, or it lists too many events.
    """
    try:
        calendar = Calendar.from_ical(text)
        found = [component for component in calendar.walk("VEVENT") if isinstance(component, Event)]
    except Exception as error:  # the parser is others', and what it raises is not documented
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
        with refusing(file, row):
            read.append((row, _Event.of(component, dialect)))
    keep_first(file, _occurrences(file, _latest(file, read), dialect), name=name)
    file.refused.sort(key=lambda refused: refused.line or 0)
    return file


def _latest(file: CalendarFile, read: Sequence[tuple[Row, _Event]]) -> list[tuple[Row, _Event]]:
    """The events without the versions that a later one of the same event has replaced."""
    last: dict[tuple[str, datetime | None], int] = {}
    for _, event in read:
        last[event.of_whom] = max(event.sequence, last.get(event.of_whom, 0))
    found = [(row, event) for row, event in read if event.sequence == last[event.of_whom]]
    file.repeated += len(read) - len(found)
    return found


def _occurrences(
    file: CalendarFile, read: Sequence[tuple[Row, _Event]], dialect: Dialect
) -> Iterator[tuple[Row, CalendarEvent]]:
    """Every occurrence, the revised ones of a recurring event in the place of the original ones."""
    revised = {event.of_whom for _, event in read}
    for row, event in read:
        found: list[tuple[datetime | None, CalendarEvent]] = []
        if event.severity or event.cancelled:
            with refusing(file, row):
                found = [] if event.cancelled else event.written_out(dialect, until=dialect.at + dialect.horizon)
        else:
            file.ignored += 1
        for original, one in found:
            if event.recurs_at is not None or original is None or (event.uid, original) not in revised:
                yield row, one


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
        sequence: Which version of it this is, from 0.
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
    sequence: int
    cancelled: bool
    title: str
    currency: str
    severity: str

    @property
    def of_whom(self) -> tuple[str, datetime | None]:
        """What its versions have in common."""
        return self.uid, self.recurs_at

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
        title = plain(_text(component, "SUMMARY"))
        uid = _text(component, "UID")
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
            sequence=_number(component, "SEQUENCE", refusal=Refusal.SHAPE),
            cancelled=_text(component, "STATUS").upper() == "CANCELLED",
            title=title,
            currency=dialect.currency_of(_text(component, "X-CURRENCY")),
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
            starts.rrule(_followed(self.rule, self.start, self.zone, last))
        found = list(islice(takewhile(lambda start: start < last, starts), MOST_OCCURRENCES + 1))
        if len(found) > MOST_OCCURRENCES:
            raise RowRefused(Refusal.RECURRENCE)
        return found


def _followed(rule: vRecur, start: datetime, zone: tzinfo, last: datetime) -> Iterator[datetime]:
    """The wall-clock starts of a rule before `last`, and at most one behind it.

    One that can never be met is searched for up to the year 9999, whatever its end or count. The calendar repeats every
    400 years to the weekday, so the search is moved as close to that year as it goes.

    Raises:
        RowRefused: It repeats more often than daily, no whole number of times, or cannot be read.
    """
    counts = rule.get("COUNT", [])
    # Easter is no part of RFC 5545, and does not repeat with the calendar.
    if (
        not _FREQUENCIES.issuperset(map(str, rule.get("FREQ", ["?"])))
        or any(number < 1 for number in (*counts, *rule.get("INTERVAL", [])))
        or "BYEASTER" in rule
    ):
        raise RowRefused(Refusal.RECURRENCE)
    if start >= last:
        return iter(())
    ahead = _CYCLE_YEARS * ((MAXYEAR - last.year) // _CYCLE_YEARS)
    ends = min([last, *(_wall(one, zone, at_end=True) for one in rule.get("UNTIL", []))])
    wall = vRecur(rule)
    wall.pop("COUNT", None)  # of the two only one may be stated, and without an end it would go on to the year 9999
    wall["UNTIL"] = [_moved(ends, ahead)]
    text = str(wall.to_ical(), "utf-8")  # type: ignore[no-untyped-call]  # icalendar gives it no types
    try:
        found = rrulestr(text, dtstart=_moved(start, ahead))
    except (ValueError, TypeError) as error:
        raise RowRefused(Refusal.RECURRENCE) from error
    return islice((_moved(one, -ahead) for one in found), min(counts, default=None))


def _moved(wall: datetime, years: int) -> datetime:
    return wall.replace(year=wall.year + years)


def _text(component: Event, name: str) -> str:
    value = component.get(name, "")
    if isinstance(value, list):  # the property stands twice
        raise RowRefused(Refusal.SHAPE)
    return str(value).strip()


def _number(component: Event, name: str, *, refusal: Refusal) -> int:
    # A whole number; 0 where the property is absent.
    text = _text(component, name) or "0"
    if not _NUMBER.fullmatch(text):
        raise RowRefused(refusal)
    return int(text)


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
        # One that the file itself defines has no key.
        return zone_named(stated.tzinfo.key) if isinstance(stated.tzinfo, ZoneInfo) else stated.tzinfo
    if "TZID" in _property(component, "DTSTART").params:
        raise RowRefused(Refusal.ZONE)
    if configured is None:
        raise RowRefused(Refusal.NO_ZONE)
    return configured


def _stated_zone(calendar: Any) -> ZoneInfo | None:  # noqa: ANN401 - icalendar's own class of calendars
    try:
        return zone_named(str(calendar["X-WR-TIMEZONE"]))
    except (KeyError, RowRefused):
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
            return _text(component, name)
    known = {**SEVERITIES, **dialect.severities}
    for category in map(str, component.categories):
        if category.strip().lower() in known:
            return category.strip()
    priority = _number(component, "PRIORITY", refusal=Refusal.SEVERITY)
    if not 1 <= priority <= 9:
        return ""
    return "high" if priority < 5 else "medium" if priority == 5 else "low"

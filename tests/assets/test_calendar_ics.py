import sys
from datetime import UTC, datetime, timedelta
from types import FrameType
from zoneinfo import ZoneInfo

import pytest

from assets.calendar_files import MOST_EVENTS, CalendarFile, Dialect, Refusal, read_calendar
from assets.calendar_ics import MOST_OCCURRENCES
from assets.calendar_rows import CalendarRejected

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEW_YORK = "DTSTART;TZID=America/New_York:20260304T140000"
VIENNA = """BEGIN:VTIMEZONE
TZID:Vienna by hand
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE"""


def event(*lines: str, uid: str = "1", title: str = "FOMC") -> str:
    return "\n".join(("BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{title}", *lines, "END:VEVENT"))


def read(*blocks: str, dialect: Dialect | None = None, head: str = "") -> CalendarFile:
    text = "\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//", head, *blocks, "END:VCALENDAR", ""))
    given = dialect or Dialect(at=NOW, horizon=timedelta(days=120))
    return read_calendar(text.replace("\n\n", "\n").replace("\n", "\r\n").encode(), given, form="auto", name="fed.ics")


def starts(file: CalendarFile) -> list[str]:
    return [f"{one.ts_start:%m-%dT%H:%M}" for one in file.events]


def refusals(file: CalendarFile) -> list[tuple[int | None, str]]:
    return [(row.line, row.reason) for row in file.refused]


def test_an_event_of_a_zone_is_an_instant_and_ends_where_it_says() -> None:
    file = read(
        event(NEW_YORK, "DTEND;TZID=America/New_York:20260304T150000"),
        event("DTSTART:20260305T120000Z", "DURATION:PT90M", uid="2", title="Long, with \\, sign"),
        event("DTSTART:20260306T120000Z", uid="3"),
        event("DTSTART;TZID=Vienna by hand:20260307T120000", uid="4"),
        head=VIENNA,
    )
    assert [(f"{one.ts_start:%dT%H:%M}", f"{one.ts_end:%dT%H:%M}") for one in file.events] == [
        ("04T19:00", "04T20:00"),
        ("05T12:00", "05T13:30"),
        ("06T12:00", "06T12:00"),
        ("07T11:00", "07T11:00"),
    ]
    assert [one.uid for one in file.events] == ["1", "2", "3", "4"]
    assert file.events[1].title == "Long, with , sign"


def test_a_weekly_event_keeps_its_wall_clock_when_the_clocks_change() -> None:
    # New York goes from UTC-5 to UTC-4 on 2026-03-08.
    file = read(event(NEW_YORK, "RRULE:FREQ=WEEKLY;COUNT=3"))
    assert starts(file) == ["03-04T19:00", "03-11T18:00", "03-18T18:00"]
    assert [one.uid for one in file.events] == ["1/20260304T190000Z", "1/20260311T180000Z", "1/20260318T180000Z"]


def test_a_rule_without_an_end_is_written_out_to_the_horizon_and_its_past_stays() -> None:
    block = event("DTSTART:20251226T120000Z", "RRULE:FREQ=WEEKLY")
    file = read(block, dialect=Dialect(at=NOW, horizon=timedelta(days=15)))
    assert starts(file) == ["12-26T12:00", "01-02T12:00", "01-09T12:00"]


def test_the_end_of_a_rule_is_an_instant_that_still_counts_or_a_day_as_a_whole() -> None:
    for until in ("20260318T180000Z", "20260318"):
        assert starts(read(event(NEW_YORK, f"RRULE:FREQ=WEEKLY;UNTIL={until}"))) == [
            "03-04T19:00",
            "03-11T18:00",
            "03-18T18:00",
        ]
    assert len(starts(read(event(NEW_YORK, "RRULE:FREQ=WEEKLY;UNTIL=20260318T175959Z")))) == 2


def test_single_occurrences_are_left_out_added_moved_and_cancelled() -> None:
    recurrence = "RECURRENCE-ID;TZID=America/New_York:2026%sT140000"
    file = read(
        event(
            NEW_YORK,
            "RRULE:FREQ=WEEKLY;COUNT=5",
            "EXDATE;TZID=America/New_York:20260311T140000",
            "RDATE;TZID=America/New_York:20260312T140000",
        ),
        event(recurrence % "0318", "DTSTART;TZID=America/New_York:20260319T100000", title="moved"),
        event(recurrence % "0325", "DTSTART;TZID=America/New_York:20260325T140000", "STATUS:CANCELLED"),
    )
    assert [(one.title, f"{one.ts_start:%m-%dT%H:%M}") for one in file.events] == [
        ("FOMC", "03-04T19:00"),
        ("FOMC", "03-12T18:00"),
        ("moved", "03-19T14:00"),
        ("FOMC", "04-01T18:00"),
    ]
    assert file.events[2].uid == "1/20260318T180000Z"


def test_a_cancelled_event_is_not_listed() -> None:
    assert read(event(NEW_YORK, "STATUS:CANCELLED")) == CalendarFile()


def test_whole_days_are_days_of_the_configured_zone() -> None:
    dialect = Dialect(at=NOW, zone=ZoneInfo("Europe/Berlin"))
    file = read(
        event("DTSTART;VALUE=DATE:20260329"),
        event("DTSTART;VALUE=DATE:20260105", "DTEND;VALUE=DATE:20260107", uid="2"),
        dialect=dialect,
    )
    assert [(one.ts_start.isoformat(), one.ts_end.isoformat()) for one in file.events] == [
        ("2026-01-04T23:00:00+00:00", "2026-01-06T23:00:00+00:00"),
        ("2026-03-28T23:00:00+00:00", "2026-03-29T22:00:00+00:00"),  # 23 hours
    ]


def test_floating_times_take_the_configured_zone_else_the_files_own_and_are_refused_without_one() -> None:
    block = event("DTSTART:20260115T120000")
    own = "X-WR-TIMEZONE:America/New_York"
    assert refusals(read(block)) == [(4, Refusal.NO_ZONE)]
    assert starts(read(block, head=own)) == ["01-15T17:00"]
    assert starts(read(block, head=own, dialect=Dialect(at=NOW, zone=ZoneInfo("Europe/Berlin")))) == ["01-15T11:00"]


@pytest.mark.parametrize(
    ("lines", "told", "severity"),
    [
        (["X-IMPACT:High"], 1, "HIGH"),
        (["CATEGORIES:US,red"], 1, "HIGH"),
        (["PRIORITY:2"], 1, "HIGH"),
        (["PRIORITY:5"], 1, "MED"),
        (["PRIORITY:0"], 1, "MED"),
        (["CATEGORIES:meeting"], 1, "MED"),
        (["PRIORITY:9"], 0, None),
    ],
)
def test_severity_is_told_by_extension_category_or_priority(lines: list[str], told: int, severity: str | None) -> None:
    file = read(event(NEW_YORK, *lines))
    assert [one.severity for one in file.events] == [severity] * told
    assert file.ignored == 1 - told


def test_one_event_that_cannot_be_read_stops_no_other() -> None:
    file = read(
        event("DTSTART:rubbish"),
        event(NEW_YORK, "DTEND;TZID=America/New_York:20260304T130000", uid="2"),
        event("DTSTART;TZID=Nowhere/Land:20260115T120000", uid="3"),
        event(NEW_YORK, "RRULE:FREQ=SOMETIMES", uid="4"),
        event(NEW_YORK, "RRULE:FREQ=SECONDLY", uid="5"),
        event("DESCRIPTION:no start", uid="6"),
        event(NEW_YORK, uid="7", title=""),
        event(NEW_YORK, "no property at all", uid="8"),
        event(NEW_YORK, NEW_YORK, uid="9"),
        event(NEW_YORK, "X-CURRENCY:EUR", uid="good"),
    )
    assert [reason for _, reason in refusals(file)] == [
        Refusal.TIME,
        Refusal.REVERSED,
        Refusal.ZONE,
        Refusal.RECURRENCE,
        Refusal.RECURRENCE,
        Refusal.NO_START,
        Refusal.NO_TITLE,
        Refusal.SHAPE,
        Refusal.SHAPE,
    ]
    assert file.refused[0].line == 4
    assert file.refused[0].payload.startswith("BEGIN:VEVENT")
    assert "DTSTART:rubbish" in file.refused[0].payload
    assert [(one.uid, one.currency) for one in file.events] == [("good", "EUR")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("PRIORITY:high", Refusal.SEVERITY),
        ("PRIORITY:1\nPRIORITY:2", Refusal.SHAPE),
        ("SUMMARY:twice", Refusal.SHAPE),
        ("X-CURRENCY:USD\nX-CURRENCY:EUR", Refusal.SHAPE),
        ("SEQUENCE:first", Refusal.SHAPE),
        *(
            (f"RRULE:FREQ=DAILY;{part}", Refusal.RECURRENCE)
            for part in ("BYHOUR=25", "BYMINUTE=99", "BYSETPOS=0", "BYEASTER=1", "INTERVAL=0", "COUNT=-1")
        ),
        ("DTSTART;TZID=localtime:20260304T140000", Refusal.ZONE),
    ],
)
def test_a_property_that_breaks_a_parser_refuses_its_event_and_stops_no_other(line: str, reason: Refusal) -> None:
    own = [line] if line.startswith("DTSTART") else [NEW_YORK, line]
    file = read(event(*own), event(NEW_YORK, uid="good"))
    assert refusals(file) == [(4, reason)]
    assert [one.uid for one in file.events] == ["good"]


def test_of_several_versions_of_an_event_the_latest_counts_wherever_it_stands() -> None:
    moment = "DTSTART:202603%02dT120000Z"
    file = read(
        event(moment % 2, "SEQUENCE:2"),
        event(moment % 1),
        event(moment % 3, "SEQUENCE:10", uid="2"),
        event(moment % 4, "SEQUENCE:9", uid="2"),
        event(moment % 5, uid="3"),
        event(moment % 5, "SEQUENCE:1", "STATUS:CANCELLED", uid="3"),
        event(moment % 6, uid="4", title="a"),
        event(moment % 6, uid="4", title="b"),
    )
    assert [(one.uid, one.title, one.ts_start.day) for one in file.events] == [
        ("1", "FOMC", 2),
        ("2", "FOMC", 3),
        ("4", "a", 6),
    ]
    assert (file.repeated, [reason for _, reason in refusals(file)]) == (3, [Refusal.CONFLICT])


def test_a_rule_is_followed_over_a_leap_day_and_by_the_day_of_the_week() -> None:
    leap = event("DTSTART:20240229T120000Z", "RRULE:FREQ=YEARLY;COUNT=2")
    friday = event("DTSTART:20260102T120000Z", "RRULE:FREQ=MONTHLY;BYDAY=1FR;COUNT=4", uid="2")
    far = Dialect(at=NOW, horizon=timedelta(days=1000))
    found = read(leap, friday, dialect=far).events
    # 2024-02-29 and 2028-02-29; the first Fridays of 2026.
    assert [f"{one.ts_start:%Y-%m-%d}" for one in found if one.uid[0] == "1"] == ["2024-02-29", "2028-02-29"]
    assert [f"{one.ts_start:%m-%d}" for one in found if one.uid[0] == "2"] == ["01-02", "02-06", "03-06", "04-03"]


def test_a_calendar_of_more_events_than_anybody_lists_is_rejected_as_a_whole() -> None:
    daily = [event("DTSTART:19760101T000000Z", "RRULE:FREQ=DAILY", uid=str(uid)) for uid in range(3)]
    assert len(read(*daily[:2]).events) < MOST_EVENTS
    with pytest.raises(CalendarRejected, match=r"calendar fed\.ics lists more than 50,000 events"):
        read(*daily)


@pytest.mark.parametrize("end", ["", ";COUNT=1", ";UNTIL=20270101T000000Z"])
@pytest.mark.parametrize("frequency", ["YEARLY", "DAILY"])
def test_a_rule_that_can_never_be_met_is_searched_for_a_few_hundred_years_at_most(end: str, frequency: str) -> None:
    never = event(NEW_YORK, f"RRULE:FREQ={frequency};BYMONTH=2;BYMONTHDAY=30{end}")
    days = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal days
        days += event == "call" and frame.f_code.co_name in {"ddayset", "ydayset"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        file = read(never)
    finally:
        sys.setprofile(before)
    assert starts(file) == ["03-04T19:00"]
    assert 0 < days < 400 * 366


def test_a_rule_that_never_ends_within_reason_is_refused() -> None:
    years = Dialect(at=NOW, horizon=timedelta(days=366 * 100))
    daily = event("DTSTART:20260101T000000Z", "RRULE:FREQ=DAILY")
    assert MOST_OCCURRENCES < 366 * 100
    assert refusals(read(daily, dialect=years)) == [(4, Refusal.RECURRENCE)]


def test_a_file_without_its_end_is_rejected_as_a_whole() -> None:
    text = "BEGIN:VCALENDAR\n" + event(NEW_YORK) + "\nBEGIN:VEVENT\nUID:2\n"
    with pytest.raises(CalendarRejected, match="no iCalendar file"):
        read_calendar(text.encode(), Dialect(at=NOW), form="auto", name="x")

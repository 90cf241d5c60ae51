import csv
import io
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.calendar_files import (
    MOST_EVENTS,
    CalendarFile,
    Dialect,
    Refusal,
    RowRefused,
    read_calendar,
    refusing,
)
from assets.calendar_rows import CalendarRejected, Form, Row
from store.calendar import CalendarEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
PLAIN = Dialect(at=NOW)
LOCAL = Dialect(at=NOW, zone=BERLIN)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # year, month, day and so on


def read(text: str, dialect: Dialect = PLAIN, *, form: Form = "csv", name: str = "events.csv") -> CalendarFile:
    return read_calendar(text.encode(), dialect, form=form, name=name)


def refusals(file: CalendarFile) -> list[tuple[int | None, str]]:
    return [(row.line, row.reason) for row in file.refused]


def times(file: CalendarFile) -> list[tuple[datetime, datetime]]:
    return [(event.ts_start, event.ts_end) for event in file.events]


def test_a_row_with_every_column_is_an_event_with_every_value() -> None:
    file = read(
        "uid,start,end,title,severity,currency,known_from\n"
        "cpi-1,2026-01-15T08:30-05:00,2026-01-15T14:00Z,CPI  m/m,High,usd,2025-12-01T00:00Z\n"
    )
    assert file.events == [
        CalendarEvent(
            uid="cpi-1",
            ts_start=utc(2026, 1, 15, 13, 30),
            ts_end=utc(2026, 1, 15, 14),
            severity="HIGH",
            title="CPI m/m",
            currency="USD",
            known_from=utc(2025, 12, 1),
        )
    ]
    assert (file.refused, file.ignored, file.repeated, file.overlaps) == ([], 0, 0, [])


@pytest.mark.parametrize(
    "header",
    ["Title,Country,Date,Impact", "event;currency;start;importance", "Subject\tccy\tStart Date\tseverity"],
)
def test_the_columns_of_common_calendars_are_known_by_their_own_names(header: str) -> None:
    sign = next(sign for sign in "\t;," if sign in header)
    file = read(f"{header}\n" + sign.join(("FOMC", "USD", "2026-01-28T19:00Z", "High")) + "\n")
    [event] = file.events
    assert (event.title, event.currency, event.ts_start, event.severity) == (
        "FOMC",
        "USD",
        utc(2026, 1, 28, 19),
        "HIGH",
    )


def test_a_date_and_a_time_in_two_columns_are_one_instant_of_the_configured_zone() -> None:
    file = read("title,date,time\nECB,2026-07-23,14:15\n", LOCAL)
    assert times(file) == [(utc(2026, 7, 23, 12, 15), utc(2026, 7, 23, 12, 15))]


def test_a_zone_of_the_row_counts_before_the_configured_one() -> None:
    file = read("title,start,timezone\nBoJ,2026-01-23 12:00,Asia/Tokyo\nx,2026-01-23 12:00,Mars/Olympus\n", LOCAL)
    assert times(file) == [(utc(2026, 1, 23, 3), utc(2026, 1, 23, 3))]
    assert refusals(file) == [(3, Refusal.ZONE)]


def test_a_time_without_a_zone_refuses_its_row_and_no_other_where_no_zone_is_configured() -> None:
    text = "title,start\nnaive,2026-01-15 13:30\nday,2026-01-15\naware,2026-01-15 13:30Z\n"
    file = read(text)
    assert refusals(file) == [(2, Refusal.NO_ZONE), (3, Refusal.NO_ZONE)]
    assert [row.payload for row in file.refused] == ["naive,2026-01-15 13:30", "day,2026-01-15"]
    assert [event.title for event in file.events] == ["aware"]
    assert refusals(read(text, LOCAL)) == []


def test_a_local_time_that_occurs_twice_or_never_is_refused_and_not_guessed() -> None:
    # Berlin: 02:30 does not occur on 2026-03-29 and occurs twice on 2026-10-25.
    file = read("title,start\na,2026-03-29 02:30\nb,2026-10-25 02:30\nc,2026-10-25 03:30\n", LOCAL)
    assert refusals(file) == [(2, Refusal.NEVER), (3, Refusal.TWICE)]
    assert times(file) == [(utc(2026, 10, 25, 2, 30), utc(2026, 10, 25, 2, 30))]


def test_a_date_means_the_whole_local_day_and_an_end_date_the_last_day() -> None:
    file = read("title,start,end\none,2026-03-29,\ntwo,2026-01-05,2026-01-06\n", LOCAL)
    assert times(file) == [
        (utc(2026, 1, 4, 23), utc(2026, 1, 6, 23)),
        (utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),  # 23 hours: the clock is put forward
    ]


def test_reversed_times_are_refused_and_an_instant_is_none() -> None:
    file = read(
        "title,start,end\nback,2026-01-15T14:00Z,2026-01-15T13:59Z\npoint,2026-01-15T14:00Z,2026-01-15T14:00Z\n"
    )
    assert refusals(file) == [(2, Refusal.REVERSED)]
    assert [event.title for event in file.events] == ["point"]


def test_overlapping_events_of_one_title_and_currency_are_kept_and_reported() -> None:
    rows = (
        "CPI,USD,2026-01-15T12:00Z,2026-01-15T15:00Z",
        "CPI,USD,2026-01-15T12:30Z,2026-01-15T12:45Z",
        "CPI,USD,2026-01-15T14:00Z,2026-01-15T16:00Z",
        "CPI,USD,2026-01-15T16:00Z,2026-01-15T17:00Z",  # begins where the other ends
        "CPI,EUR,2026-01-15T12:00Z,2026-01-15T15:00Z",
    )
    file = read("title,currency,start,end\n" + "\n".join(rows))
    assert len(file.events) == 5
    assert file.overlaps == [
        "CPI (USD) of 2026-01-15 12:30 begins before the one of 2026-01-15 12:00 has ended",
        "CPI (USD) of 2026-01-15 14:00 begins before the one of 2026-01-15 12:00 has ended",
    ]


def test_severities_are_the_words_of_the_source_and_what_is_to_be_ignored_is_counted() -> None:
    text = "title,start,impact\na,2026-01-15Z,Red\nb,2026-01-15T00Z,***\nc,2026-01-15T00Z,Low\nd,2026-01-15T00Z,\n"
    dialect = Dialect(at=NOW, severities={"***": "HIGH"}, severity="MED")
    file = read(text.replace("2026-01-15Z", "2026-01-15T00Z"), dialect)
    assert [(event.title, event.severity) for event in file.events] == [("a", "HIGH"), ("b", "HIGH"), ("d", "MED")]
    assert file.ignored == 1
    assert refusals(read(text.replace("2026-01-15Z", "2026-01-15T00Z"))) == [(3, Refusal.SEVERITY)]


def test_what_a_row_does_not_say_is_as_configured() -> None:
    dialect = Dialect(at=NOW, severity="HIGH", currency="EUR", known_days_before=30)
    [event] = read("title,start\nECB,2026-07-23T12:15Z\n", dialect).events
    assert (event.severity, event.currency, event.known_from) == ("HIGH", "EUR", utc(2026, 6, 23, 12, 15))
    [plain] = read("title,start\nECB,2026-07-23T12:15Z\n").events
    assert (plain.severity, plain.currency, plain.known_from) == ("MED", "ALL", None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",2026-01-15T00Z,USD", Refusal.NO_TITLE),
        ("a,,USD", Refusal.NO_START),
        ("a,01/15/2026,USD", Refusal.TIME),
        ("a,2026-02-30,USD", Refusal.TIME),
        ("a,9999-12-31T23:00-05:00,USD", Refusal.TIME),
        ("a,2026-01-15T00Z,U$D", Refusal.CURRENCY),
        ("a,2026-01-15T00Z,USD,more", Refusal.SHAPE),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_reason(row: str, reason: Refusal) -> None:
    file = read(f"title,start,currency\n{row}\ngood,2026-01-15T00Z,USD\n", LOCAL)
    assert refusals(file) == [(2, reason)]
    assert file.refused[0].payload == row
    assert [event.title for event in file.events] == ["good"]


def test_a_uid_said_again_is_counted_and_one_that_contradicts_is_refused() -> None:
    file = read("uid,title,start\n1,a,2026-01-15T00Z\n1,a,2026-01-15T01+01:00\n1,a,2026-01-16T00Z\n")
    assert times(file) == [(utc(2026, 1, 15), utc(2026, 1, 15))]
    assert (file.repeated, refusals(file)) == (1, [(4, Refusal.CONFLICT)])


def test_a_quoted_cell_may_hold_lines_and_the_lines_behind_it_are_counted_right() -> None:
    file = read('title,start\n"two\nlines",2026-01-15T00Z\n\nbad,x\n', name="x")
    assert [event.title for event in file.events] == ["two lines"]
    assert refusals(file) == [(5, Refusal.TIME)]


def test_a_header_without_rows_is_a_calendar_without_events() -> None:
    assert read("\ufefftitle,start\n") == CalendarFile()


def test_json_is_a_list_of_events_or_holds_one() -> None:
    entries = [
        {"title": "CPI", "country": "USD", "date": "2026-01-15T08:30:00-05:00", "impact": "High", "forecast": 0.2},
        {"title": "x", "date": None},
        "no object",
    ]
    for document in (entries, {"events": entries}):
        file = read(json.dumps(document), form="auto", name="calendar.json")
        assert times(file) == [(utc(2026, 1, 15, 13, 30), utc(2026, 1, 15, 13, 30))]
        assert refusals(file) == [(2, Refusal.NO_START), (3, Refusal.SHAPE)]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (r'{"title": "bad \ud83d", "start": "2026-02-01T00:00Z"}', Refusal.CHARACTERS),
        (r'{"title": "bad \u0000", "start": "2026-02-01T00:00Z"}', Refusal.CHARACTERS),
        (r'{"uid": "\ud83d", "title": "x", "start": "2026-02-01T00:00Z"}', Refusal.CHARACTERS),
        (r'{"title": "x", "impact": "\ud83d", "start": "2026-02-01T00:00Z"}', Refusal.SEVERITY),
        (r'{"title": "x", "timezone": "\u0000", "start": "2026-02-01T00:00"}', Refusal.ZONE),
        (r'{"title": "", "note": "\ud83d", "start": "2026-02-01T00:00Z"}', Refusal.NO_TITLE),
    ],
)
def test_characters_that_cannot_be_stored_refuse_their_row_and_are_escaped_in_what_is_kept(
    entry: str, reason: Refusal
) -> None:
    file = read(f'[{entry}, {{"title": "good", "start": "2026-02-01T00:00Z"}}]', form="json")
    assert refusals(file) == [(1, reason)]
    payload = file.refused[0].payload.encode().decode()
    assert "\x00" not in payload
    assert r"\ud83d" in payload or r"\u0000" in payload
    assert [event.title for event in file.events] == ["good"]


def test_what_a_parser_raises_that_nobody_foresaw_refuses_the_row_and_becomes_its_reason() -> None:
    file = CalendarFile()
    for line, error in enumerate((ZeroDivisionError("by \ud83d"), RowRefused(Refusal.TIME)), start=1):
        with refusing(file, Row(line, "row", {})):
            raise error
    assert refusals(file) == [(1, r"row_unreadable (ZeroDivisionError: by \ud83d)"), (2, Refusal.TIME)]


def test_a_whole_number_of_json_is_a_severity_however_it_is_written() -> None:
    entries = [
        {"title": "a", "impact": impact, "start": "2026-02-01T00:00Z", "uid": n}
        for n, impact in enumerate((3, 3.0, 2.5))
    ]
    file = read(json.dumps(entries), form="json")
    assert [event.severity for event in file.events] == ["HIGH", "HIGH"]
    assert refusals(file) == [(3, Refusal.SEVERITY)]


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "Factory", "right/UTC", "../UTC"])
def test_a_zone_that_is_none_of_a_place_is_refused(zone: str) -> None:
    assert refusals(read(f"title,start,tz\na,2026-02-01,{zone}\n")) == [(2, Refusal.ZONE)]


def test_a_list_of_more_events_than_anybody_has_is_rejected_as_a_whole() -> None:
    rows = [f"{number},a,2026-02-01T00:00Z" for number in range(MOST_EVENTS + 1)]
    with pytest.raises(CalendarRejected, match=r"lists more than 50,000 events.*what is stored stays"):
        read("\n".join(["uid,title,start", *rows]))
    assert len(read("\n".join(["uid,title,start", *rows[1:]])).events) == MOST_EVENTS


@pytest.mark.parametrize(
    ("content", "form", "told"),
    [
        (b"", "auto", "is empty"),
        (b" \n", "csv", "is empty"),
        (b"title,start\n\xff\xfe", "csv", "no UTF-8 text"),
        (b"<!DOCTYPE html><html>sign in", "auto", "a page for people"),
        (b"a,b\n1,2\n", "csv", "names the columns 'a, b'"),
        (b"title,severity\n1,2\n", "csv", "are needed"),
        (b'title,start\n"open,2026-01-15\n', "csv", "line 2 is no CSV"),
        (b"{", "json", "is no JSON"),
        (b'{"a": 1}', "json", "holds no list"),
        (b"[" * 200_000, "auto", "nested deeper than any calendar"),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "auto", "no iCalendar file"),
    ],
)
def test_what_is_no_calendar_is_rejected_as_a_whole(content: bytes, form: Form, told: str) -> None:
    with pytest.raises(CalendarRejected, match=told) as caught:
        read_calendar(content, PLAIN, form=form, name="fed")
    assert "fed" in str(caught.value)
    assert "what is stored stays" in str(caught.value)


@given(st.lists(st.lists(st.text(max_size=12), min_size=3, max_size=3), max_size=20))
def test_every_row_is_accounted_for_once(cells: list[list[str]]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["title", "start", "severity"])
    writer.writerows(cells)
    text = buffer.getvalue()
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(cell.strip() for cell in row)]
    file = read(text, LOCAL)
    assert len(file.events) + len(file.refused) + file.ignored + file.repeated == len(rows) - 1


@given(st.binary(max_size=200), st.sampled_from(["auto", "csv", "json", "ics"]))
def test_any_bytes_are_a_calendar_or_rejected(content: bytes, form: Form) -> None:
    try:
        file = read_calendar(content, PLAIN, form=form, name="x")
    except CalendarRejected:
        return
    assert all(event.ts_start <= event.ts_end for event in file.events)


@given(
    st.datetimes(min_value=utc(2000, 1, 1).replace(tzinfo=None), max_value=utc(2035, 1, 1).replace(tzinfo=None)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_an_accepted_local_time_reads_the_same_on_the_clock_of_its_zone(naive: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    file = read(f"title,start\na,{naive.isoformat()}\n", Dialect(at=NOW, zone=zone))
    readings = [event.ts_start.astimezone(zone).replace(tzinfo=None, fold=0) for event in file.events]
    assert readings in ([naive], [])
    if not readings:  # nobody's clock jumps by more than three hours
        before, after = ((naive + timedelta(hours=hours)).replace(tzinfo=zone).utcoffset() for hours in (-3, 3))
        assert before != after

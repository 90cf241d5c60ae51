import hashlib
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.calendar import (
    CalendarCounts,
    CalendarEvent,
    KnownEvent,
    RefusedRow,
    Severity,
    calendar_version,
    coming_by_source,
    event_id,
    events_as_of,
    record_refused,
    replace_source,
)
from store.connections import connect
from store.errors import FrameRejected
from store.roles import BATCH
from tests.databases import Database

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def days(count: float) -> timedelta:
    return timedelta(days=count)


def event(uid: str, day: float, *, hours: float = 1, title: str = "CPI", known: float | None = None) -> CalendarEvent:
    """An event that begins `day` days after NOW."""
    start = NOW + days(day)
    return CalendarEvent(
        uid=uid,
        ts_start=start,
        ts_end=start + timedelta(hours=hours),
        severity="HIGH",
        title=title,
        currency="USD",
        known_from=None if known is None else NOW + days(known),
    )


def titles(conn: psycopg.Connection, at: datetime) -> list[str]:
    return [found.title for found in events_as_of(conn, at, *ALWAYS)]


def versions(conn: psycopg.Connection) -> list[tuple[str, datetime, datetime | None]]:
    return conn.execute(
        "SELECT title, known_from, superseded_at FROM market.calendar_events ORDER BY event_id, known_from"
    ).fetchall()


def test_an_event_is_found_with_everything_its_source_said(conn: psycopg.Connection) -> None:
    assert replace_source(conn, "fed", [event("a", 3)], at=NOW) == CalendarCounts(added=1)
    [found] = events_as_of(conn, NOW, *ALWAYS)
    assert found == KnownEvent(
        event_id=hashlib.sha256(b"fed|a").hexdigest()[:24],
        known_from=NOW,
        ts_start=NOW + days(3),
        ts_end=NOW + days(3) + timedelta(hours=1),
        severity="HIGH",
        title="CPI",
        currency="USD",
        source="fed",
    )
    assert found.event_id == event_id("fed", "a") != event_id("ecb", "a")


def test_what_is_to_come_is_counted_by_source(conn: psycopg.Connection) -> None:
    assert coming_by_source(conn, NOW) == {}
    replace_source(conn, "fed", [event("a", 3), event("b", 5), event("c", -3)], at=NOW)
    replace_source(conn, "ecb", [event("a", 4), event("b", -1)], at=NOW)
    replace_source(conn, "fed", [event("a", 3)], at=NOW + days(1))
    assert coming_by_source(conn, NOW + days(1)) == {"ecb": 1, "fed": 1}
    assert coming_by_source(conn, NOW + days(3)) == {"ecb": 1}


def test_the_same_list_again_touches_no_row(conn: psycopg.Connection) -> None:
    query = "SELECT ctid::text, xmin::text, xmax::text FROM market.calendar_events ORDER BY event_id"
    listed = [event("a", 3), event("b", -3, known=-9)]
    replace_source(conn, "fed", listed, at=NOW)
    before = conn.execute(query).fetchall()
    again = [listed[1], replace(listed[0], known_from=NOW - days(50))]  # since when it is known makes no version
    assert replace_source(conn, "fed", again, at=NOW + days(1)) == CalendarCounts(unchanged=2)
    assert replace_source(conn, "fed", listed, at=NOW) == CalendarCounts(unchanged=2)
    assert conn.execute(query).fetchall() == before


def test_a_first_version_is_known_since_its_source_says_but_never_later_than_it_was_loaded(
    conn: psycopg.Connection,
) -> None:
    listed = [event("a", 3, title="a"), event("b", 3, title="b", known=-9), event("c", 99, title="c", known=50)]
    replace_source(conn, "fed", listed, at=NOW)
    assert sorted(versions(conn)) == [("a", NOW, None), ("b", NOW - days(9), None), ("c", NOW, None)]
    assert titles(conn, NOW - days(10)) == []
    assert titles(conn, NOW - days(9)) == ["b"]
    assert sorted(titles(conn, NOW)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "changed",
    [
        event("a", 4, title="CPI"),
        event("a", 3, hours=2),
        event("a", 3, title="CPI y/y"),
        replace(event("a", 3), severity="MED"),
        replace(event("a", 3), currency="EUR"),
        replace(event("a", 3, title="moved", known=-20)),
    ],
)
def test_a_changed_event_is_a_new_version_known_since_it_was_loaded_whatever_its_source_says(
    conn: psycopg.Connection, changed: CalendarEvent
) -> None:
    first = event("a", 3)
    replace_source(conn, "fed", [first], at=NOW)
    assert replace_source(conn, "fed", [changed], at=NOW + days(1)) == CalendarCounts(changed=1)

    def as_of(at: datetime) -> list[tuple[datetime, datetime, Severity, str, str]]:
        found = events_as_of(conn, at, *ALWAYS)
        return [(one.ts_start, one.ts_end, one.severity, one.title, one.currency) for one in found]

    before, after = ([(e.ts_start, e.ts_end, e.severity, e.title, e.currency)] for e in (first, changed))
    assert as_of(NOW - days(9)) == []
    assert as_of(NOW) == as_of(NOW + days(0.999)) == before
    assert as_of(NOW + days(1)) == as_of(NOW + days(99)) == after


def test_an_event_to_come_that_is_no_longer_listed_is_withdrawn_and_one_that_has_begun_stays(
    conn: psycopg.Connection,
) -> None:
    listed = [event("past", -1, title="past"), event("now", 1, hours=48, title="now"), event("later", 9, title="later")]
    replace_source(conn, "fed", listed, at=NOW)
    replace_source(conn, "ecb", [event("later", 9, title="of another source")], at=NOW)
    counts = replace_source(conn, "fed", [], at=NOW + days(2))
    assert counts == CalendarCounts(withdrawn=1)
    assert titles(conn, NOW + days(2)) == ["past", "now", "of another source"]
    assert "later" in titles(conn, NOW + days(1.999))
    assert replace_source(conn, "fed", [], at=NOW + days(3)) == CalendarCounts()


def test_a_source_that_was_read_in_part_withdraws_nothing(conn: psycopg.Connection) -> None:
    replace_source(conn, "fed", [event("a", 9)], at=NOW)
    counts = replace_source(conn, "fed", [event("b", 9, title="NFP")], at=NOW + days(1), withdraw=False)
    assert counts == CalendarCounts(added=1)
    assert sorted(titles(conn, NOW + days(1))) == ["CPI", "NFP"]


def test_a_withdrawn_event_that_is_listed_again_is_known_again_since_then(conn: psycopg.Connection) -> None:
    listed = [event("a", 9, known=-5)]
    replace_source(conn, "fed", listed, at=NOW)
    replace_source(conn, "fed", [], at=NOW + days(1))
    assert replace_source(conn, "fed", listed, at=NOW + days(2)) == CalendarCounts(added=1)
    assert versions(conn) == [("CPI", NOW - days(5), NOW + days(1)), ("CPI", NOW + days(2), None)]
    known = [len(titles(conn, NOW + days(day))) for day in (-6, -5, 0.99, 1, 1.99, 2, 3)]
    assert known == [0, 1, 1, 0, 0, 1, 1]


def test_a_window_holds_what_touches_it_and_an_instant_is_its_own(conn: psycopg.Connection) -> None:
    listed = [event("a", 1, hours=24, title="day"), event("b", 2, hours=0, title="instant")]
    replace_source(conn, "fed", listed, at=NOW)

    def found(start: float, end: float) -> list[str]:
        return [one.title for one in events_as_of(conn, NOW, NOW + days(start), NOW + days(end))]

    assert found(0, 1) == []
    assert found(0, 1.01) == ["day"]
    assert found(1.5, 1.6) == ["day"]
    assert found(1.99, 2) == ["day"]
    assert found(2, 3) == ["instant"]
    assert found(1, 2.01) == ["day", "instant"]
    assert found(2.01, 3) == []


@pytest.mark.parametrize(
    ("listed", "story"),
    [
        ([event("a", 1), event("a", 1)], "event 'a' of the calendar fed is listed twice"),
        ([event("a", 1, hours=-1)], "before it starts"),
        ([replace(event("a", 1), severity="LOW")], "severity 'LOW'"),  # type: ignore[arg-type] # as a caller might
    ],
)
def test_a_list_with_one_bad_event_is_refused_whole(
    conn: psycopg.Connection, listed: list[CalendarEvent], story: str
) -> None:
    with pytest.raises(FrameRejected, match=story):
        replace_source(conn, "fed", [event("ok", 1), *listed], at=NOW)
    assert versions(conn) == []


@pytest.mark.parametrize("second", [[event("a", 9, title="moved")], []])
def test_a_change_that_is_not_later_than_what_it_changes_is_refused(
    conn: psycopg.Connection, second: list[CalendarEvent]
) -> None:
    replace_source(conn, "fed", [event("a", 9)], at=NOW)
    for at in (NOW, NOW - days(1)):
        with pytest.raises(FrameRejected, match="read after what it changes"):
            replace_source(conn, "fed", second, at=at)
    assert versions(conn) == [("CPI", NOW, None)]


def test_two_loads_at_once_follow_each_other(database: Database) -> None:
    counts: list[CalendarCounts] = []

    def load() -> None:
        with connect(database.dsn(BATCH)) as own:
            counts.append(replace_source(own, "fed", [event("a", 9), event("b", 9)], at=NOW))

    with connect(database.dsn(BATCH)) as conn, conn.transaction():
        replace_source(conn, "fed", [event("a", 9)], at=NOW)
        second = threading.Thread(target=load)
        second.start()
        second.join(timeout=0.5)
        assert counts == []
    second.join(timeout=20)
    assert counts == [CalendarCounts(added=1, unchanged=1)]


def test_refused_rows_are_kept_once_wherever_in_the_file_they_move(conn: psycopg.Connection) -> None:
    rows = [RefusedRow(2, "2024-13-01,CPI\x00", "time_unreadable"), RefusedRow(None, "{}", "title_missing")]
    assert record_refused(conn, "fed", rows, origin="fed.csv", seen_at=NOW) == 2
    moved = [replace(rows[0], line=7), replace(rows[1], reason="start_missing")]
    assert record_refused(conn, "fed", moved, origin="fed.csv", seen_at=NOW + days(1)) == 1
    assert record_refused(conn, "fed", rows[:1], origin="other.csv", seen_at=NOW) == 1
    stored = conn.execute("SELECT line, payload, reason, seen_at FROM market.calendar_refused ORDER BY id").fetchall()
    assert stored[:3] == [
        (2, "2024-13-01,CPI\\0", "time_unreadable", NOW),
        (None, "{}", "title_missing", NOW),
        (None, "{}", "start_missing", NOW + days(1)),
    ]


def test_the_version_is_a_hash_of_lines_anybody_can_write(conn: psycopg.Connection) -> None:
    assert calendar_version(conn, NOW) == hashlib.sha256(b"").hexdigest()
    replace_source(conn, "fed", [event("a", 3, title="Zinsentscheid | “Fed”", known=-1)], at=NOW)
    # 2024-03-01T12:00Z is 1709294400 s; a day is 86400 s.
    first = (
        f'["{event_id("fed", "a")}",1709208000000000,null,1709553600000000,1709557200000000,"HIGH",'
        f'"Zinsentscheid | “Fed”","USD"]\n'
    )
    assert calendar_version(conn, NOW) == hashlib.sha256(first.encode()).hexdigest()
    replace_source(conn, "fed", [], at=NOW + days(1))
    withdrawn = first.replace("null", "1709380800000000")
    assert calendar_version(conn, NOW + days(1)) == hashlib.sha256(withdrawn.encode()).hexdigest()
    assert calendar_version(conn, NOW) == hashlib.sha256(first.encode()).hexdigest()


contents = st.tuples(st.integers(-2, 6), st.sampled_from(["CPI", "NFP"]), st.none() | st.integers(-3, 3))
loads = st.lists(
    st.tuples(st.sampled_from(["fed", "ecb"]), st.dictionaries(st.sampled_from("abc"), contents), st.booleans()),
    max_size=6,
)
Load = tuple[str, dict[str, tuple[int, str, int | None]], bool]
Standing = dict[tuple[str, str], tuple[int, str]]


@given(loads=loads)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_known_is_never_told_otherwise_later(
    database: Database, conn: psycopg.Connection, loads: list[Load]
) -> None:
    """One load a day. The rule as a dictionary agrees on what stands; later loads change no earlier answer or version.

    What a source declares to have been known before it was first loaded is the one thing that may be added to the past.
    """
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.calendar_events")
    ids = {event_id(source, uid): (source, uid) for source in ("fed", "ecb") for uid in "abc"}
    stands: Standing = {}
    told: dict[datetime, Standing] = {}
    fingerprints: dict[datetime, str] = {}
    declared: set[tuple[str, str]] = set()

    def asked(at: datetime) -> Standing:
        found = events_as_of(conn, at, *ALWAYS)
        assert len({one.event_id for one in found}) == len(found)  # one version at a time
        return {ids[one.event_id]: ((one.ts_start - NOW).days, one.title) for one in found}

    for number, (source, listed, withdraw) in enumerate(loads):
        at = NOW + days(number)
        events = [event(uid, day, title=title, known=known) for uid, (day, title, known) in listed.items()]
        replace_source(conn, source, events, at=at, withdraw=withdraw)
        declared |= {(source, uid) for uid, (_, _, known) in listed.items() if known is not None}
        stands = {
            key: content
            for key, content in stands.items()
            if key[0] != source or key[1] in listed or content[0] <= number or not withdraw
        } | {(source, uid): (day, title) for uid, (day, title, _) in listed.items()}
        told[at], fingerprints[at] = stands, calendar_version(conn, at)
        assert asked(at) == stands
    for at, then in told.items():
        now = asked(at)
        assert {key: content for key, content in now.items() if key in then} == then
        assert now.keys() - then.keys() <= declared
        assert calendar_version(conn, at) == fingerprints[at]

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from assets.calendar import OVERLAP_CHECK, REFUSED_CHECK, calendar_events, load_calendars, withdraw_removed
from assets.calendar_rows import CalendarRejected
from assets.calendar_sources import Calendars, Source, SourceRefused
from assets.resources import Postgres
from contracts.errors import TidemarkError
from store.calendar import CalendarCounts, events_as_of
from store.roles import BATCH
from tests.assets.runs import QUIET, failure_of
from tests.databases import Database

T0 = datetime(2026, 1, 1, tzinfo=UTC)
FAR = datetime(2030, 1, 1, tzinfo=UTC)
HEAD = "uid,title,start,end,impact,currency\n"
FOMC = "1,FOMC,2026-01-28T19:00Z,,High,USD\n"
CPI = "2,CPI,2026-02-11T13:30Z,,High,USD\n"
STORED = "SELECT event_id, known_from, ts_start, superseded_at, xmin::text FROM market.calendar_events ORDER BY 1, 2"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fed.csv"


def load(conn: psycopg.Connection, *files: Path, at: datetime = T0) -> tuple[list[CalendarCounts], list[TidemarkError]]:
    sources = [Source(name=file.stem, path=str(file)) for file in files]
    loaded, failures = load_calendars(conn, Calendars(sources=sources), at=at, say=lambda _: None)
    return [one.counts for one in loaded], failures


def titles(conn: psycopg.Connection, at: datetime) -> list[tuple[str, str]]:
    return [(event.title, f"{event.ts_start:%m-%dT%H:%M}") for event in events_as_of(conn, at, T0, FAR)]


def refused(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    return conn.execute("SELECT source, line, payload, reason FROM market.calendar_refused ORDER BY id").fetchall()


def test_the_same_file_again_touches_no_row(conn: psycopg.Connection, file: Path) -> None:
    file.write_text(HEAD + FOMC + CPI + "3,bad,no time,,,\n")
    assert load(conn, file)[0] == [CalendarCounts(added=2)]
    before = conn.execute(STORED).fetchall(), refused(conn)
    assert load(conn, file, at=T0 + timedelta(days=1))[0] == [CalendarCounts(unchanged=2)]
    assert (conn.execute(STORED).fetchall(), refused(conn)) == before


def test_an_event_that_moved_is_known_as_it_was_before_and_as_it_is_since(conn: psycopg.Connection, file: Path) -> None:
    later = T0 + timedelta(days=5)
    file.write_text(HEAD + FOMC + CPI)
    load(conn, file)
    file.write_text(HEAD + FOMC.replace("28T19:00", "29T20:00"))
    assert load(conn, file, at=later)[0] == [CalendarCounts(changed=1, withdrawn=1)]
    assert titles(conn, later - timedelta(seconds=1)) == [("FOMC", "01-28T19:00"), ("CPI", "02-11T13:30")]
    assert titles(conn, later) == [("FOMC", "01-29T20:00")]


def test_where_a_row_was_refused_no_event_is_withdrawn(conn: psycopg.Connection, file: Path) -> None:
    file.write_text(HEAD + FOMC + CPI)
    load(conn, file)
    file.write_text(HEAD + FOMC + CPI.replace("2026-02-11T13:30Z", "soon"))
    assert load(conn, file, at=T0 + timedelta(days=1))[0] == [CalendarCounts(unchanged=1)]
    assert len(titles(conn, T0 + timedelta(days=2))) == 2
    assert refused(conn) == [("fed", 3, "2,CPI,soon,,High,USD", "time_unreadable")]


def test_a_file_that_cannot_be_read_changes_nothing_and_stops_no_other(
    conn: psycopg.Connection, file: Path, tmp_path: Path
) -> None:
    file.write_text(HEAD + FOMC + CPI)
    load(conn, file)
    before = conn.execute(STORED).fetchall()
    other = tmp_path / "ecb.csv"
    other.write_text(HEAD + "9,ECB,2026-03-12T13:15Z,,High,EUR\n")
    for content in (b"", b"<html>sign in</html>", b"a,b\n1,2\n", b"\xff\xfe"):
        file.write_bytes(content)
        _, failures = load(conn, file, other, at=T0 + timedelta(days=1))
        assert [type(failure) for failure in failures] == [CalendarRejected]
    file.unlink()
    counts, failures = load(conn, file, other, at=T0 + timedelta(days=2))
    assert [type(failure) for failure in failures] == [SourceRefused]
    assert counts == [CalendarCounts(unchanged=1)]
    stored = conn.execute(STORED).fetchall()
    assert [row for row in stored if row in before] == before
    assert len(stored) == 3


def test_a_file_of_which_no_row_can_be_read_fails_and_keeps_the_rows(conn: psycopg.Connection, file: Path) -> None:
    file.write_text(HEAD + FOMC)
    load(conn, file)
    file.write_text(HEAD + "1,FOMC,2026-01-28 19:00,,High,USD\n")
    counts, [failure] = load(conn, file, at=T0 + timedelta(days=1))
    assert counts == []
    assert "none of the 1 rows" in str(failure)
    assert "line 2: time_without_zone" in str(failure)
    assert titles(conn, FAR) == [("FOMC", "01-28T19:00")]
    assert [row[3] for row in refused(conn)] == ["time_without_zone"]


def test_a_bad_row_stops_neither_its_calendar_nor_the_ones_behind_it(conn: psycopg.Connection, tmp_path: Path) -> None:
    good = '{"title": "ok", "start": "2026-02-01T00:00Z"}'
    head, begun = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n", "BEGIN:VEVENT\nSUMMARY:a\nDTSTART:20260201T000000Z\n"
    contents = {
        "a.json": '["' + r"\ud83d" + '", {"title": "x\\u0000", "start": "2026-02-01T00:00Z"}, ' + good + "]",
        "b.json": "[" * 200_000,
        "c.ics": f"{head}{begun}UID:1\nPRIORITY:high\nEND:VEVENT\n{begun}UID:2\nEND:VEVENT\nEND:VCALENDAR\n",
        "d.csv": HEAD + FOMC,
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    counts, [failure] = load(conn, *(tmp_path / name for name in contents))
    assert "nested deeper" in str(failure)
    assert counts == [CalendarCounts(added=1)] * 3
    assert [row[3] for row in refused(conn)] == ["row_unreadable", "characters_unstorable", "severity_unknown"]
    payload = refused(conn)[0][2]
    assert isinstance(payload, str)
    assert payload == r'"\ud83d"'


def test_a_calendar_that_lists_nothing_any_more_fails_and_withdraws_nothing(
    conn: psycopg.Connection, file: Path
) -> None:
    file.write_text(HEAD + FOMC)
    load(conn, file)
    file.write_text(HEAD)
    counts, [failure] = load(conn, file, at=T0 + timedelta(days=1))
    assert counts == []
    assert "fed.csv lists no event any more, 1 that it listed are still to come" in str(failure)
    assert titles(conn, FAR) == [("FOMC", "01-28T19:00")]
    # Once nothing is to come any more, an empty calendar is one.
    assert load(conn, file, at=T0 + timedelta(days=40)) == ([CalendarCounts()], [])


def test_what_is_to_come_of_a_source_that_was_removed_is_withdrawn_and_what_has_begun_stays(
    conn: psycopg.Connection, file: Path
) -> None:
    file.write_text(HEAD + FOMC + CPI)
    load(conn, file)
    later = T0 + timedelta(days=35)  # between the two
    said: list[str] = []
    kept = Calendars(sources=[Source(name="fed", path=str(file))])
    assert withdraw_removed(conn, kept, at=later, say=said.append) == {}
    assert withdraw_removed(conn, Calendars(), at=later, say=said.append) == {"fed": 1}
    assert said == ["calendar fed is no longer configured: 1 of its events were still to come and are withdrawn"]
    assert titles(conn, later - timedelta(seconds=1)) == [("FOMC", "01-28T19:00"), ("CPI", "02-11T13:30")]
    assert titles(conn, later) == [("FOMC", "01-28T19:00")]
    assert withdraw_removed(conn, Calendars(), at=later + timedelta(days=1), say=said.append) == {}


def materialize(database: Database, *sources: Source) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [calendar_events],
        resources={"database": Postgres(url=database.dsn(BATCH)), "calendars": Calendars(sources=list(sources))},
        run_config=QUIET,
        raise_on_error=False,
    )


def test_the_asset_says_what_it_holds_and_its_checks_warn_of_refused_and_overlapping_rows(
    database: Database, file: Path
) -> None:
    overlap = "4,Speech,2026-01-20T10:00Z,2026-01-20T12:00Z,High,USD\n5,Speech,2026-01-20T11:00Z,,High,USD\n"
    file.write_text(HEAD + FOMC + overlap + "3,a | b,2026-01-20T10:00Z,2026-01-20T09:00Z,High,USD\n")
    result = materialize(database, Source(name="fed", path=str(file)))
    assert result.success, failure_of(result)
    [event] = result.asset_materializations_for_node("calendar_events")
    assert event.metadata["dagster/row_count"].value == 3
    assert "| fed | 3 | 3 | 0 | 0 | 1 | 0 | 0 |" in str(event.metadata["sources"].value)
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    for name in (REFUSED_CHECK, OVERLAP_CHECK):
        assert not checks[name].passed
        assert checks[name].severity is dg.AssetCheckSeverity.WARN
    assert "| fed | 5 | ends_before_start | `3,a \\| b," in str(checks[REFUSED_CHECK].metadata["rows"].value)
    assert "Speech (USD) of 2026-01-20 11:00" in str(checks[OVERLAP_CHECK].metadata["pairs"].value)
    file.write_text(HEAD + FOMC)
    mended = materialize(database, Source(name="fed", path=str(file)))
    assert all(one.passed for one in mended.get_asset_check_evaluations())


def test_the_asset_fails_by_name_where_a_source_cannot_be_read_and_loads_the_others(
    database: Database, conn: psycopg.Connection, file: Path, tmp_path: Path
) -> None:
    file.write_text(HEAD + FOMC)
    lost = Source(name="lost", path=str(tmp_path / "nowhere.csv"))
    result = materialize(database, lost, Source(name="fed", path=str(file)))
    assert not result.success
    assert "calendar lost: " in failure_of(result)
    assert titles(conn, FAR) == [("FOMC", "01-28T19:00")]


def test_the_asset_says_which_sources_were_removed(database: Database, file: Path) -> None:
    file.write_text(HEAD + "1,FOMC,2099-01-28T19:00Z,,High,USD\n")
    materialize(database, Source(name="fed", path=str(file)))
    [event] = materialize(database).asset_materializations_for_node("calendar_events")
    assert "| fed (no longer configured) | 0 | 0 | 0 | 1 | 0 | 0 | 0 |" in str(event.metadata["sources"].value)


def test_without_a_source_the_asset_says_what_to_set(database: Database) -> None:
    result = materialize(database)
    [event] = result.asset_materializations_for_node("calendar_events")
    assert event.metadata["sources"].value == "none: set calendar.sources"

import psycopg

from assets.partitions import Task
from assets.versions import Versions
from store import gaps
from store.catalog import SeriesSetting, upsert_series
from tests.assets.fakes import INSTRUMENT, KEY, T0, hours, venue_of
from tests.assets.runs import keep, load, months, revise

JANUARY, BOTH = Task(INSTRUMENT, months("2022-01")), Task(INSTRUMENT, months("2022-01", "2022-02"))


def versions(conn: psycopg.Connection, task: Task = JANUARY) -> tuple[str, str]:
    found = Versions()
    found.add(conn, task)
    return found.of_candles.value, found.of_gaps.value


def test_a_month_that_was_loaded_twice_keeps_its_versions(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    empty = versions(conn)
    venue = venue_of({KEY: 900}, now=T0 + hours(1200))
    load(conn, venue, months("2022-01"))
    loaded = versions(conn)
    assert loaded[0] != empty[0]
    load(conn, venue, months("2022-01"))
    assert versions(conn) == loaded


def test_a_changed_candle_is_another_version_of_its_month_and_of_all_that_follow(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    venue = venue_of({KEY: 900}, now=T0 + hours(1200))
    load(conn, venue, months("2022-01", "2022-02"))
    february = Task(INSTRUMENT, months("2022-02"))
    before = [versions(conn, task)[0] for task in (JANUARY, february, BOTH)]
    revise(conn, venue, T0 + hours(5), "123.45")
    after = [versions(conn, task)[0] for task in (JANUARY, february, BOTH)]
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_a_candle_of_a_later_month_changes_nothing_of_an_earlier_one(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    venue = venue_of({KEY: 900}, now=T0 + hours(1200))
    load(conn, venue, months("2022-01", "2022-02"))
    before = versions(conn)
    revise(conn, venue, T0 + hours(800), "123.45")
    assert versions(conn) == before


def test_the_last_month_of_a_run_has_the_same_versions_wherever_the_run_began(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    load(conn, venue_of({KEY: 900}, now=T0 + hours(1200)), months("2022-01", "2022-02"))
    gaps.record_hole(conn, KEY, T0 - hours(2), T0, cause="unlisted", first_seen=T0)
    assert versions(conn, Task(INSTRUMENT, months("2022-02"))) == versions(conn, BOTH)


def test_a_hole_is_another_version_of_the_holes_alone(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    candles, holes = versions(conn)
    gaps.record_hole(conn, KEY, T0, T0 + hours(2), cause="unlisted", first_seen=T0)
    assert versions(conn)[0] == candles
    assert versions(conn)[1] != holes


def test_a_series_that_is_switched_off_does_not_count(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    nothing = versions(conn)
    load(conn, venue_of({KEY: 900}, now=T0 + hours(1200)), months("2022-01"))
    upsert_series(conn, SeriesSetting(KEY, enabled=False))
    assert versions(conn) == nothing

"""The pass writes, for all nine tables, what one engine that reads everything from the start would give."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import psycopg
import pytest

from assets.analysis_pass import Pass, take_over
from assets.analysis_plan import PassReport, kept_series, plan
from assets.partitions import Month
from bots.runner import BotRunner
from engine import TABLES, EngineParams, SeriesEngine
from store.analysis import Engine, claim_engine
from store.connections import connect
from store.errors import EngineMismatch
from store.gaps import record_hole, settle
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, KEY, ORIGINS, T0, FakeVenue, slot, tape, venue_of
from tests.assets.passes import (
    FEB,
    FEB_BARS,
    JAN,
    JAN_BARS,
    MAR,
    Killed,
    analyse,
    another,
    assert_computed_from_the_start,
    computed,
    lives_across,
    places,
    tables,
    written,
)
from tests.assets.runs import load, revise
from tests.databases import Database, Server, fresh_database
from tests.engine.bits import assert_same_bits, assert_same_tables

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
OTHER = EngineParams(trend_adx=30.0)


def revise_bar(conn: psycopg.Connection, venue: FakeVenue, index: int) -> None:
    """Let one candle have risen by 1,500 more: through swings, and supply zones of weeks before."""
    candle = venue.tape[KEY].row(index, named=True)
    revise(conn, venue, candle["open_time"], str(Decimal(candle["high"]) + 1500))


@pytest.fixture
def loaded(conn: psycopg.Connection) -> FakeVenue:
    """A venue of three months, all of which are loaded and none analysed."""
    venue = venue_of(JAN_BARS + FEB_BARS + 200, now=MARCH)
    load(conn, venue, (JAN, FEB, MAR))
    return venue


def test_the_tape_of_the_tests_fills_every_table_and_its_zones_live_across_the_months(
    conn: psycopg.Connection, loaded: FakeVenue
) -> None:
    found = computed(conn)[KEY]
    assert min(found[table].height for table in TABLES) > 70
    assert set(found["zones"]["status"].unique()) == {"ACTIVE", "MITIGATED", "EXPIRED"}
    for border in (JAN.end, FEB.end):
        lives = lives_across(found, border)
        assert lives["OB"] | lives["FVG"] >= {"TOUCHED", "MITIGATED"}
        assert lives["BREAKER"] | lives["IFVG"] >= {"MITIGATED"}


def test_month_by_month_by_fresh_engines_equals_one_run_bit_for_bit(database: Database, server: Server) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS + 200, now=MARCH)
    with connect(database.dsn(BATCH)) as conn:
        load(conn, venue, (JAN, FEB, MAR))
    for month in (JAN, FEB, MAR):
        with connect(database.dsn(BATCH)) as fresh:
            assert written(analyse(fresh, month)) == [month]
    with fresh_database(server) as other, connect(other.dsn(BATCH)) as conn, connect(database.dsn(BATCH)) as first:
        load(conn, venue, (JAN, FEB, MAR))
        assert written(analyse(conn, MAR)) == [JAN, FEB, MAR]
        assert_same_tables(tables(first), tables(conn))
        assert_computed_from_the_start(conn)


def test_months_loaded_and_analysed_one_after_the_other_equal_one_run(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=slot(300) + timedelta(minutes=1))
    for until in (300, 301, 500, JAN_BARS + 3, JAN_BARS + FEB_BARS + 90):
        venue.clock.now = slot(until) + timedelta(minutes=1)
        load(conn, venue, (JAN, FEB))
        analyse(conn, FEB)
    assert_computed_from_the_start(conn)


@pytest.mark.parametrize(("index", "again"), [(JAN_BARS - 3, [JAN, FEB, MAR]), (JAN_BARS + 5, [FEB, MAR])])
def test_a_revised_candle_makes_its_month_and_the_later_ones_be_written_again(
    conn: psycopg.Connection, loaded: FakeVenue, index: int, again: list[object]
) -> None:
    analyse(conn)
    before = tables(conn)
    revise_bar(conn, loaded, index)
    report = analyse(conn)
    assert (written(report), report.unchanged) == (again, 3 - len(again))
    assert_computed_from_the_start(conn)
    after = tables(conn)
    known = slot(index + 1)
    for table in ("indicators", "zone_events"):
        assert_same_bits(after[table].filter(pl.col("ts") < known), before[table].filter(pl.col("ts") < known))
        assert not after[table].equals(before[table]), table


def test_zones_that_lived_across_the_month_are_as_a_run_from_the_start_leaves_them(
    conn: psycopg.Connection, loaded: FakeVenue
) -> None:
    analyse(conn)
    before = tables(conn)
    revise_bar(conn, loaded, JAN_BARS + 1)
    analyse(conn)
    after = tables(conn)
    # What of January is alive at its end goes another way now: its last state was written by February.
    old, new = (found["zones"].filter(pl.col("created_ts") <= JAN.end) for found in (before, after))
    assert old["created_ts"].equals(new["created_ts"])
    assert not old.equals(new)
    assert not before["signals_raw"].equals(after["signals_raw"])
    assert_computed_from_the_start(conn)


@pytest.mark.parametrize("die_after", [0, 1, 2])
def test_a_pass_that_is_killed_between_two_months_leaves_no_stale_row_behind_and_the_next_one_goes_on(
    conn: psycopg.Connection, loaded: FakeVenue, die_after: int
) -> None:
    analyse(conn)
    stale = tables(conn)
    revise_bar(conn, loaded, JAN_BARS - 3)
    with pytest.raises(Killed) as killed:
        analyse(conn, die_after=die_after)
    done = [JAN, FEB][:die_after]
    assert written(killed.value.report) == done
    if done:
        # Zones are in the state that the last written month left them in, whatever they came to before.
        assert_same_tables(tables(conn), computed(conn, ends={KEY: done[-1].end})[KEY])
        assert lives_across(stale, done[-1].end)
    else:
        assert_same_tables(tables(conn), stale)
    assert written(analyse(conn)) == [JAN, FEB, MAR][die_after:]
    assert_computed_from_the_start(conn)


def test_a_month_whose_writing_fails_is_left_as_it_was(conn: psycopg.Connection, loaded: FakeVenue) -> None:
    analyse(conn)
    before = tables(conn)
    revise_bar(conn, loaded, JAN_BARS + 5)
    # The last thing that a month's transaction writes is its snapshot.
    report, params, runner = PassReport(), EngineParams(), BotRunner(())
    [group] = plan(conn, kept_series(conn, [KEY]), params, report, versions={})
    steps = Pass([conn], group, runner, report)
    conn.execute("SET default_transaction_read_only = on")
    with pytest.raises(Exception, match="read-only"):
        list(steps.run())
    conn.execute("SET default_transaction_read_only = off")
    assert_same_tables(tables(conn), before)
    assert written(analyse(conn)) == [FEB, MAR]
    assert_computed_from_the_start(conn)


@pytest.mark.parametrize(("broken", "stored"), [(0, []), (1, [FEB])])
def test_no_month_is_stored_before_the_one_in_front_of_it(
    conn: psycopg.Connection, loaded: FakeVenue, broken: int, stored: list[Month]
) -> None:
    analyse(conn)
    before = tables(conn)
    revise_bar(conn, loaded, JAN_BARS + 5)
    report, params, runner = PassReport(), EngineParams(), BotRunner(())
    [group] = plan(conn, kept_series(conn, [KEY]), params, report, versions={})
    assert list(group.months) == [FEB, MAR]
    with another(conn) as first, another(conn) as second:
        [first, second][broken].execute("SET default_transaction_read_only = on")
        with pytest.raises(Exception, match="read-only"):
            list(Pass([first, second], group, runner, report).run())
    assert written(report) == stored
    if not stored:
        assert_same_tables(tables(conn), before)
    assert written(analyse(conn)) == [FEB, MAR][len(stored) :]
    assert_computed_from_the_start(conn)


def test_a_month_is_not_stored_before_the_caller_knows_of_the_one_in_front_of_it(
    conn: psycopg.Connection, loaded: FakeVenue
) -> None:
    report, params, runner = PassReport(), EngineParams(), BotRunner(())
    take_over(conn, params, [KEY], recompute=False)
    [group] = plan(conn, kept_series(conn, [KEY]), params, report, versions={})
    with another(conn) as first, another(conn) as second:
        run = Pass([first, second], group, runner, report).run()
        assert next(run) == JAN
        run.close()
    assert written(report) == [JAN]
    assert written(analyse(conn)) == [FEB, MAR]
    assert_computed_from_the_start(conn)


def test_nothing_is_written_where_every_chain_still_matches(conn: psycopg.Connection, loaded: FakeVenue) -> None:
    analyse(conn)
    before = {table: places(conn, KEY, table) for table in TABLES}
    report = analyse(conn)
    assert (report.written, report.unchanged, report.stopped) == ([], 3, [])
    assert report.rows == dict.fromkeys(TABLES, 0)
    assert {table: places(conn, KEY, table) for table in TABLES} == before


def test_it_stops_before_a_pending_hole_and_goes_on_when_that_is_settled(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    venue.lacks = {origin: {slot(500)} for origin in ORIGINS}
    venue.clock.on_sleep = lambda: setattr(venue.clock, "now", MARCH)  # thirty seconds never pass
    load(conn, venue, (JAN, FEB))
    report = analyse(conn)
    assert written(report) == [JAN]
    assert report.stopped == [f"{KEY} stops at {slot(500).isoformat()}: a hole there is pending"]
    assert tables(conn)["indicators"].height == 500
    assert_computed_from_the_start(conn, end=slot(500))
    assert analyse(conn).written == []
    settle(conn, KEY, slot(500), cause="exchange", at=MARCH)
    report = analyse(conn)
    assert (written(report), report.stopped) == ([JAN, FEB], [])
    assert tables(conn)["indicators"].height == JAN_BARS + FEB_BARS - 1
    assert_computed_from_the_start(conn)


def test_rows_behind_a_hole_that_is_pending_again_do_not_stay(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    venue.lacks = {origin: {slot(500)} for origin in ORIGINS}
    load(conn, venue, (JAN, FEB))
    analyse(conn)
    conn.execute("DELETE FROM market.candle_gaps")
    record_hole(conn, KEY, slot(500), slot(501), cause="pending", first_seen=MARCH)
    analyse(conn, JAN)
    assert_computed_from_the_start(conn, end=slot(500))
    # Settled again, the chain is the old one: no snapshot behind the hole may stand for the rows that are gone.
    settle(conn, KEY, slot(500), cause="exchange", at=MARCH)
    assert written(analyse(conn)) == [JAN, FEB]
    assert_computed_from_the_start(conn)


def test_an_earlier_month_that_is_loaded_later_makes_everything_be_computed_again(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, (FEB,))
    assert written(analyse(conn)) == [FEB]
    load(conn, venue, (JAN,))
    assert written(analyse(conn)) == [JAN, FEB]
    assert_computed_from_the_start(conn)


def test_months_without_a_bar_are_passed(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS + 200, now=MARCH)
    gone = {slot(index) for index in range(JAN_BARS, JAN_BARS + FEB_BARS)}
    venue.lacks = dict.fromkeys(("monthly", "daily", "rest"), gone)
    load(conn, venue, (JAN, FEB, MAR))
    assert written(analyse(conn, JAN)) == [JAN]
    assert written(analyse(conn, FEB)) == []
    assert written(analyse(conn, MAR)) == [MAR]
    assert analyse(conn, MAR).written == []
    assert_computed_from_the_start(conn)


def test_series_without_a_sub_timeframe_do_not_wait_for_each_other(conn: psycopg.Connection) -> None:
    four = INSTRUMENT.series("4h")
    venue = venue_of({KEY: JAN_BARS, four: JAN_BARS // 4 + FEB_BARS // 4}, now=MARCH)
    load(conn, venue, (JAN, FEB))
    report = analyse(conn, keys=(KEY, four))
    assert (written(report), written(report, four)) == ([JAN, FEB], [JAN, FEB])
    revise_bar(conn, venue, 100)
    before = places(conn, four)
    report = analyse(conn, keys=(KEY, four))
    assert (written(report), written(report, four)) == ([JAN, FEB], [])
    assert places(conn, four) == before


def test_an_engine_that_lost_the_tables_cannot_go_on_writing(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    report, params = PassReport(), EngineParams()
    take_over(conn, params, [KEY], recompute=False)
    [group] = plan(conn, kept_series(conn, [KEY]), params, report, versions={})
    take_over(conn, OTHER, [KEY], recompute=True)
    with pytest.raises(EngineMismatch, match="may not go on writing"):
        list(Pass([conn], group, BotRunner(()), report).run())
    assert {frame.height for frame in tables(conn).values()} == {0}


def test_another_engine_is_refused_and_changes_nothing(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    analyse(conn, params=OTHER)
    before = tables(conn)
    with pytest.raises(EngineMismatch, match="ask for a recompute"):
        analyse(conn)
    assert_same_tables(tables(conn), before)


def test_an_engine_takes_over_what_another_version_of_it_left(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    params = EngineParams()
    claim_engine(conn, Engine(params.hash, 1, params.model_dump()), at=T0)
    take_over(conn, params, [KEY], recompute=True)
    analyse(conn)
    assert_computed_from_the_start(conn)


def test_the_report_says_what_was_written_and_where_the_time_went(conn: psycopg.Connection, loaded: FakeVenue) -> None:
    report = analyse(conn, JAN)
    found = tables(conn)
    # Zones and inversions of other months are counted where they change; in one month each is written once.
    assert report.rows == {table: found[table].height for table in TABLES}
    assert set(report.seconds) == {"reading", "computing", "bots", "writing bars", "writing lives"}
    assert all(value >= 0 for value in report.seconds.values())


def test_the_tape_of_the_tests_warms_the_engine_up() -> None:
    rows = SeriesEngine(KEY, EngineParams()).advance(
        tape(KEY, T0, 400).select("open_time", pl.col("open", "high", "low", "close", "volume").cast(pl.Float64))
    )
    assert rows.regimes.height > 0

"""15m over 1m: the rows of one engine that reads both from the start, however the two came about."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import psycopg
import pytest

from contracts import SeriesKey, Timeframe
from engine import TABLES
from store.candle_reads import last_open_time
from store.gaps import settle
from store.ledger import rechain
from tests.assets.fakes import INSTRUMENT, FakeVenue, venue_of
from tests.assets.passes import (
    FEB,
    JAN,
    Killed,
    analyse,
    assert_computed_from_the_start,
    computed,
    lives_across,
    places,
    tables,
    written,
)
from tests.assets.runs import keep, load, revise
from tests.engine.bits import assert_same_bits, assert_same_tables

MINUTE, QUARTER = INSTRUMENT.series("1m"), INSTRUMENT.series("15m")
BOTH = (MINUTE, QUARTER)
SUB = {"15m": "1m"}
# Two days before the month's end to three after it, for the minutes; the quarters are long since warm.
BEGIN, END = datetime(2022, 1, 30, tzinfo=UTC), datetime(2022, 2, 4, tzinfo=UTC)
MINUTES, QUARTERS = 5 * 1440, 5 * 96
LISTING = {"listed": BEGIN}


def exchange(now: datetime = END + timedelta(minutes=1)) -> FakeVenue:
    """Both timeframes of five days across the border of a month, each a market of its own."""
    return venue_of({MINUTE: MINUTES, QUARTER: QUARTERS}, now=now, start=BEGIN, seed=5)


def run(conn: psycopg.Connection, venue: FakeVenue) -> None:
    load(conn, venue, (JAN, FEB), **LISTING)
    analyse(conn, keys=BOTH)


def move(conn: psycopg.Connection, venue: FakeVenue, key: SeriesKey, opened: datetime) -> None:
    """Let one candle have risen by 1,500 more."""
    [high] = venue.tape[key].filter(pl.col("open_time") == opened)["high"]
    revise(conn, venue, opened, str(Decimal(high) + 1500), key=key)


@contextmanager
def untouched(conn: psycopg.Connection, key: SeriesKey) -> Iterator[None]:
    """No row of a series is written in the block."""
    before = {table: places(conn, key, table) for table in TABLES}
    yield
    assert {table: places(conn, key, table) for table in TABLES} == before


@pytest.fixture
def venue(conn: psycopg.Connection) -> FakeVenue:
    """Everything is loaded and kept, 15m over 1m; nothing is analysed."""
    keep(conn, MINUTE)
    keep(conn, QUARTER, sub_tf=Timeframe.M1)
    found = exchange()
    load(conn, found, (JAN, FEB), **LISTING)
    return found


def test_rows_equal_one_run_of_both_and_the_breaks_of_the_minutes_reach_the_signals(
    conn: psycopg.Connection, venue: FakeVenue
) -> None:
    report = analyse(conn, keys=(QUARTER,))  # whoever asks for 15m gets the minutes with it
    assert (written(report, MINUTE), written(report, QUARTER)) == ([JAN, FEB], [JAN, FEB])
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)
    confirmed = tables(conn, key=QUARTER)["signals_raw"]["features"].str.json_path_match("$.micro_bos")
    assert set(confirmed) == {"true", "false"}
    alone = computed(conn, BOTH)[QUARTER]["signals_raw"]
    assert set(alone["features"].str.json_path_match("$.micro_bos")) == {"false"}
    assert lives_across(tables(conn, key=QUARTER), JAN.end)
    assert analyse(conn, keys=BOTH).written == []


def test_month_by_month_by_fresh_engines_equals_one_run(conn: psycopg.Connection, venue: FakeVenue) -> None:
    for month in (JAN, FEB):
        report = analyse(conn, month, keys=BOTH)
        assert [one for _, one in report.written] == [month, month]
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_days_that_come_one_by_one_give_the_same(conn: psycopg.Connection) -> None:
    keep(conn, MINUTE)
    keep(conn, QUARTER, sub_tf=Timeframe.M1)
    venue = exchange(BEGIN)
    for hours in (20, 47.9, 48.1, 60.4, 120):
        venue.clock.now = BEGIN + timedelta(hours=hours, minutes=1)
        run(conn, venue)
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


@pytest.mark.parametrize(
    ("opened", "months"), [(datetime(2022, 1, 31, 23, 50, tzinfo=UTC), [JAN, FEB]), (FEB.start, [FEB])]
)
def test_a_revision_of_the_minutes_alone_rewrites_the_quarters_as_well(
    conn: psycopg.Connection, venue: FakeVenue, opened: datetime, months: list[object]
) -> None:
    analyse(conn, keys=BOTH)
    move(conn, venue, MINUTE, opened)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == (months, months)
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_a_revision_of_the_quarters_alone_leaves_every_row_of_the_minutes_where_it_is(
    conn: psycopg.Connection, venue: FakeVenue
) -> None:
    analyse(conn, keys=BOTH)
    before = tables(conn, key=QUARTER)
    with untouched(conn, MINUTE):
        move(conn, venue, QUARTER, datetime(2022, 1, 31, 23, 45, tzinfo=UTC))
        report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([], [JAN, FEB])
    assert not tables(conn, key=QUARTER)["zone_events"].equals(before["zone_events"])
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_a_pass_that_is_killed_between_two_months_goes_on_as_if_it_had_not_been(
    conn: psycopg.Connection, venue: FakeVenue
) -> None:
    analyse(conn, keys=BOTH)
    move(conn, venue, MINUTE, datetime(2022, 1, 31, 23, 50, tzinfo=UTC))
    with pytest.raises(Killed):
        analyse(conn, keys=BOTH, die_after=1)
    for key, expected in computed(conn, BOTH, sub=SUB, ends=dict.fromkeys(BOTH, JAN.end)).items():
        assert_same_tables(tables(conn, key=key), expected)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([FEB], [FEB])
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_a_pass_that_is_killed_between_the_two_series_of_a_month_goes_on(
    conn: psycopg.Connection, venue: FakeVenue
) -> None:
    analyse(conn, keys=(MINUTE,))  # what a pass that dies behind the minutes of its last month leaves
    with untouched(conn, MINUTE):
        report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([], [JAN, FEB])
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_the_quarters_wait_where_the_minutes_have_not_got_to(conn: psycopg.Connection) -> None:
    keep(conn, MINUTE)
    keep(conn, QUARTER, sub_tf=Timeframe.M1)
    venue = exchange()
    whole = venue.tape[MINUTE]
    # The minutes end at 17:08 of the third: nothing behind them says that the exchange has no more.
    venue.tape[MINUTE] = whole.filter(pl.col("open_time") < datetime(2022, 2, 3, 17, 8, tzinfo=UTC))
    load(conn, venue, (JAN, FEB), **LISTING)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([JAN, FEB], [JAN, FEB])
    waits_at = datetime(2022, 2, 3, 17, tzinfo=UTC)
    assert tables(conn, key=QUARTER)["indicators"]["ts"].max() == waits_at
    expected = computed(conn, BOTH, sub=SUB, ends={QUARTER: waits_at})
    for key in BOTH:
        assert_same_tables(tables(conn, key=key), expected[key])
    venue.tape[MINUTE] = whole
    load(conn, venue, (JAN, FEB), **LISTING)
    analyse(conn, keys=BOTH)
    assert last_open_time(conn, MINUTE, BEGIN, END) == END - timedelta(minutes=1)
    assert tables(conn, key=QUARTER)["indicators"]["ts"].max() == END
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_the_quarters_wait_before_a_whole_month_that_the_minutes_lack(conn: psycopg.Connection) -> None:
    keep(conn, MINUTE)
    keep(conn, QUARTER, sub_tf=Timeframe.M1)
    venue = exchange()
    load(conn, venue, (JAN,), **LISTING)
    both, venue.tape = venue.tape, {QUARTER: venue.tape[QUARTER]}
    load(conn, venue, (FEB,), **LISTING)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([JAN], [JAN])
    assert report.stopped == [
        f"{QUARTER} stops before 2022-02: {MINUTE}, its sub-timeframe, has nothing stored of that month; "
        f"backfill it too"
    ]
    venue.tape = both
    load(conn, venue, (FEB,), **LISTING)
    analyse(conn, keys=BOTH)
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_the_quarters_stop_before_a_pending_hole_of_the_minutes_and_go_on_when_it_is_settled(
    conn: psycopg.Connection,
) -> None:
    keep(conn, MINUTE)
    keep(conn, QUARTER, sub_tf=Timeframe.M1)
    venue = exchange()
    hole = datetime(2022, 2, 2, 3, 7, tzinfo=UTC)
    venue.lacks = {"monthly": {hole}, "daily": {hole}, "rest": {hole}}
    now = venue.clock.now
    venue.clock.on_sleep = lambda: setattr(venue.clock, "now", now)  # thirty seconds never pass
    run(conn, venue)
    assert tables(conn, key=MINUTE)["indicators"]["ts"].max() == hole
    assert tables(conn, key=QUARTER)["indicators"]["ts"].max() == hole.replace(minute=0)
    settle(conn, MINUTE, hole, cause="exchange", at=now)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([FEB], [FEB])
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_a_hole_of_both_that_is_settled_for_the_minutes_alone_keeps_no_later_month_from_being_computed(
    conn: psycopg.Connection,
) -> None:
    keep(conn, MINUTE)
    keep(conn, QUARTER, sub_tf=Timeframe.M1)
    begin, now = datetime(2022, 1, 27, tzinfo=UTC), FEB.start + timedelta(minutes=1)
    venue = venue_of({MINUTE: 7 * 1440, QUARTER: 7 * 96}, now=now, start=begin, seed=5)
    outage = datetime(2022, 1, 31, 10, tzinfo=UTC)
    gone = {outage + timedelta(minutes=minute) for minute in range(15)}
    venue.lacks = {"monthly": gone, "daily": gone, "rest": gone}
    venue.clock.on_sleep = lambda: setattr(venue.clock, "now", now)  # thirty seconds never pass
    load(conn, venue, (JAN,), listed=begin)
    analyse(conn, keys=BOTH)
    settle(conn, MINUTE, outage, cause="exchange", at=now)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([JAN], [])
    # The month's two snapshots are of two moments now; February goes on from before them.
    venue.clock.now = now + timedelta(hours=9)
    load(conn, venue, (FEB,), listed=begin)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([FEB], [])
    settle(conn, QUARTER, outage, cause="exchange", at=now)
    report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER), report.stopped) == ([], [JAN, FEB], [])
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_a_series_that_gets_its_sub_timeframe_later_is_computed_again_and_the_minutes_are_not(
    conn: psycopg.Connection,
) -> None:
    keep(conn, *BOTH)
    run(conn, exchange())
    assert_computed_from_the_start(conn, *BOTH)
    before = tables(conn, key=QUARTER)
    with untouched(conn, MINUTE):
        keep(conn, QUARTER, sub_tf=Timeframe.M1)
        rechain(conn, QUARTER)
        report = analyse(conn, keys=BOTH)
    assert (written(report, MINUTE), written(report, QUARTER)) == ([], [JAN, FEB])
    after = tables(conn, key=QUARTER)
    assert_same_bits(after["zone_events"], before["zone_events"])
    assert not after["signals_raw"].equals(before["signals_raw"])
    assert_computed_from_the_start(conn, *BOTH, sub=SUB)


def test_minutes_that_began_later_than_the_quarters_hold_them_back_by_name(conn: psycopg.Connection) -> None:
    keep(conn, MINUTE)
    keep(conn, QUARTER, sub_tf=Timeframe.M1)
    venue = exchange()
    venue.tape, both = {QUARTER: venue.tape[QUARTER]}, venue.tape
    load(conn, venue, (JAN, FEB), **LISTING)
    venue.tape = {MINUTE: both[MINUTE]}
    load(conn, venue, (FEB,), **LISTING)
    report = analyse(conn, keys=BOTH)
    assert written(report, QUARTER) == []
    assert "stops before 2022-01" in report.stopped[-1]
    assert str(MINUTE) in report.stopped[-1]

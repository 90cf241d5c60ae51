"""Where the analysis of a series goes on, and why it stops: told without reading a candle."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from assets.analysis_plan import PassReport, kept_series, plan, stretches
from contracts import Rejected, SeriesKey, Timeframe
from engine import EngineParams
from store.catalog import SeriesSetting, upsert_series
from store.ledger import rechain
from tests.assets.fakes import INSTRUMENT, KEY, slot, venue_of
from tests.assets.passes import (
    FEB,
    FEB_BARS,
    JAN,
    JAN_BARS,
    MAR,
    analyse,
    assert_computed_from_the_start,
    written,
)
from tests.assets.runs import keep, load

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
FIFTEEN, FOUR, DAY = (INSTRUMENT.series(tf) for tf in ("15m", "4h", "1d"))


def test_only_months_up_to_the_one_asked_for_are_analysed(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS + FEB_BARS, now=MARCH), (JAN, FEB))
    found = stretches(conn, KEY, PassReport(), until=JAN)
    assert [(stretch.month, stretch.end, stretch.last) for stretch in found] == [(JAN, JAN.end, slot(JAN_BARS - 1))]


def test_a_month_behind_a_missing_one_waits_for_it(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS + 200, now=MARCH)
    load(conn, venue, (JAN,))
    load(conn, venue, (MAR,))
    report = analyse(conn)
    assert written(report) == [JAN]
    assert report.stopped == [f"{KEY} stops before 2022-03: an earlier month is not stored"]
    load(conn, venue, (FEB,))
    report = analyse(conn)
    assert (written(report), report.unchanged, report.stopped) == ([FEB, MAR], 1, [])
    assert_computed_from_the_start(conn)


def test_a_month_that_was_left_half_loaded_stops_what_follows_and_is_named(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=slot(300) + timedelta(minutes=1))
    load(conn, venue, (JAN,))
    venue.clock.now = MARCH
    load(conn, venue, (FEB,))
    report = analyse(conn)
    assert written(report) == []
    assert report.stopped == [
        f"{KEY} stops before 2022-01: slots of it are neither stored nor explained; backfill that month"
    ]
    load(conn, venue, (JAN,))
    assert written(analyse(conn)) == [JAN, FEB]
    assert_computed_from_the_start(conn)


def test_series_tied_by_sub_timeframes_are_one_group_and_others_stand_alone(conn: psycopg.Connection) -> None:
    keep(conn, KEY, DAY)
    keep(conn, FIFTEEN, sub_tf=None)
    upsert_series(conn, SeriesSetting(FOUR, sub_tf=Timeframe.H1))
    upsert_series(conn, SeriesSetting(KEY, sub_tf=Timeframe.M15))
    found = plan(conn, kept_series(conn, [FOUR, DAY]), EngineParams(), PassReport(), versions={})
    assert [[one.key for one in group.plans] for group in found] == [[FIFTEEN, KEY, FOUR], [DAY]]
    assert found[0].engine.sub == {Timeframe.H4: Timeframe.H1, Timeframe.H1: Timeframe.M15}


def test_the_sub_timeframes_of_a_series_are_analysed_with_it_to_the_last_of_them(conn: psycopg.Connection) -> None:
    keep(conn, FIFTEEN, DAY)
    keep(conn, KEY, sub_tf=Timeframe.M15)
    keep(conn, FOUR, sub_tf=Timeframe.H1)
    assert [setting.key for setting in kept_series(conn, [FOUR])] == [FIFTEEN, KEY, FOUR]
    assert [setting.key for setting in kept_series(conn, [KEY])] == [FIFTEEN, KEY]
    assert [setting.key for setting in kept_series(conn, [DAY])] == [DAY]


@pytest.mark.parametrize("enabled", [None, False])
def test_a_sub_timeframe_that_is_not_kept_is_rejected_with_what_to_do(
    conn: psycopg.Connection, *, enabled: bool | None
) -> None:
    keep(conn, KEY, sub_tf=Timeframe.M15)
    if enabled is not None:
        upsert_series(conn, SeriesSetting(FIFTEEN, enabled=enabled))
    with pytest.raises(Rejected, match=rf"{KEY} takes its micro_bos from 15m, which is not kept: backfill {FIFTEEN}"):
        kept_series(conn, [KEY])


def test_a_sub_timeframe_of_another_symbol_does_not_count_as_kept(conn: psycopg.Connection) -> None:
    keep(conn, KEY, sub_tf=Timeframe.M15)
    keep(conn, SeriesKey("binance_spot", "ETHUSDT", "15m"))
    with pytest.raises(Rejected, match="not kept"):
        kept_series(conn, [KEY])


def test_where_the_sub_timeframe_has_nothing_stored_the_series_stops_and_says_what_to_load(
    conn: psycopg.Connection,
) -> None:
    keep(conn, FIFTEEN)
    keep(conn, KEY, sub_tf=Timeframe.M15)
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    report = analyse(conn)
    assert report.written == []
    assert report.stopped == [
        f"{KEY} stops before 2022-01: {FIFTEEN}, its sub-timeframe, has nothing stored of that month; backfill it too"
    ]


def test_a_sub_timeframe_given_or_taken_away_later_makes_everything_be_computed_again(
    conn: psycopg.Connection,
) -> None:
    keep(conn, KEY, FOUR)
    load(conn, venue_of({KEY: JAN_BARS, FOUR: JAN_BARS // 4 + FEB_BARS // 4}, now=MARCH), (JAN, FEB))
    load(conn, venue_of({KEY: JAN_BARS + FEB_BARS}, now=MARCH), (FEB,))
    both = (KEY, FOUR)
    assert written(analyse(conn, keys=both), FOUR) == [JAN, FEB]
    for sub_tf in (Timeframe.H1, None):
        keep(conn, FOUR, sub_tf=sub_tf)
        rechain(conn, FOUR)
        report = analyse(conn, keys=both)
        assert (written(report, FOUR), written(report)) == ([JAN, FEB], [])
        assert analyse(conn, keys=both).written == []


def test_other_bots_than_before_make_everything_be_computed_again(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    analyse(conn)
    params, series = EngineParams(), kept_series(conn, [KEY])
    [same] = plan(conn, series, params, PassReport(), versions={})
    [more] = plan(conn, series, params, PassReport(), versions={"sweeper": "1"})
    assert (list(same.months), list(more.months)) == ([], [JAN])

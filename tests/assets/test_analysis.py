from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import psycopg
import pytest

from assets.analysis import PassReport, plan, stretches, take_over, write_stretch
from assets.partitions import Month
from contracts import SeriesKey
from engine import ENGINE_VERSION, EngineParams, SeriesEngine
from store.analysis import Engine, claim_engine, read_indicators, read_regimes
from store.candle_reads import read_bars
from store.connections import connect
from store.errors import EngineMismatch
from store.gaps import record_hole, settle
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, KEY, T0, slot, tape, venue_of
from tests.assets.runs import World, exchange_of, failure_of, keep, load, months, revise
from tests.databases import Database, Server, fresh_database
from tests.engine.bits import assert_same_bits

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
JAN, FEB, MAR = months("2022-01", "2022-03")
JAN_BARS, FEB_BARS = 744, 672
OTHER = EngineParams(trend_adx=30.0)


def analyse(
    conn: psycopg.Connection, until: Month, *, key: SeriesKey = KEY, params: EngineParams | None = None
) -> PassReport:
    """The pass over one series, with an engine of its own: what a fresh process does."""
    report = PassReport()
    params = params or EngineParams()
    take_over(conn, params, [key], recompute=False)
    work = plan(conn, key, params, report, until=until)
    for stretch in work.todo:
        write_stretch(conn, work, stretch, report)
    return report


def written(report: PassReport) -> list[Month]:
    return [month for _, month in report.written]


def tables(conn: psycopg.Connection, *, key: SeriesKey = KEY) -> tuple[pl.DataFrame, pl.DataFrame]:
    end = T0 + timedelta(days=400)
    return read_indicators(conn, key, T0, end), read_regimes(conn, key, T0, end)


def assert_computed_from_the_start(
    conn: psycopg.Connection, *, key: SeriesKey = KEY, end: datetime | None = None
) -> None:
    """The stored rows are those of one engine that reads every stored bar (before `end`) at once."""
    rows = SeriesEngine(key, EngineParams()).advance(read_bars(conn, key, T0, end or T0 + timedelta(days=400)))
    of_series = ("venue", "symbol", "tf")
    indicators, regimes = tables(conn, key=key)
    assert_same_bits(indicators, rows.indicators.drop(of_series))
    assert_same_bits(regimes, rows.regimes.drop(of_series).cast({"regime": pl.String, "vol_state": pl.String}))
    assert indicators.height > 300
    assert regimes.height > 0


@pytest.fixture
def world(database: Database, conn: psycopg.Connection, instance: dg.DagsterInstance) -> World:
    keep(conn, KEY)
    return World(database, exchange_of(venue_of(0, now=MARCH)), instance)


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
        for left, right in zip(tables(first), tables(conn), strict=True):
            assert_same_bits(left, right)
        assert_computed_from_the_start(conn)


def test_months_loaded_and_analysed_one_after_the_other_equal_one_run(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=slot(300) + timedelta(minutes=1))
    for until in (300, 301, 500, JAN_BARS + 3, JAN_BARS + FEB_BARS + 90):
        venue.clock.now = slot(until) + timedelta(minutes=1)
        load(conn, venue, (JAN, FEB))
        analyse(conn, FEB)
    assert_computed_from_the_start(conn)


def test_a_revised_candle_makes_its_month_and_the_later_ones_be_written_again(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS + 200, now=MARCH)
    load(conn, venue, (JAN, FEB, MAR))
    analyse(conn, MAR)
    before = tables(conn)[0]
    candle = venue.tape[KEY].row(JAN_BARS + 5, named=True)
    revise(conn, venue, candle["open_time"], candle["low"] if candle["low"] != candle["close"] else candle["high"])
    report = analyse(conn, MAR)
    assert (written(report), report.unchanged) == ([FEB, MAR], 1)
    assert_computed_from_the_start(conn)
    after = tables(conn)[0]
    assert_same_bits(after.head(JAN_BARS + 5), before.head(JAN_BARS + 5))
    assert after["ema20"][JAN_BARS + 5] != before["ema20"][JAN_BARS + 5]


def test_nothing_is_written_where_every_chain_still_matches(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS + FEB_BARS, now=MARCH), (JAN, FEB))
    analyse(conn, FEB)
    places = "SELECT xmin::text, ctid::text FROM analysis.indicators ORDER BY ts"
    before = conn.execute(places).fetchall()
    report = analyse(conn, FEB)
    assert (report.written, report.unchanged, report.stopped) == ([], 2, [])
    assert report.rows == {"indicators": 0, "regimes": 0}
    assert conn.execute(places).fetchall() == before


def test_it_stops_before_a_pending_hole_and_goes_on_when_that_is_settled(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    venue.lacks = {origin: {slot(500)} for origin in ("monthly", "daily", "rest")}
    venue.clock.on_sleep = lambda: setattr(venue.clock, "now", MARCH)  # thirty seconds never pass
    load(conn, venue, (JAN, FEB))
    report = analyse(conn, FEB)
    assert written(report) == [JAN]
    assert report.stopped == [f"{KEY} stops at {slot(500).isoformat()}: a hole there is pending"]
    assert tables(conn)[0].height == 500
    assert_computed_from_the_start(conn, end=slot(500))
    assert analyse(conn, FEB).written == []
    settle(conn, KEY, slot(500), cause="exchange", at=MARCH)
    report = analyse(conn, FEB)
    assert (written(report), report.stopped) == ([JAN, FEB], [])
    assert tables(conn)[0].height == JAN_BARS + FEB_BARS - 1
    assert_computed_from_the_start(conn)


def test_rows_behind_a_hole_that_is_pending_again_do_not_stay(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    venue.lacks = {origin: {slot(500)} for origin in ("monthly", "daily", "rest")}
    load(conn, venue, (JAN, FEB))
    analyse(conn, FEB)
    conn.execute("DELETE FROM market.candle_gaps")
    record_hole(conn, KEY, slot(500), slot(501), cause="pending", first_seen=MARCH)
    analyse(conn, JAN)
    indicators = tables(conn)[0]
    assert indicators.filter(pl.col("ts") <= JAN.end).height == 500
    # Settled again, the chain is the old one: no snapshot behind the hole may stand for the rows that are gone.
    settle(conn, KEY, slot(500), cause="exchange", at=MARCH)
    assert written(analyse(conn, FEB)) == [JAN, FEB]
    assert_computed_from_the_start(conn)


def test_a_month_behind_a_missing_one_waits_for_it(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS + 200, now=MARCH)
    load(conn, venue, (JAN,))
    load(conn, venue, (MAR,))
    report = analyse(conn, MAR)
    assert written(report) == [JAN]
    assert report.stopped == [f"{KEY} stops before 2022-03: an earlier month is not stored"]
    load(conn, venue, (FEB,))
    report = analyse(conn, MAR)
    assert (written(report), report.unchanged, report.stopped) == ([FEB, MAR], 1, [])
    assert_computed_from_the_start(conn)


def test_an_earlier_month_that_is_loaded_later_makes_everything_be_computed_again(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, (FEB,))
    assert written(analyse(conn, FEB)) == [FEB]
    load(conn, venue, (JAN,))
    assert written(analyse(conn, FEB)) == [JAN, FEB]
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


def test_only_months_up_to_the_one_asked_for_are_analysed(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS + FEB_BARS, now=MARCH), (JAN, FEB))
    found = stretches(conn, KEY, PassReport(), until=JAN)
    assert [(stretch.month, stretch.end, stretch.last) for stretch in found] == [(JAN, JAN.end, slot(JAN_BARS - 1))]


def test_the_asset_writes_both_tables_and_says_what_it_did(world: World, conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    result = world.analyse((JAN,))
    assert result.success, failure_of(result)
    assert_computed_from_the_start(conn)
    told = materialized(result, "indicators")
    assert (told["rows written"], told["months written"], told["stops"]) == (JAN_BARS, "1h 2022-01", "nowhere")
    told = materialized(world.analyse((JAN,)), "regimes")
    assert (told["rows written"], told["months unchanged"]) == (0, 1)


def materialized(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    """The metadata of the one materialization of an asset in a run."""
    [event] = [e for e in result.all_events if e.is_step_materialization and e.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}


def test_another_engine_is_refused_until_a_recompute_takes_over(world: World, conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    claim_engine(conn, Engine(OTHER.hash, ENGINE_VERSION, OTHER.model_dump()), at=T0)
    analyse(conn, JAN, params=OTHER)
    foreign = tables(conn)
    result = world.analyse((JAN,))
    assert not result.success
    assert "EngineMismatch" in failure_of(result)
    assert_same_bits(tables(conn)[1], foreign[1])
    result = world.analyse((JAN,), recompute=True)
    assert result.success, failure_of(result)
    assert_computed_from_the_start(conn)


def test_an_engine_that_comes_back_computes_the_series_again_whose_rows_were_emptied(
    world: World, conn: psycopg.Connection
) -> None:
    fifteen = INSTRUMENT.series("15m")
    venue = venue_of({KEY: JAN_BARS, fifteen: 4 * JAN_BARS}, now=MARCH)
    keep(conn, fifteen)
    load(conn, venue, (JAN,))
    assert world.analyse((JAN,)).success
    # Another engine takes the tables over and computes one of the two series.
    claim_engine(conn, Engine(OTHER.hash, ENGINE_VERSION, OTHER.model_dump()), at=datetime.now(UTC), recompute=True)
    analyse(conn, JAN, params=OTHER)
    assert world.analyse((JAN,), recompute=True).success
    assert_computed_from_the_start(conn)
    assert_computed_from_the_start(conn, key=fifteen)


def test_two_instruments_may_share_a_run(world: World, conn: psycopg.Connection) -> None:
    other = SeriesKey("binance_spot", "ETHUSDT", "1h")
    keep(conn, other)
    for key in (KEY, other):
        load(conn, venue_of({key: JAN_BARS}, now=MARCH), (JAN,))
    result = world.run((JAN,), until=other.instrument, selection=["indicators", "regimes"])
    assert result.success, failure_of(result)
    assert_computed_from_the_start(conn)
    assert_computed_from_the_start(conn, key=other)


def test_the_tape_of_the_tests_warms_the_engine_up() -> None:
    rows = SeriesEngine(KEY, EngineParams()).advance(
        tape(KEY, T0, 400).select("open_time", pl.col("open", "high", "low", "close", "volume").cast(pl.Float64))
    )
    assert rows.regimes.height > 0


def test_a_month_that_was_left_half_loaded_stops_what_follows_and_is_named(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=slot(300) + timedelta(minutes=1))
    load(conn, venue, (JAN,))
    venue.clock.now = MARCH
    load(conn, venue, (FEB,))
    report = analyse(conn, FEB)
    assert written(report) == []
    assert report.stopped == [
        f"{KEY} stops before 2022-01: slots of it are neither stored nor explained; backfill that month"
    ]
    load(conn, venue, (JAN,))
    assert written(analyse(conn, FEB)) == [JAN, FEB]
    assert_computed_from_the_start(conn)


def test_an_engine_that_lost_the_tables_cannot_go_on_writing(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    report, params = PassReport(), EngineParams()
    take_over(conn, params, [KEY], recompute=False)
    work = plan(conn, KEY, params, report)
    take_over(conn, OTHER, [KEY], recompute=True)
    with pytest.raises(EngineMismatch, match="may not go on writing"):
        write_stretch(conn, work, work.todo[0], report)
    assert [frame.height for frame in tables(conn)] == [0, 0]


def test_a_recompute_by_the_same_engine_computes_its_series_from_the_start(
    world: World, conn: psycopg.Connection
) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    assert world.analyse((JAN,)).success
    conn.execute("DELETE FROM analysis.indicators WHERE ts > %s", [slot(100)])
    assert world.analyse((JAN,)).success
    assert tables(conn)[0].height < JAN_BARS  # nothing tells that rows were taken away by hand ...
    assert world.analyse((JAN,), recompute=True).success
    assert_computed_from_the_start(conn)  # ... and this is the way back


def test_a_run_for_an_early_month_goes_on_to_the_last_stored_one(world: World, conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, (FEB,))
    assert world.analyse((FEB,)).success
    load(conn, venue, (JAN,))
    result = world.analyse((JAN,))
    assert result.success, failure_of(result)
    assert_computed_from_the_start(conn)
    partitions = {event.partition for event in result.asset_materializations_for_node("analysis")}
    assert partitions == {"binance_spot:BTCUSDT|2022-01", "binance_spot:BTCUSDT|2022-02"}

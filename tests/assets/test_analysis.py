"""The asset in Dagster: one step for nine tables, what it says of itself, and what it leaves in the event log."""

from datetime import UTC, datetime

import dagster as dg
import psycopg
import pytest

from assets.analysis import TABLES
from assets.partitions import Month, partition_key
from contracts import SeriesKey, Timeframe
from engine import ENGINE_VERSION, EngineParams
from store.analysis import Engine, claim_engine
from store.connections import connect
from store.roles import OWNER
from tests.assets.fakes import INSTRUMENT, KEY, slot, venue_of
from tests.assets.passes import FEB, FEB_BARS, JAN, JAN_BARS, analyse, assert_computed_from_the_start, tables
from tests.assets.runs import World, exchange_of, failure_of, keep, load, revise
from tests.databases import Database
from tests.engine.bits import assert_same_tables

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
OTHER = EngineParams(trend_adx=30.0)


@pytest.fixture
def world(database: Database, conn: psycopg.Connection, instance: dg.DagsterInstance) -> World:
    keep(conn, KEY)
    return World(database, exchange_of(venue_of(0, now=MARCH)), instance)


def materialized(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    """The metadata of the one materialization of an asset in a run."""
    [event] = [e for e in result.all_events if e.is_step_materialization and e.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}


def version_of(instance: dg.DagsterInstance, month: Month) -> str | None:
    """The data version of the last materialization of a month's indicators."""
    wanted = dg.AssetRecordsFilter(
        asset_key=dg.AssetKey("indicators"), asset_partitions=[str(partition_key(INSTRUMENT, month))]
    )
    [record] = instance.fetch_materializations(wanted, limit=1).records
    event = record.asset_materialization
    return None if event is None or event.tags is None else event.tags.get("dagster/data_version")


def test_the_asset_writes_every_table_and_says_what_it_did(world: World, conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    result = world.analyse((JAN,))
    assert result.success, failure_of(result)
    assert_computed_from_the_start(conn)
    found = tables(conn)
    for table in TABLES:
        told = materialized(result, table)
        assert told["rows written"] == found[table].height
        assert (told["months written"], told["stops"]) == ("1h 2022-01", "nowhere")
        assert told["engine version"] == ENGINE_VERSION
    told = materialized(world.analyse((JAN,)), "regimes")
    assert (told["rows written"], told["months unchanged"]) == (0, 1)


def test_another_engine_is_refused_until_a_recompute_takes_over(world: World, conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    analyse(conn, JAN, params=OTHER)
    foreign = tables(conn)
    result = world.analyse((JAN,))
    assert not result.success
    assert "EngineMismatch" in failure_of(result)
    assert_same_tables(tables(conn), foreign)
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
    assert_computed_from_the_start(conn, fifteen)


def test_two_instruments_may_share_a_run(world: World, conn: psycopg.Connection) -> None:
    other = SeriesKey("binance_spot", "ETHUSDT", "1h")
    keep(conn, other)
    for key in (KEY, other):
        load(conn, venue_of({key: JAN_BARS}, now=MARCH), (JAN,))
    result = world.run((JAN,), until=other.instrument, selection=[*TABLES])
    assert result.success, failure_of(result)
    assert_computed_from_the_start(conn)
    assert_computed_from_the_start(conn, other)


def test_a_recompute_by_the_same_engine_computes_its_series_from_the_start(
    world: World, conn: psycopg.Connection
) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    assert world.analyse((JAN,)).success
    conn.execute("DELETE FROM analysis.indicators WHERE ts > %s", [slot(100)])
    conn.execute("DELETE FROM analysis.zones WHERE created_ts > %s", [slot(100)])
    assert world.analyse((JAN,)).success
    assert tables(conn)["indicators"].height < JAN_BARS  # nothing tells that rows were taken away by hand ...
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
    partitions = {
        (event.asset_key.to_user_string(), event.partition)
        for event in result.asset_materializations_for_node("analysis")
    }
    assert partitions == {(table, f"{INSTRUMENT}|{month}") for table in TABLES for month in (JAN, FEB)}


def test_a_month_written_beside_those_of_the_run_has_a_new_version_each_time(
    world: World, conn: psycopg.Connection
) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, (JAN, FEB))
    versions = []
    for column in ("low", "high"):
        revise(conn, venue, slot(3), venue.tape[KEY][column][3])
        assert world.analyse((JAN,)).success
        versions.append(version_of(world.instance, FEB))
    assert None not in versions
    assert versions[0] != versions[1]


def test_a_pass_that_ends_half_way_tells_of_the_months_it_wrote_beside_those_of_the_run(
    world: World, conn: psycopg.Connection
) -> None:
    load(conn, venue_of(JAN_BARS + FEB_BARS, now=MARCH), (JAN, FEB))
    with connect(world.database.dsn(OWNER), application_name="test") as owner:
        owner.execute(
            "ALTER TABLE analysis.indicators ADD CONSTRAINT no_february CHECK (ts < '2022-02-01 12:00+00') NOT VALID"
        )
    assert not world.analyse((FEB,)).success
    assert version_of(world.instance, JAN) is not None


def test_a_sub_timeframe_that_is_not_kept_fails_the_run_with_what_to_do(world: World, conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS, now=MARCH), (JAN,))
    keep(conn, KEY, sub_tf=Timeframe.M15)
    assert "which is not kept: backfill binance_spot:BTCUSDT:15m too" in failure_of(world.analyse((JAN,)))
    assert {frame.height for frame in tables(conn).values()} == {0}

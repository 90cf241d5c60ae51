from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from assets.partitions import Month, partition_key
from assets.resources import Postgres
from assets.verification import READABLE_CHECK, RUN_AGAIN, Rerun, candle_verification, reruns_of
from store.ledger import digests
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, KEY, FakeVenue, slot, venue_of, with_close
from tests.assets.passes import analyse
from tests.assets.runs import QUIET, exchange_of, failure_of, keep, load, months
from tests.databases import Database
from venues.binance.errors import ArchiveRejected, VenueUnavailable

JAN, FEB = months("2022-01", "2022-02")
MARCH = datetime(2022, 3, 10, tzinfo=UTC)


@pytest.fixture
def venue(conn: psycopg.Connection) -> FakeVenue:
    """An exchange of which January and February are stored."""
    venue = venue_of(744 + 672, now=MARCH)
    keep(conn, KEY)
    load(conn, venue, (JAN, FEB))
    venue.clock.now += timedelta(minutes=1)
    return venue


def verify(database: Database, venue: FakeVenue, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions("instruments", [str(INSTRUMENT)])
    return dg.materialize(
        [candle_verification],
        resources={"database": Postgres(url=database.dsn(BATCH)), "exchange": exchange_of(venue)},
        tags={
            "dagster/asset_partition_range_start": str(partition_key(INSTRUMENT, JAN)),
            "dagster/asset_partition_range_end": str(partition_key(INSTRUMENT, FEB)),
        },
        instance=instance,
        run_config=QUIET,
        raise_on_error=False,
    )


def told(result: dg.ExecuteInProcessResult) -> dg.AssetMaterialization:
    assert result.success, failure_of(result)
    events = result.asset_materializations_for_node("candle_verification")
    return events[0]


def test_an_unchanged_instrument_asks_for_no_run(
    database: Database, venue: FakeVenue, instance: dg.DagsterInstance
) -> None:
    event = told(verify(database, venue, instance))
    assert reruns_of(event.metadata) == []
    assert event.metadata["dagster/row_count"].value == 2
    assert event.metadata["files unchanged"].value == 2
    assert event.metadata["months whose chain moved"].value == "none"
    assert event.metadata["files that are gone"].value == "none"


def test_a_change_asks_for_exactly_the_months_from_it_on_and_once(
    database: Database, venue: FakeVenue, instance: dg.DagsterInstance, conn: psycopg.Connection
) -> None:
    venue.archived[KEY] = with_close(venue.tape[KEY], slot(744 + 3), "99999.5")
    event = told(verify(database, venue, instance))
    [rerun] = reruns_of(event.metadata)
    assert (rerun.instrument, rerun.first, rerun.last) == (INSTRUMENT, FEB, FEB)
    assert rerun.tags == {
        "dagster/asset_partition_range_start": "binance_spot:BTCUSDT|2022-02",
        "dagster/asset_partition_range_end": "binance_spot:BTCUSDT|2022-02",
    }
    assert event.metadata["files published anew"].value == "- BTCUSDT-1h-2022-02.zip"
    assert event.metadata["months whose chain moved"].value == f"- {KEY}: 2022-02"
    assert event.metadata["revised"].value == 1
    assert reruns_of(told(verify(database, venue, instance)).metadata) == []
    venue.archived[KEY] = with_close(venue.archived[KEY], slot(3), "99999.5")
    [later] = reruns_of(told(verify(database, venue, instance)).metadata)
    assert (later.first, later.last) == (JAN, FEB)
    assert later.run_key != rerun.run_key
    assert [entry.chain for entry in digests(conn, KEY)].count(None) == 0


def test_what_a_verification_moved_that_failed_half_way_is_told_by_the_next_until_it_is_computed(
    database: Database, venue: FakeVenue, instance: dg.DagsterInstance, conn: psycopg.Connection
) -> None:
    analyse(conn)
    venue.archived[KEY] = with_close(venue.tape[KEY], slot(3), "99999.5")
    venue.errors["unchanged BTCUSDT-1h-2022-02"] = VenueUnavailable("reset by peer")
    assert not verify(database, venue, instance).success
    venue.errors.clear()
    event = told(verify(database, venue, instance))
    assert event.metadata["months whose chain moved"].value == "none"
    assert [(rerun.first, rerun.last) for rerun in reruns_of(event.metadata)] == [(JAN, FEB)]
    analyse(conn)
    assert reruns_of(told(verify(database, venue, instance)).metadata) == []


def test_a_change_that_comes_back_asks_for_a_run_each_time(
    database: Database, venue: FakeVenue, instance: dg.DagsterInstance
) -> None:
    keys = []
    for close in ("99999.5", None, "99999.5"):
        venue.archived[KEY] = venue.tape[KEY] if close is None else with_close(venue.tape[KEY], slot(3), close)
        keys += [rerun.run_key for rerun in reruns_of(told(verify(database, venue, instance)).metadata)]
    assert len(keys) == len(set(keys)) == 3


def test_a_file_that_is_gone_is_named(database: Database, venue: FakeVenue, instance: dg.DagsterInstance) -> None:
    venue.unpublished = {"BTCUSDT-1h-2022-01"}
    event = told(verify(database, venue, instance))
    assert event.metadata["files that are gone"].value == "- BTCUSDT-1h-2022-01.zip"


def test_a_file_that_contradicts_itself_turns_the_check_red_and_the_others_are_told(
    database: Database, venue: FakeVenue, instance: dg.DagsterInstance
) -> None:
    venue.archived[KEY] = with_close(with_close(venue.tape[KEY], slot(3), "99999.5"), slot(744 + 3), "99999.5")
    venue.errors["month BTCUSDT-1h-2022-01"] = ArchiveRejected("BTCUSDT-1h-2022-01.zip contradicts its checksum")
    result = verify(database, venue, instance)
    [check] = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (READABLE_CHECK, False)
    assert "contradicts its checksum" in str(check.description)
    assert [rerun.first for rerun in reruns_of(told(result).metadata)] == [FEB]
    venue.errors.clear()
    assert verify(database, venue, instance).get_asset_check_evaluations()[0].passed


def test_what_is_told_reads_back_as_it_was() -> None:
    rerun = Rerun(INSTRUMENT, Month(2021, 12), FEB, "abc")
    assert reruns_of({RUN_AGAIN: dg.MetadataValue.json([rerun.told()])}) == [rerun]
    assert reruns_of({}) == []
    assert rerun.run_key == "binance_spot:BTCUSDT|2021-12|2022-02|abc"

from datetime import UTC, datetime

import dagster as dg
import psycopg
import pytest

from assets.partitions import Month
from contracts import InstrumentKey, SeriesKey
from orchestration.requests import INSTRUMENT_TAG, enabled_instruments, first_month, run_requests
from store.catalog import Instrument, SeriesSetting, upsert_instrument, upsert_series
from store.ledger import write_digest

SPOT, PERP = InstrumentKey("binance_spot", "BTCUSDT"), InstrumentKey("binance_usdm", "ETHUSDT")
MAY, JUNE = Month(2024, 5), Month(2024, 6)


def keep(conn: psycopg.Connection, key: SeriesKey, *, enabled: bool = True) -> None:
    upsert_instrument(conn, Instrument(key.instrument, "SPOT", "BTC", "USDT", "TRADING", listed_at=None))
    upsert_series(conn, SeriesSetting(key, enabled=enabled))


def test_an_instrument_counts_while_one_of_its_series_is_enabled(conn: psycopg.Connection) -> None:
    keep(conn, SPOT.series("1m"))
    keep(conn, SPOT.series("1h"), enabled=False)
    keep(conn, PERP.series("1m"), enabled=False)
    assert enabled_instruments(conn) == [SPOT]


def test_the_first_month_is_that_of_the_series_that_goes_back_furthest(conn: psycopg.Connection) -> None:
    keep(conn, SPOT.series("1m"))
    keep(conn, SPOT.series("1h"))
    assert first_month(conn, SPOT) is None
    at = datetime(2024, 7, 1, tzinfo=UTC)
    for tf, month in (("1m", JUNE), ("1h", JUNE), ("1h", MAY)):
        write_digest(conn, SPOT.series(tf), month.start.date(), rows=1, sha256="a" * 64, computed_at=at)
    assert first_month(conn, SPOT) == MAY


def test_one_run_an_instrument_covers_its_months(instance: dg.DagsterInstance) -> None:
    [one, two] = run_requests(instance, "tail", {PERP: (JUNE, JUNE), SPOT: (MAY, JUNE)}, key="now")
    assert (one.run_key, two.run_key) == ("tail binance_spot:BTCUSDT now", "tail binance_usdm:ETHUSDT now")
    assert one.job_name == two.job_name == "tail"
    assert one.tags == {
        INSTRUMENT_TAG: "binance_spot:BTCUSDT",
        "dagster/asset_partition_range_start": "binance_spot:BTCUSDT|2024-05",
        "dagster/asset_partition_range_end": "binance_spot:BTCUSDT|2024-06",
    }
    assert two.tags["dagster/asset_partition_range_start"] == "binance_usdm:ETHUSDT|2024-06"


def test_an_instrument_that_dagster_has_not_met_becomes_a_partition(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("instruments", [str(SPOT)])
    run_requests(instance, "tail", {SPOT: (MAY, JUNE), PERP: (MAY, JUNE)}, key="now")
    assert instance.get_dynamic_partitions("instruments") == [str(SPOT), str(PERP)]


@pytest.mark.parametrize(
    ("status", "job", "asked"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, "tail", False),
        (dg.DagsterRunStatus.STARTED, "tail", False),
        (dg.DagsterRunStatus.STARTED, "verify", True),
        (dg.DagsterRunStatus.SUCCESS, "tail", True),
        (dg.DagsterRunStatus.FAILURE, "tail", True),
        (dg.DagsterRunStatus.CANCELED, "tail", True),
    ],
)
def test_an_instrument_whose_run_of_the_job_is_unfinished_is_passed_over(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, job: str, *, asked: bool
) -> None:
    run = dg.DagsterRun(job_name=job, run_id="1" * 32, status=status, tags={INSTRUMENT_TAG: str(SPOT)})
    instance.add_run(run)
    found = run_requests(instance, "tail", {SPOT: (MAY, JUNE), PERP: (MAY, JUNE)}, key="now")
    names = {request.tags[INSTRUMENT_TAG] for request in found}
    assert names == ({str(SPOT), str(PERP)} if asked else {str(PERP)})

"""Data truth with whole runs: what the exchange takes back, contradicts or spoils is found, kept and told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from assets.partitions import Month, partition_key
from assets.verification import reruns_of
from contracts import InstrumentKey, to_us
from tests.e2e.commands import environment
from tests.e2e.conftest import HOURS
from tests.e2e.places import Place
from venues.simulator import Simulator
from venues.simulator.faults import Fault

JAN, FEB = Month(2024, 1), Month(2024, 2)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
REVISIONS = "SELECT open_time, source, lost FROM market.candle_revisions WHERE symbol = %s AND tf = '1h'"
NOTHING: Mapping[str, str] = {}


def run_job(
    place: Place,
    simulator: Simulator,
    job: str,
    instrument: str | None = None,
    *,
    months: tuple[Month, Month] = (JAN, FEB),
    more: Mapping[str, str] = NOTHING,
) -> dg.ExecuteInProcessResult:
    """One run of a job of ours on the place's own Dagster instance; its failure is in the result."""
    tags: dict[str, str] = {}
    if instrument is not None:
        first, last = (str(partition_key(InstrumentKey.parse(instrument), month)) for month in months)
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    variables = {**place.seeing(simulator), **more, **place.installation.dagster_environment()}
    with environment(variables), dg.DagsterInstance.get() as instance:
        from orchestration.definitions import defs

        if instrument is not None:
            instance.add_dynamic_partitions("instruments", [instrument])
        resolved = defs().resolve_job_def(job)
        return resolved.execute_in_process(instance=instance, tags=tags, run_config=QUIET, raise_on_error=False)


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """Every failed step's message, and every check that failed."""
    steps = [
        str(event.step_failure_data.error.to_string()) if event.step_failure_data.error else ""
        for event in result.all_events
        if event.is_step_failure
    ]
    return [*steps, *(check.check_name for check in result.get_asset_check_evaluations() if not check.passed)]


def loaded(place: Place, simulator: Simulator, symbol: str, *more: str) -> None:
    """Both months of a symbol's hours, loaded and analysed."""
    arguments = ("backfill", "--no-marts", "--symbols", symbol, "--timeframes", "1h", "--from", "2024-01", *more)
    ended = place.run(*arguments, simulator=simulator)
    assert ended.code == 0, ended.err


def ms(instant: datetime) -> int:
    return to_us(instant) // 1000


def key_of(symbol: str) -> str:
    return f"binance_spot:{symbol}:1h"


def test_a_month_published_anew_is_replaced_its_months_run_again_and_the_old_is_still_known(
    place: Place, simulator: Simulator, tmp_path: Path
) -> None:
    symbol, changed = "BTCUSDT", datetime(2024, 1, 20, 5, tzinfo=UTC)
    loaded(place, simulator, symbol)
    before = place.candles(key_of(symbol))
    export = ("data", "export", "--symbols", symbol, "--tf", "1h", "--with", "zones,indicators", "--parquet")
    assert place.run(*export, str(tmp_path / "before"), simulator=simulator).code == 0
    then = datetime.now(UTC)
    prefix = f"/data/spot/monthly/klines/{symbol}/1h/"
    simulator.faults.add(Fault(kind="republished", venue="archive", prefix=prefix, open_times=(ms(changed),)))

    verified = run_job(place, simulator, "verify", f"binance_spot:{symbol}")
    assert verified.success, failures(verified)
    after = place.candles(key_of(symbol))
    assert {opened for opened in before if before[opened] != after[opened]} == {changed}
    assert place.query(REVISIONS, symbol) == [(changed, "archive", False)]
    [event, *_] = verified.asset_materializations_for_node("candle_verification")
    [rerun] = reruns_of(event.metadata)
    assert (rerun.first, rerun.last) == (JAN, FEB)

    behind = place.run(*export, str(tmp_path / "behind"), simulator=simulator)
    assert (behind.code, "run `tidemark backfill`" in behind.err) == (1, True)
    again = run_job(place, simulator, "recompute", f"binance_spot:{symbol}", months=(rerun.first, rerun.last))
    assert again.success, failures(again)
    assert place.run(*export, str(tmp_path / "after"), simulator=simulator).code == 0
    ids = [json.loads((tmp_path / name / "manifest.json").read_text())["dataset_id"] for name in ("before", "after")]
    assert ids[0] != ids[1]

    out = tmp_path / "then.parquet"
    asof = ("data", "asof", "--symbol", symbol, "--tf", "1h", "--out", str(out), "--at", then.isoformat())
    assert place.run(*asof, simulator=simulator).code == 0
    told = pl.read_parquet(out).select("open_time", "open", "high", "low", "close", "volume").rows()
    assert {row[0]: row[1:] for row in told} == before

    quiet = run_job(place, simulator, "verify", f"binance_spot:{symbol}")
    [event, *_] = quiet.asset_materializations_for_node("candle_verification")
    assert reruns_of(event.metadata) == []
    assert (
        "nothing to do"
        in place.run(
            "backfill",
            "--no-marts",
            "--symbols",
            symbol,
            "--timeframes",
            "1h",
            "--from",
            "2024-01",
            simulator=simulator,
        ).out
    )


def test_archive_and_rest_that_disagree_are_both_kept_and_the_archive_stands(
    place: Place, simulator: Simulator
) -> None:
    symbol, contested = "ETHUSDT", datetime(2024, 2, 19, 3, tzinfo=UTC)
    loaded(place, simulator, symbol)
    before = place.candles(key_of(symbol))
    simulator.faults.add(
        Fault(kind="disagreeing_rows", venue="spot", prefix="/api/v3/klines", open_times=(ms(contested),))
    )
    verified = run_job(place, simulator, "verify", f"binance_spot:{symbol}")
    assert verified.success, failures(verified)
    assert place.candles(key_of(symbol)) == before
    assert place.query(REVISIONS, symbol) == [(contested, "rest", True)]
    [event, *_] = verified.asset_materializations_for_node("candle_verification")
    assert event.metadata["lost"].value == 1
    assert reruns_of(event.metadata) == []


def test_a_candle_whose_high_is_below_its_low_is_kept_apart_its_check_fails_and_nothing_else_stops(
    place: Place, simulator: Simulator
) -> None:
    symbol, crossed = "BNBUSDT", datetime(2024, 1, 20, 5, tzinfo=UTC)
    for venue in ("archive", "spot"):
        simulator.faults.add(Fault(kind="crossed_rows", venue=venue, contains=symbol, open_times=(ms(crossed),)))
    loaded(place, simulator, symbol)
    stored = place.candles(key_of(symbol))
    assert len(stored) == HOURS - 1
    assert crossed not in stored
    refused = place.query("SELECT open_time, payload, reason FROM market.quarantine WHERE symbol = %s", symbol)
    assert {(row[0], row[2]) for row in refused} == {(crossed, "prices_contradict")}
    fields = str(refused[0][1]).split(",")
    assert Decimal(fields[2]) < Decimal(fields[3])
    gap = place.query("SELECT from_time, bars, cause FROM market.candle_gaps WHERE symbol = %s AND tf = '1h'", symbol)
    assert (crossed, 1, "quarantined") in gap
    analysed = place.query("SELECT max(ts) FROM analysis.indicators WHERE symbol = %s", symbol)
    assert analysed == [(max(stored) + timedelta(hours=1),)]

    with place.dagster() as instance:
        check = dg.AssetCheckKey(dg.AssetKey("candles"), "nothing_quarantined")
        [record] = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert record.status is AssetCheckExecutionRecordStatus.FAILED

    simulator.faults.clear()
    verified = run_job(place, simulator, "verify", f"binance_spot:{symbol}")
    assert verified.success, failures(verified)
    assert crossed in place.candles(key_of(symbol))


def test_a_page_of_funding_that_repeats_a_time_is_one_row_or_quarantined(place: Place, simulator: Simulator) -> None:
    instrument = "binance_usdm:BTCUSDT"
    same, other = datetime(2024, 2, 10, 8, tzinfo=UTC), datetime(2024, 2, 11, 16, tzinfo=UTC)
    for kind, at in (("duplicate_rows", same), ("contradicting_rows", other)):
        simulator.faults.add(Fault(kind=kind, venue="usdm", prefix="/fapi/v1/fundingRate", open_times=(ms(at),)))
    result = run_job(place, simulator, "funding", instrument)
    # What speaks of the settlement that is missing now are checks; the load itself stopped at nothing.
    assert result.asset_materializations_for_node("funding_rates"), failures(result)
    rows = place.query("SELECT funding_time, source, rate_type FROM market.funding_rates ORDER BY funding_time")
    times = [row[0] for row in rows]
    assert times.count(same) == 1
    assert other not in times
    quarantined = place.query("SELECT open_time, reason, payload FROM market.quarantine WHERE tf = 'funding'")
    assert [(row[0], row[1]) for row in quarantined] == [(other, "conflict")] * 2
    assert len({row[2] for row in quarantined}) == 2
    assert {row[1] for row in rows if row[0] < FEB.start and row[2] == "Regular"} == {"archive"}
    assert len(times) >= 31 * 3 + 19 * 3

    simulator.faults.clear()
    mended = run_job(place, simulator, "funding", instrument)
    assert mended.asset_materializations_for_node("funding_rates"), failures(mended)
    assert place.query("SELECT count(*) FROM market.funding_rates WHERE funding_time = %s", other) == [(1,)]


CALENDAR = """uid,title,start,end,impact,currency
1,FOMC,2030-01-28T19:00Z,2030-01-28T20:00Z,High,USD
2,Speech,2030-01-20T10:00Z,2030-01-20T12:00Z,Medium,USD
3,Speech,2030-01-20T11:00Z,2030-01-20T13:00Z,Medium,USD
4,Reversed,2030-01-20T10:00Z,2030-01-20T09:00Z,High,USD
5,Zoneless,2030-01-20 10:00,,High,USD
"""


def test_a_calendar_with_overlapping_reversed_and_zoneless_times_is_loaded_but_for_those(
    place: Place, simulator: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "fed.csv"
    file.write_text(CALENDAR)
    more = {"TIDEMARK_CALENDAR__SOURCES": json.dumps([{"name": "fed", "path": str(file)}])}
    titles = "SELECT title FROM market.calendar_events WHERE superseded_at IS NULL ORDER BY event_id"
    result = run_job(place, simulator, "calendar", more=more)
    assert result.success, failures(result)
    assert failures(result) == ["no_refused_rows", "no_overlapping_events"]
    assert sorted(row[0] for row in place.query(titles)) == ["FOMC", "Speech", "Speech"]
    refused = place.query("SELECT line, reason, payload FROM market.calendar_refused ORDER BY line")
    assert [row[:2] for row in refused] == [(5, "ends_before_start"), (6, "time_without_zone")]
    assert refused[1][2] == "5,Zoneless,2030-01-20 10:00,,High,USD"

    file.write_bytes(b"<html>sign in</html>")
    broken = run_job(place, simulator, "calendar", more=more)
    assert not broken.success
    assert any("a page for people" in line for line in failures(broken))
    assert len(place.query(titles)) == 3

    file.write_text(CALENDAR)
    zone = json.dumps([{"name": "fed", "path": str(file), "timezone": "America/New_York"}])
    mended = run_job(place, simulator, "calendar", more={"TIDEMARK_CALENDAR__SOURCES": zone})
    assert mended.success
    zoneless = place.query("SELECT ts_start FROM market.calendar_events WHERE title = 'Zoneless'")
    assert zoneless == [(datetime(2030, 1, 20, 15, tzinfo=UTC),)]


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ('[{"name": "fed"}]', "needs a path or a url"),
        ('[{"name": "fed", "path": "a", "timezone": "Mars/Olympus"}]', "there is no time zone 'Mars/Olympus'"),
        ('[{"name": "a", "path": "x"}, {"name": "a", "path": "y"}]', "two calendar sources are called 'a'"),
        ('[{"name": "fed", "url": "ftp://x/y"}]', "calendar.sources"),
    ],
)
def test_a_calendar_that_cannot_be_configured_so_is_told_by_every_command(
    place: Place, simulator: Simulator, sources: str, told: str
) -> None:
    ended = place.run("status", simulator=simulator, more={"TIDEMARK_CALENDAR__SOURCES": sources})
    assert ended.code == 1
    assert told in ended.err
    assert "Traceback" not in ended.err

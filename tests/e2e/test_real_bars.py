"""Real bars through everything: served by the simulator, backfilled through Dagster, compared value by value."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import dagster as dg
import numpy as np
import polars as pl
import pytest

from bench.bars import REAL_BARS
from bench.engine_peers import pandas_bars, pandas_columns, talib_columns
from contracts.candles import BAR_SCHEMA
from engine import TABLES
from engine.features import COLUMNS
from orchestration.definitions import CHECKS
from tests.e2e.commands import environment
from tests.e2e.conftest import Founder
from tests.e2e.places import Place
from tests.engine.real_bars import needs_real_bars
from tests.engine.test_peers import DECAY, PANDAS_DECAY, TALIB_DECAY, assert_close
from tidemark.backfill import Outcome, Request, run_backfill
from tidemark.installation import Installation
from tidemark.settings import load_settings
from venues.simulator import Simulator, SimulatorConfig, running

pytestmark = needs_real_bars

INSTRUMENT = "binance_usdm:BTCUSDT"
MINUTES = {"1m": 1, "5m": 5, "15m": 15}
# The file ends with the bar of 05:30; a bar counts as closed once it has been for two seconds.
NOW = datetime(2022, 2, 1, 5, 31, 3, tzinfo=UTC)
MONTHS = ["2021-12", "2022-01", "2022-02"]

Row = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What the first and the second backfill of the real bars left behind."""

    place: Place
    simulator: Simulator
    first: list[Outcome]
    said: list[str]
    progress: list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def backfilled(found: Founder) -> Iterator[Backfilled]:
    place = found()
    said: list[str] = []
    progress: list[tuple[str, int, int]] = []
    with running(SimulatorConfig(bars=REAL_BARS, symbol="BTCUSDT", start=NOW, speed=0)) as simulator:
        with environment(place.seeing(simulator)):
            outcomes = backfill(said, progress)
        yield Backfilled(place, simulator, outcomes, said, progress)


def backfill(said: list[str], progress: list[tuple[str, int, int]]) -> list[Outcome]:
    """Backfill the three timeframes into the installation that the environment describes."""
    request = Request("binance_usdm", ("BTCUSDT",), tuple(MINUTES), datetime(2021, 12, 31, 23, tzinfo=UTC))
    return run_backfill(
        Installation(load_settings()), [request], listener=lambda *step: progress.append(step), say=said.append
    )


@pytest.fixture(scope="module")
def minutes() -> dict[datetime, Row]:
    """The file, as exact decimals."""
    with gzip.open(REAL_BARS, "rt", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    return {
        datetime.fromisoformat(row["open_time"]): (
            Decimal(row["open"]),
            Decimal(row["high"]),
            Decimal(row["low"]),
            Decimal(row["close"]),
            Decimal(row["volume"]),
        )
        for row in rows
    }


def rolled_up(minutes: dict[datetime, Row], length: int) -> dict[datetime, Row]:
    """Bars of `length` minutes that are closed at `NOW`: first open, highest, lowest, last close, sum of volumes."""
    members: dict[datetime, list[Row]] = {}
    for opened, row in minutes.items():
        members.setdefault(opened - timedelta(minutes=opened.minute % length), []).append(row)
    return {
        opened: (
            rows[0][0],
            max(row[1] for row in rows),
            min(row[2] for row in rows),
            rows[-1][3],
            sum((row[4] for row in rows), Decimal(0)),
        )
        for opened, rows in members.items()
        if opened + timedelta(minutes=length) <= NOW
    }


def bar_frame(rows: dict[datetime, Row]) -> pl.DataFrame:
    """The rows as the engine's peers take them."""
    columns = [[float(row[i]) for row in rows.values()] for i in range(5)]
    names = BAR_SCHEMA.names()
    return pl.DataFrame(dict(zip(names, [list(rows), *columns], strict=True)), schema=dict(BAR_SCHEMA))


def stored_indicators(place: Place, tf: str) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Every column of the stored indicators, oldest first; NaN where the table has null."""
    names = ", ".join(COLUMNS)
    rows = place.query(
        f"SELECT {names} FROM analysis.indicators WHERE (venue, symbol, tf) = (%s, %s, %s) ORDER BY ts",  # noqa: S608 - names of columns
        *INSTRUMENT.split(":"),
        tf,
    )
    table = np.array(rows, dtype=np.float64)
    return {name: table[:, i] for i, name in enumerate(COLUMNS)}


def test_the_backfill_succeeds_in_one_run_of_three_months(backfilled: Backfilled) -> None:
    [outcome] = backfilled.first
    assert outcome.failure is None
    assert [str(month) for month in outcome.due] == MONTHS
    assert outcome.run_id is not None


def test_every_one_of_the_45031_minutes_is_stored_as_it_stands_in_the_file(
    backfilled: Backfilled, minutes: dict[datetime, Row]
) -> None:
    stored = backfilled.place.candles(f"{INSTRUMENT}:1m")
    assert len(minutes) == 45_031
    assert stored == minutes


@pytest.mark.parametrize("tf", ["5m", "15m"])
def test_longer_bars_equal_a_roll_up_of_the_file(backfilled: Backfilled, minutes: dict[datetime, Row], tf: str) -> None:
    assert backfilled.place.candles(f"{INSTRUMENT}:{tf}") == rolled_up(minutes, MINUTES[tf])


def test_the_monthly_file_the_daily_files_and_rest_were_all_needed(backfilled: Backfilled) -> None:
    # At 05:31 on 1 February the file of January is not out yet (first Monday), that of December is.
    rows = backfilled.place.query(
        "SELECT source, min(open_time), max(open_time) FROM market.candles WHERE tf = '1m' "
        "GROUP BY source ORDER BY source"
    )
    first_of_february = datetime(2022, 2, 1, tzinfo=UTC)
    assert rows == [
        ("archive", datetime(2021, 12, 31, 23, tzinfo=UTC), first_of_february - timedelta(minutes=1)),
        ("rest", first_of_february, datetime(2022, 2, 1, 5, 30, tzinfo=UTC)),
    ]
    files = [str(row[0]) for row in backfilled.place.query("SELECT url FROM market.archive_files")]
    assert sum("/monthly/" in url for url in files) == len(MINUTES)
    assert sum("/daily/" in url for url in files) == 31 * len(MINUTES)


@pytest.mark.parametrize("tf", list(MINUTES))
def test_stored_indicators_agree_with_talib(backfilled: Backfilled, minutes: dict[datetime, Row], tf: str) -> None:
    bars = bar_frame(rolled_up(minutes, MINUTES[tf]))
    ours = stored_indicators(backfilled.place, tf)
    theirs = talib_columns(bars)
    assert set(theirs) >= {"ema20", "ema50", "ema200", "rsi14", "atr14", "adx14", "macd", "bb_upper", "bb_lower"}
    for name, column in theirs.items():
        assert ours[name].size == bars.height
        start = TALIB_DECAY.get(name, int(np.isnan(ours[name]).sum()))
        assert_close(name, ours[name][start:], column[start:], float(bars["close"][0]))


@pytest.mark.parametrize("tf", list(MINUTES))
def test_stored_indicators_agree_with_pandas_ta_classic(
    backfilled: Backfilled, minutes: dict[datetime, Row], tf: str
) -> None:
    bars = bar_frame(rolled_up(minutes, MINUTES[tf]))
    ours = stored_indicators(backfilled.place, tf)
    theirs = pandas_columns(pandas_bars(bars))
    assert {"vwap", "vwma20", "natr_rank", "bbw_rank"} <= set(theirs)
    for name, column in theirs.items():
        start = PANDAS_DECAY.get(name, int(np.isnan(ours[name]).sum()))
        assert start <= DECAY
        assert_close(name, ours[name][start:], column.to_numpy()[start:], float(bars["close"][0]))


def test_regimes_are_stored_from_the_first_bar_whose_adx_and_ranks_are_defined(backfilled: Backfilled) -> None:
    rows = backfilled.place.query(
        """
        SELECT i.tf, count(*), count(r.ts)
        FROM analysis.indicators i LEFT JOIN analysis.regimes r USING (venue, symbol, tf, ts)
        WHERE i.adx14 IS NOT NULL AND i.natr_rank IS NOT NULL AND i.bbw_rank IS NOT NULL GROUP BY i.tf
        """
    )
    assert len(rows) == len(MINUTES)
    assert all(defined == stored > 0 for _, defined, stored in rows)


def test_dagster_shows_the_run_its_partitions_and_passed_checks(backfilled: Backfilled) -> None:
    partitions = {f"{INSTRUMENT}|{month}" for month in MONTHS}
    with backfilled.place.dagster() as instance:
        runs = {run.job_name: run for run in instance.get_runs()}
        assert set(runs) == {"backfill", "refresh_rules"}
        assert runs["backfill"].run_id == backfilled.first[0].run_id
        assert all(run.status is dg.DagsterRunStatus.SUCCESS for run in runs.values())
        for asset in ("candles", "candle_gaps", *TABLES):
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == partitions, asset
        [latest] = instance.fetch_materializations(dg.AssetKey("candles"), limit=1).records
        materialization = latest.asset_materialization
        assert materialization is not None
        assert materialization.metadata["dagster/row_count"].value == 45_031 + 9_006 + 3_002
        evaluations = [
            record.dagster_event.asset_check_evaluation_data
            for record in instance.all_logs(runs["backfill"].run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            if record.dagster_event is not None
        ]
    # Those of funding belong to another job; dbt's tests come on top of them.
    expected = {key.name for step in CHECKS for key in step.check_keys if key.asset_key.path != ["funding_rates"]}
    asked = {evaluation.check_name: evaluation for evaluation in evaluations}
    assert expected <= set(asked)
    assert [name for name, evaluation in asked.items() if not evaluation.passed] == []
    assert {asked[name].metadata["series"].value for name in expected} == {len(MINUTES)}


def test_progress_was_reported_to_its_end(backfilled: Backfilled) -> None:
    last = {label: (done, total) for label, done, total in backfilled.progress}
    nodes, _ = last.pop(f"marts {INSTRUMENT}")
    assert nodes > 11  # the marts alone
    assert last == {f"candles {INSTRUMENT}": (9, 9), f"analysis {INSTRUMENT}": (9, 9)}
    assert (f"marts {INSTRUMENT}", nodes, nodes) in backfilled.progress


def test_a_second_backfill_starts_no_run_and_says_why(backfilled: Backfilled) -> None:
    said: list[str] = []
    with environment(backfilled.place.seeing(backfilled.simulator)):
        [outcome] = backfill(said, [])
    assert (outcome.run_id, list(outcome.due), outcome.failure) == (None, [], None)
    [told] = said
    assert told.startswith(f"{INSTRUMENT}: ")
    assert "nothing to do" in told
    assert "3 months" in told
    with backfilled.place.dagster() as instance:
        assert instance.get_runs_count() == 2

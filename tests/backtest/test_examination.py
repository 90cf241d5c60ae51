"""A result looked at from every side, on a run that has everything."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from backtest import BacktestResult, run_backtest
from backtest.examination import Examination, band_of, examine, stale_fills
from backtest.report import NullPlace
from tests.backtest.markets import EAGER, ONE, config, market

MARKET = {key: frame for key, frame in market(400).items() if key.instrument == ONE}
# Without minutes no quarter of an hour is looked into: some of them cannot tell.
COARSE = {ONE.series("15m"): market(3_000)[ONE.series("15m")]}


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    """A run."""
    return run_backtest(MARKET, config())


@pytest.fixture(scope="module")
def found(result: BacktestResult) -> Examination:
    """It, looked at."""
    return examine(MARKET, result, surrogates=5, seed=3)


def test_everything_is_looked_at(result: BacktestResult, found: Examination) -> None:
    assert {finding.severity for finding in found.findings} <= {"severe", "warning"}
    assert found.findings
    assert found.ranges["sharpe"].value == pytest.approx(result.metrics.sharpe)
    assert set(found.orders["method"]) == {"actual", "shuffled", "resampled"}
    assert isinstance(found.null, NullPlace)
    assert len(found.null.surrogates) == 5
    assert found.null.value == result.metrics.sharpe


def test_the_same_seed_finds_the_same(result: BacktestResult, found: Examination) -> None:
    again = examine(MARKET, result, surrogates=5, seed=3)
    assert again.null == found.null
    assert again.ranges == found.ranges
    assert again.orders.equals(found.orders)


def test_the_report_has_its_numbers(found: Examination, tmp_path: Path) -> None:
    page, numbers = found.report(MARKET).write(tmp_path)
    told = json.loads(numbers.read_text(encoding="utf-8"))
    assert found.result.fingerprint in numbers.read_text(encoding="utf-8")
    assert found.result.fingerprint in page.read_text(encoding="utf-8")
    assert told


def test_where_every_bar_could_tell_the_band_is_one_number() -> None:
    asked = config(trade=("1m",), sub={})
    sure = run_backtest({ONE.series("1m"): MARKET[ONE.series("1m")]}, asked)
    assert sure.guesses == 0
    assert band_of(MARKET, sure) == (sure.metrics.net_pnl, sure.metrics.net_pnl)


def test_the_band_spans_both_policies() -> None:
    near = EAGER.model_copy(update={"targets": ((0.3, 0.5), (0.5, 0.5)), "slippage": 0.0, "reward": 0.0})
    asked = config(sub={}, profile=near)
    worst = run_backtest(COARSE, asked)
    assert worst.guesses > 0
    best = run_backtest(COARSE, replace(asked, ambiguity="target"))
    assert best.metrics.net_pnl != worst.metrics.net_pnl
    expected = tuple(sorted((worst.metrics.net_pnl, best.metrics.net_pnl)))
    assert band_of(COARSE, worst) == expected
    assert band_of(COARSE, best) == expected


def test_a_fill_is_stale_where_nothing_was_traded_on_either_side(result: BacktestResult) -> None:
    assert not stale_fills(MARKET, result).any()
    at: datetime = result.fills["ts"][0]
    tf = result.trades["tf"][0]
    around = pl.col("open_time").is_between(at - timedelta(minutes=15), at)
    still = {
        key: frame.with_columns(volume=pl.when(around).then(0.0).otherwise(pl.col("volume")))
        for key, frame in MARKET.items()
    }
    flags = stale_fills(still, result)
    assert flags[0]
    assert flags.sum() < flags.size
    one_side = {
        key: frame.with_columns(volume=pl.when(pl.col("open_time") == at).then(0.0).otherwise(pl.col("volume")))
        for key, frame in MARKET.items()
    }
    assert not stale_fills(one_side, result)[0]
    assert tf in {"1m", "15m"}

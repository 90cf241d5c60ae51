"""The stationary bootstrap: its blocks, its coverage, and the laws of an interval."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.bootstrap import blocks, drawn_rows, intervals
from backtest.metrics import StatisticsRefused, metrics_of
from tests.backtest.results import HUNDREDTHS, days_of, trades_of

NAMES = {"sharpe", "max_drawdown", "expectancy_r", "profit_factor"}


def _grown(returns: np.ndarray) -> pl.DataFrame:
    return days_of((1000 * np.cumprod(1 + returns)).tolist())


def _sample(seed: int, *, days: int = 250, trades: int = 120) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(seed)
    return trades_of(rng.normal(0.1, 1.2, trades).tolist()), _grown(rng.normal(0.001, 0.02, days))


def test_blocks_fill_every_draw_exactly() -> None:
    starts, lengths = blocks(50, 400, np.random.default_rng(1))
    assert lengths.min() >= 0
    assert set(lengths.sum(axis=1).tolist()) == {50}
    assert starts.min() == 0
    assert starts.max() == 49


def test_blocks_have_a_geometric_length_with_the_cube_root_as_mean() -> None:
    # 27,000 things: a mean of 30, of which a block longer than 30 has probability (29/30)^30 = 0.3617. The last block
    # of a draw is cut, one in 900.
    _, lengths = blocks(27_000, 100, np.random.default_rng(2))
    full = lengths[lengths > 0]
    assert full.mean() == pytest.approx(30, rel=0.02)
    assert (full > 30).mean() == pytest.approx(0.3617, abs=0.01)


def test_blocks_that_are_too_few_at_first_are_made_more() -> None:
    class Short:
        """Draws blocks of length 1 only, whatever the mean."""

        def geometric(self, _p: float, shape: tuple[int, int]) -> np.ndarray:
            return np.ones(shape, np.int64)

        def integers(self, high: int, *, size: tuple[int, int]) -> np.ndarray:
            return np.full(size, high - 1)

    _, lengths = blocks(1000, 3, Short())  # type: ignore[arg-type] # the two calls that are made
    assert set(lengths.sum(axis=1).tolist()) == {1000}


def test_rows_follow_each_other_within_a_block_and_wrap_at_the_end() -> None:
    # Of five things: 3 4 0, then 1 2; and 4, 0, 2 3 4 (a block of length 0 leaves no trace).
    starts, lengths = np.array([[3, 1, 2], [4, 0, 2]]), np.array([[3, 2, 0], [1, 1, 3]])
    assert drawn_rows(starts, lengths, 5).tolist() == [[3, 4, 0, 1, 2], [4, 0, 2, 3, 4]]


def test_every_thing_is_drawn_equally_often() -> None:
    starts, lengths = blocks(40, 20_000, np.random.default_rng(3))
    counts = np.bincount(drawn_rows(starts, lengths, 40).ravel(), minlength=40)
    assert counts / 20_000 == pytest.approx(np.ones(40), abs=0.06)


def test_the_values_are_those_of_the_metrics() -> None:
    trades, equity = _sample(4)
    metrics = metrics_of(trades, equity, capital=1000.0, max_drawdown=0.0, open_share=0.0, turnover=0.0)
    found = intervals(trades, equity, seed=1, capital=1000.0)
    assert set(found) == NAMES
    for name in ("sharpe", "expectancy_r", "profit_factor"):
        assert found[name].value == getattr(metrics, name)
    growth = np.concatenate(([1000.0], equity["equity"].to_numpy()))
    assert found["max_drawdown"].value == pytest.approx((1 - growth / np.maximum.accumulate(growth)).max())


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    trades, equity = _sample(5)
    assert intervals(trades, equity, seed=1) == intervals(trades, equity, seed=1)
    one, other = intervals(trades, equity, seed=1), intervals(trades, equity, seed=2)
    assert all(one[name].low != other[name].low for name in NAMES)


def test_independent_trades_have_the_interval_of_the_central_limit() -> None:
    # 4,000 draws from a normal: mean ± 1.96 s / √n. Blocks of independent values change the width by their noise alone.
    r = np.random.default_rng(6).normal(0.2, 1.0, 4000)
    found = intervals(trades_of(r.tolist()), days_of([1000.0]), seed=3, draws=4000)["expectancy_r"]
    half = 1.96 * r.std(ddof=1) / math.sqrt(4000)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * half, rel=0.12)
    assert (found.high + found.low) / 2 == pytest.approx(r.mean(), abs=0.1 * half)


def test_independent_days_have_the_interval_of_the_sharpe_ratio_s_own_deviation() -> None:
    # Lo (2002): √((1 + SR²/2) / T) for one of a day; 1.96 of them to each side, by the year.
    returns = np.random.default_rng(12).normal(0.002, 0.02, 1500)
    found = intervals(trades_of([]), _grown(returns), seed=5, draws=4000, capital=1000.0)["sharpe"]
    daily = returns.mean() / returns.std(ddof=1)
    half = 1.96 * math.sqrt((1 + daily**2 / 2) / 1500 * 365)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * half, rel=0.12)
    assert (found.high + found.low) / 2 == pytest.approx(daily * math.sqrt(365), abs=0.1 * half)


def test_losses_that_cluster_widen_the_interval() -> None:
    # The same trades, once in clusters of twenty and once mixed: independent draws would see no difference.
    rng = np.random.default_rng(7)
    levels = np.repeat(rng.normal(0, 1, 100), 20) + rng.normal(0, 0.3, 2000)
    found = [
        intervals(trades_of(values.tolist()), days_of([1000.0]), seed=4)["expectancy_r"]
        for values in (levels, rng.permutation(levels))
    ]
    clustered, mixed = (float(one.high or 0) - float(one.low or 0) for one in found)
    assert clustered > 2 * mixed


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # 200 results of 100 independent trades with expectancy 0: at 90 % about 180 contain it; percentile intervals of so
    # few trades are known to be a little short, six standard deviations of the count are 25.
    covered = 0
    for seed in range(200):
        r = np.random.default_rng([8, seed]).normal(0, 1, 100)
        found = intervals(trades_of(r.tolist()), days_of([1000.0]), seed=seed, draws=400, level=0.9)["expectancy_r"]
        covered += (found.low or 0) <= 0 <= (found.high or 0)
    assert 155 <= covered <= 198


def test_the_sharpe_interval_covers_the_truth_too() -> None:
    # Mean 0.001, deviation 0.02: 0.05 a day.
    truth, covered = 0.05 * math.sqrt(365), 0
    for seed in range(100):
        equity = _grown(np.random.default_rng([9, seed]).normal(0.001, 0.02, 365))
        found = intervals(trades_of([]), equity, seed=seed, draws=400, capital=1000.0, level=0.9)["sharpe"]
        covered += (found.low or 0) <= truth <= (found.high or 0)
    assert 75 <= covered <= 99


def test_a_result_that_hardly_ever_lost_has_no_upper_bound_of_its_profit_factor() -> None:
    found = intervals(trades_of([1.0] * 30 + [-1.0]), days_of([1000.0]), seed=1)["profit_factor"]
    assert found.value == 30
    assert found.low is not None
    assert found.low < 30
    assert found.high is None


def test_trades_that_moved_nothing_are_even() -> None:
    found = intervals(trades_of([0.0] * 5), days_of([1000.0]), seed=1)["profit_factor"]
    assert (found.value, found.low, found.high) == (None, 1.0, 1.0)


def test_days_that_moved_nothing_have_a_sharpe_ratio_of_zero_and_equal_ones_none() -> None:
    still = intervals(trades_of([]), days_of([1000.0] * 10), seed=1, capital=1000.0)["sharpe"]
    assert (still.value, still.low, still.high) == (None, 0.0, 0.0)
    steady = intervals(trades_of([]), days_of([1000 * 1.01**k for k in range(1, 11)]), seed=1, capital=1000.0)["sharpe"]
    assert (steady.value, steady.low, steady.high) == (None, None, None)
    nearly = intervals(trades_of([]), _grown(0.01 + 1e-5 * np.sin(np.arange(40))), seed=1, capital=1000.0)["sharpe"]
    assert None not in (nearly.value, nearly.low, nearly.high)


def test_nothing_to_draw_from_leaves_no_bounds() -> None:
    found = intervals(trades_of([0.5]), days_of([]), seed=1)
    assert found["expectancy_r"].value == 0.5
    assert {found[name].low for name in NAMES} == {found[name].high for name in NAMES} == {None}
    assert found["max_drawdown"].value is None


@pytest.mark.parametrize(("draws", "level"), [(99, 0.95), (1000, 0.0), (1000, 1.0), (1000, math.nan)])
def test_impossible_questions_are_refused(draws: int, level: float) -> None:
    with pytest.raises(StatisticsRefused, match="at least 100 draws and a level between 0 and 1"):
        intervals(trades_of([1.0, -1.0]), days_of([1000.0]), seed=1, draws=draws, level=level)


def test_many_trades_are_drawn_in_batches_without_a_change_of_the_result() -> None:
    # A draw of 3,000 days does not fit the others in one batch; its statistics are checked against drawing it alone.
    trades, equity = _sample(10, days=3000, trades=10)
    found = intervals(trades, equity, seed=11, draws=700, level=0.5, capital=1000.0)["max_drawdown"]
    returns = np.diff(equity["equity"].to_numpy(), prepend=1000.0) / np.array([1000.0, *equity["equity"][:-1]])
    of_days, _ = (np.random.default_rng(part) for part in np.random.SeedSequence(11).spawn(2))
    starts, lengths = blocks(3000, 700, of_days)
    depths = []
    for row in range(700):
        path = np.cumprod(1 + returns[drawn_rows(starts[row : row + 1], lengths[row : row + 1], 3000)[0]])
        depths.append(float((1 - path / np.maximum(np.maximum.accumulate(path), 1)).max()))
    ranked = sorted(depths)
    # Ranks 0.25 · 699 = 174.75 downward and 0.75 · 699 = 524.25 upward.
    assert [found.low, found.high] == pytest.approx([ranked[174], ranked[525]])


_rs = st.lists(st.floats(-2, 3), max_size=30)


@settings(deadline=None, max_examples=30)
@given(_rs, st.lists(st.floats(-0.3, 0.3), max_size=30), st.integers(0, 1000))
def test_intervals_are_in_order_nested_and_json(r: list[float], steps: list[float], seed: int) -> None:
    trades, equity = trades_of(r), _grown(np.array(steps))
    wide, narrow = (intervals(trades, equity, seed=seed, draws=100, level=level) for level in (0.95, 0.5))
    json.dumps({name: one.to_dict() for name, one in wide.items()}, allow_nan=False)
    for name in NAMES:
        bounds = [wide[name].low, narrow[name].low, narrow[name].high, wide[name].high]
        known = [bound for bound in bounds if bound is not None]
        assert known == sorted(known)


@settings(deadline=None, max_examples=30)
@given(st.lists(HUNDREDTHS, min_size=2, max_size=30), st.sampled_from([0.25, 4.0, 1024.0]))
def test_the_currency_does_not_matter_and_r_scales(r: list[float], factor: float) -> None:
    one = intervals(trades_of(r), days_of([1000.0, 1010, 990, 1000]), seed=1, draws=100)
    scaled = trades_of([factor * value for value in r])
    other = intervals(scaled, days_of([factor * value for value in (1000.0, 1010, 990, 1000)]), seed=1, draws=100)
    for name in ("sharpe", "max_drawdown", "profit_factor"):
        assert other[name] == one[name]
    assert other["expectancy_r"].high == factor * (one["expectancy_r"].high or 0)

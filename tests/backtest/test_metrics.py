"""Every metric against arithmetic that is written beside it, and the laws that hold whatever the numbers."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtest.metrics import Metrics, StatisticsRefused, daily_returns, metrics_of, profit_factor, sharpe_ratio
from tests.backtest.results import HUNDREDTHS, START, days_of, equity_of, trades_of

NO_TRADES = trades_of([])
GIVEN = {"capital": 1000.0, "max_drawdown": 0.1, "open_share": 0.25, "turnover": 8.0}


def metrics(trades: pl.DataFrame = NO_TRADES, equity: pl.DataFrame | None = None, /, **given: float) -> Metrics:
    return metrics_of(trades, days_of([1000.0]) if equity is None else equity, **(GIVEN | given))


def test_five_trades_by_hand() -> None:
    # Won 200 + 150 = 350, lost 100 + 100 = 200, one came out even.
    found = metrics(trades_of([2.0, -1.0, 0.0, 1.5, -1.0], fees=3.0, funding=-1.0))
    assert found.trades == 5
    assert found.win_rate == pytest.approx(2 / 5)
    assert found.profit_factor == pytest.approx(350 / 200)
    assert found.expectancy_r == pytest.approx(1.5 / 5)
    assert found.average_win_r == pytest.approx(1.75)
    assert found.average_loss_r == pytest.approx(-1.0)
    assert (found.best_r, found.worst_r) == (2.0, -1.0)
    assert found.net_pnl == pytest.approx(150)
    assert (found.fees, found.funding) == (15.0, -5.0)


def test_long_and_short_are_counted_apart() -> None:
    found = metrics(trades_of([2.0, -1.0, 0.5], sides=["LONG", "SHORT"]))
    assert (found.long_trades, found.long_pnl) == (2, 250.0)
    assert (found.short_trades, found.short_pnl) == (1, -100.0)


def test_the_share_of_ambiguous_trades_and_the_time_they_were_held() -> None:
    found = metrics(trades_of([1.0] * 4, ambiguous=[True, False, False, False], held=timedelta(minutes=90)))
    assert found.ambiguous_share == 0.25
    assert found.average_holding_hours == 1.5


@pytest.mark.parametrize(
    ("r", "streak"),
    [([], 0), ([1.0], 0), ([-1.0], 1), ([-1.0, -1, 1, -1, -1, -1], 3), ([-1, -1, 0, -1], 2), ([-1.0, -1, 1], 2)],
)
def test_a_losing_streak_ends_with_a_trade_that_lost_nothing(r: list[float], streak: int) -> None:
    assert metrics(trades_of(r)).losing_streak == streak


def test_what_the_loop_measured_is_passed_on() -> None:
    found = metrics()
    assert (found.capital, found.max_drawdown, found.exposure, found.turnover) == (1000.0, 0.1, 0.25, 8.0)


def test_daily_returns_end_at_midnight_utc() -> None:
    # Rows 20:00, 00:00, 04:00, 08:00: the second closes the first day.
    equity = equity_of([1000.0, 1100.0, 1200.0, 990.0], first=START + timedelta(hours=20), every=timedelta(hours=4))
    assert daily_returns(equity, capital=1000.0) == pytest.approx([0.1, -0.1])
    assert daily_returns(equity, capital=500.0) == pytest.approx([1.2, -0.1])
    assert daily_returns(equity) == pytest.approx([0.1, -0.1])


def test_a_first_row_without_capital_begins_the_curve_and_ends_no_day() -> None:
    equity = days_of([1000.0, 1100.0])
    assert daily_returns(equity) == pytest.approx([0.1])
    assert daily_returns(equity, capital=800.0) == pytest.approx([0.25, 0.1])


def test_a_day_without_a_row_returned_nothing() -> None:
    # Rows three days apart: +10 % on the fourth, two days of nothing before it.
    equity = equity_of([1000.0, 1100.0], first=START + timedelta(days=1), every=timedelta(days=3))
    assert daily_returns(equity, capital=1000.0) == pytest.approx([0, 0, 0, 0.1])


def test_no_day_follows_the_one_that_ruined_the_account() -> None:
    assert daily_returns(days_of([500.0, -10.0, 300.0]), capital=1000.0) == pytest.approx([-0.5, -1.02])
    assert daily_returns(days_of([500.0, 0.0, 300.0]), capital=1000.0) == pytest.approx([-0.5, -1])
    assert daily_returns(days_of([0.0, 10.0])).size == 0
    assert daily_returns(equity_of([0.0, 10.0])).size == daily_returns(equity_of([-1.0, 10.0])).size == 0
    assert daily_returns(equity_of([0.5, 10.0])) == pytest.approx([19])
    with pytest.raises(StatisticsRefused, match="capital"):
        daily_returns(days_of([10.0]), capital=0.0)


def test_the_ratios_of_four_days_by_hand() -> None:
    # Returns +2 %, −1 %, +3 %, 0: mean 0.01; away +.01 −.02 +.02 −.01, squares sum 10e-4; n − 1 = 3.
    equity = days_of([1020.0, 1020 * 0.99, 1020 * 0.99 * 1.03, 1020 * 0.99 * 1.03])
    found = metrics(NO_TRADES, equity)
    assert found.days == 4
    assert found.sharpe == pytest.approx(0.01 / math.sqrt(10e-4 / 3) * math.sqrt(365))
    # Below 0 there is −1 % alone: √(1e-4 / 4) = 0.005.
    assert found.sortino == pytest.approx(0.01 / 0.005 * math.sqrt(365))
    # Sorted −.01 0 .02 .03; rank 3 · 0.05 = 0.15 → −.0085; rank 2.85 → .02 + .85 · .01 = .0285.
    assert found.tail_ratio == pytest.approx(0.0285 / 0.0085)
    assert found.total_return == pytest.approx(1.02 * 0.99 * 1.03 - 1)


def test_a_year_of_365_days_is_its_own_annual_growth() -> None:
    found = metrics(NO_TRADES, days_of([*np.linspace(1000, 1200, 364).tolist(), 1210.0]), max_drawdown=0.07)
    assert found.cagr == pytest.approx(0.21)
    assert found.calmar == pytest.approx(3.0)


def test_a_fifth_of_a_year_compounds_five_times() -> None:
    # 73 days are a fifth of a year: 1.1⁵ = 1.61051.
    assert metrics(NO_TRADES, days_of([1000.0] * 72 + [1100.0])).cagr == pytest.approx(0.61051)


def test_less_than_thirty_days_are_not_stated_by_the_year() -> None:
    assert metrics(NO_TRADES, days_of([1010.0] * 29)).cagr is None
    assert metrics(NO_TRADES, days_of([1010.0] * 30)).cagr == pytest.approx(1.01 ** (365 / 30) - 1)


def test_an_account_that_is_gone_shrank_by_everything() -> None:
    found = metrics(NO_TRADES, days_of([500.0] * 40 + [-3.0]), max_drawdown=1.003)
    assert found.cagr == -1.0
    assert found.total_return == pytest.approx(-1.003)


def test_time_under_water_runs_from_the_peak_to_the_recovery() -> None:
    # Hours 1…8. Peak at 2, below it at 3 and 4, back at 5; peak at 6, below until the end at 8.
    assert metrics(NO_TRADES, equity_of([1000.0, 1100, 1050, 1090, 1100, 1200, 1199, 1199])).underwater_hours == 3
    # The second stretch longer: 4 … 9, not recovered.
    assert metrics(NO_TRADES, equity_of([1000.0, 999, 1000, 1100, 1, 2, 3, 4, 5])).underwater_hours == 5


def test_a_curve_that_begins_below_the_capital_is_under_water_from_one_sample_before() -> None:
    assert metrics(NO_TRADES, equity_of([990.0, 980, 1000])).underwater_hours == 3
    assert metrics(NO_TRADES, equity_of([1000.0, 1000, 1000])).underwater_hours == 0
    assert metrics(NO_TRADES, equity_of([1000.0, 999])).underwater_hours == 1
    assert metrics(NO_TRADES, equity_of([999.0, 999])).underwater_hours == 2


def test_nothing_at_all_has_no_ratios() -> None:
    found = metrics_of(NO_TRADES, equity_of([]), capital=1000.0, max_drawdown=0.0, open_share=0.0, turnover=0.0)
    numbers = {"capital", "max_drawdown", "underwater_hours", "exposure", "turnover", "fees", "funding", "net_pnl"}
    numbers |= {"days", "trades", "long_trades", "short_trades", "long_pnl", "short_pnl", "losing_streak"}
    assert {name for name, value in found.to_dict().items() if value is not None} == numbers
    assert found.days == found.trades == found.underwater_hours == 0


def test_a_ratio_beyond_a_float_is_none() -> None:
    assert profit_factor(np.array([100.0, -5e-324])) is None


def test_ratios_without_a_denominator_are_none() -> None:
    found = metrics(
        trades_of([1.0, 2.0]), days_of([1010.0, 1010 * 1.01, 1010 * 1.01**2] + [1100.0] * 40), max_drawdown=0
    )
    assert found.profit_factor is None
    assert found.average_loss_r is None
    assert found.sortino is None
    assert found.calmar is None
    assert found.tail_ratio is None  # most days returned 0, the 5th percentile with them


def test_returns_that_differ_by_rounding_alone_have_no_sharpe_ratio() -> None:
    steady = daily_returns(days_of([1000 * 1.01**k for k in range(1, 50)]), capital=1000.0)
    assert np.ptp(steady) > 0
    assert sharpe_ratio(steady) is None
    assert sharpe_ratio(np.array([0.1])) is None
    # Two days do differ: mean 0.02, deviation 0.01 √2.
    assert sharpe_ratio(np.array([0.01, 0.03])) == pytest.approx(math.sqrt(2 * 365))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capital": 0.0}, "capital"),
        ({"capital": math.inf}, "capital"),
        ({"max_drawdown": math.nan}, "max_drawdown"),
        ({"open_share": -0.1}, "open_share"),
        ({"turnover": math.inf}, "turnover"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(changes: dict[str, float], words: str) -> None:
    with pytest.raises(StatisticsRefused, match=words):
        metrics(**changes)


def test_frames_with_numbers_that_are_not_finite_are_refused_with_their_row() -> None:
    with pytest.raises(StatisticsRefused, match=r"`equity`.*row 1"):
        metrics(NO_TRADES, days_of([1000.0, math.nan]))
    with pytest.raises(StatisticsRefused, match=r"`pnl`.*row 2 is inf"):
        metrics(trades_of([1.0, 1, 1], pnl=[1.0, 2.0, math.inf]))
    with pytest.raises(StatisticsRefused, match=r"`r`.*row 0 is None"):
        metrics(trades_of([1.0]).with_columns(r=pl.lit(None, pl.Float64)))


_steps = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=60)
_rs = st.lists(st.floats(-3, 5), max_size=40)


def _grown(steps: list[float]) -> list[float]:
    return [float(value) for value in 1000 * np.cumprod(1 + np.array(steps))]


@settings(deadline=None)
@given(_rs, _steps)
def test_every_number_is_finite_or_none_and_json(r: list[float], steps: list[float]) -> None:
    found = metrics(trades_of(r), days_of(_grown(steps)))
    told: dict[str, Any] = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told == found.to_dict()


@settings(deadline=None)
@given(_steps)
def test_daily_returns_multiply_to_the_whole(steps: list[float]) -> None:
    values = _grown(steps)
    equity = equity_of(values, every=timedelta(hours=7))
    assert np.prod(1 + daily_returns(equity, capital=1000.0)) == pytest.approx(values[-1] / 1000, rel=1e-9)


@settings(deadline=None)
@given(st.lists(HUNDREDTHS, max_size=40), _steps, st.sampled_from([2.0**-11, 8.0, 1024.0]))
def test_ratios_do_not_depend_on_the_currency(r: list[float], steps: list[float], factor: float) -> None:
    # Powers of two scale without rounding: everything but money must be the same to the bit.
    one = metrics(trades_of(r, fees=1.0), days_of(_grown(steps))).to_dict()
    other = metrics(
        trades_of(r, pnl=[100 * factor * value for value in r], fees=factor),
        days_of([factor * value for value in _grown(steps)]),
        capital=1000 * factor,
    ).to_dict()
    for name in ("capital", "net_pnl", "fees", "long_pnl", "short_pnl"):
        assert other.pop(name) == pytest.approx(factor * float(one.pop(name) or 0), rel=1e-12)
    assert other == one


@settings(deadline=None)
@given(_rs, st.randoms(use_true_random=False))
def test_the_order_of_trades_matters_to_streaks_alone(r: list[float], random: Any) -> None:  # noqa: ANN401 - of hypothesis
    mixed = list(r)
    random.shuffle(mixed)
    one, other = metrics(trades_of(r)).to_dict(), metrics(trades_of(mixed)).to_dict()
    for name in ("losing_streak",):
        del one[name], other[name]
    assert other == pytest.approx(one)


@settings(deadline=None)
@given(st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=50), st.floats(1.1, 3))
def test_leverage_scales_returns_and_leaves_the_sharpe_ratio(returns: list[float], factor: float) -> None:
    values = np.array(returns)
    assume(values.std() > 1e-6)
    assert sharpe_ratio(factor * values) == pytest.approx(sharpe_ratio(values), rel=1e-6, abs=1e-9)
    assert sharpe_ratio(-values) == pytest.approx(-(sharpe_ratio(values) or 0), rel=1e-6, abs=1e-9)


@given(st.lists(st.floats(0.1, 100), min_size=1), st.lists(st.floats(-100, -0.1), min_size=1))
def test_another_win_raises_the_profit_factor_and_another_loss_lowers_it(won: list[float], lost: list[float]) -> None:
    before = profit_factor(np.array(won + lost)) or 0
    assert (profit_factor(np.array([*won, *lost, 5.0])) or 0) > before
    assert (profit_factor(np.array([*won, *lost, -5.0])) or 0) < before

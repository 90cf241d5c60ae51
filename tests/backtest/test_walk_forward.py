"""Walk-forward: how time is cut, who is chosen, and that nothing of a test window is known when it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backtest import BacktestRefused, run_backtest
from backtest.trials import MemorySink, configured
from backtest.walk_forward import Scheme, Window, walk_forward
from backtest.windows import Market
from tests.backtest.markets import ONE, config, market

START = datetime(2022, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MARKET = {key: frame for key, frame in market(960).items() if key.instrument == ONE}  # ten days
SPACE = {"profile.reward": [0.5, 1.0, 900.0], "engine.fvg_min_atr": [0.2, 0.3]}
SCHEME = Scheme(train=4 * DAY, test=2 * DAY)


def test_rolling_windows_are_cut_as_by_hand() -> None:
    scheme = Scheme(train=4 * DAY, test=2 * DAY, purge=6 * HOUR, embargo=3 * HOUR)
    assert scheme.windows(START, START + 10 * DAY) == [
        Window(START, START + 4 * DAY - 6 * HOUR, START + 4 * DAY + 3 * HOUR, START + 6 * DAY + 3 * HOUR),
        Window(START + 2 * DAY, START + 6 * DAY - 6 * HOUR, START + 6 * DAY + 3 * HOUR, START + 8 * DAY + 3 * HOUR),
        Window(START + 4 * DAY, START + 8 * DAY - 6 * HOUR, START + 8 * DAY + 3 * HOUR, START + 10 * DAY),
    ]


def test_anchored_windows_all_begin_with_the_first_bar() -> None:
    scheme = Scheme(train=4 * DAY, test=2 * DAY, anchored=True)
    assert scheme.windows(START, START + 8 * DAY) == [
        Window(START, START + 4 * DAY, START + 4 * DAY, START + 6 * DAY),
        Window(START, START + 6 * DAY, START + 6 * DAY, START + 8 * DAY),
    ]


def test_a_rest_of_less_than_half_a_test_window_is_no_fold() -> None:
    assert len(SCHEME.windows(START, START + 8 * DAY + 23 * HOUR)) == 2
    assert SCHEME.windows(START, START + 9 * DAY)[-1].test_to == START + 9 * DAY


def test_each_fold_trades_its_test_window_with_what_was_best_before_it() -> None:
    sink = MemorySink()
    found = walk_forward(MARKET, config(), SPACE, scheme=SCHEME, study="one", sink=sink)
    assert len(found.folds) == 3
    assert found.evaluated == 3 * 6
    for number, fold in enumerate(found.folds):
        trials = list(sink.known(f"one/{number}"))
        assert len(trials) == 6
        best = max(trial.sharpe for trial in trials if trial.sharpe is not None)
        assert fold.trained.sharpe == best
        assert fold.chosen == fold.trained.params
        assert fold.chosen["profile.reward"] != 900.0  # which never trades
        asked = configured(config(), fold.chosen)
        whole = Market.read(MARKET, asked.params, sub=asked.sub)
        part = whole.between(fold.window.test_from, fold.window.test_to)
        alone = run_backtest(part.bars, asked, tables=part.tables)
        assert fold.tested.fingerprint == alone.fingerprint
        assert (fold.tested.start, fold.tested.until) == (fold.window.test_from, fold.window.test_to)
    assert found.returns.size == sum(fold.tested.daily_returns.size for fold in found.folds)
    assert found.total_return == pytest.approx(float(np.prod(1 + found.returns) - 1))
    earned = sum(fold.tested.metrics.net_pnl > 0 for fold in found.folds)
    assert found.passed == (found.total_return > 0 and earned >= 1.5)


def test_what_is_chosen_does_not_depend_on_the_test_window() -> None:
    found = walk_forward(MARKET, config(), SPACE, scheme=SCHEME, study="one", sink=MemorySink())
    first = found.folds[0].window
    # The first fold again, on bars whose test window was replaced by those of another market.
    other = market(960, seed=77)
    mixed = {
        key: frame.filter(frame["open_time"] < first.test_from).vstack(
            other[key].filter(other[key]["open_time"] >= first.test_from)
        )
        for key, frame in MARKET.items()
    }
    again = walk_forward(mixed, config(), SPACE, scheme=SCHEME, study="one", sink=MemorySink())
    assert again.folds[0].chosen == found.folds[0].chosen
    assert again.folds[0].trained.fingerprint == found.folds[0].trained.fingerprint
    assert again.folds[0].tested.fingerprint != found.folds[0].tested.fingerprint


def test_trials_that_are_known_are_not_made_again() -> None:
    sink = MemorySink()
    space = {"profile.reward": [0.5, 1.0]}
    one = walk_forward(MARKET, config(), space, scheme=SCHEME, study="one", sink=sink)
    again = walk_forward(MARKET, config(), space, scheme=SCHEME, study="one", sink=sink)
    assert (one.evaluated, again.evaluated) == (6, 0)
    assert [fold.tested.fingerprint for fold in again.folds] == [fold.tested.fingerprint for fold in one.folds]


@pytest.mark.parametrize(
    "lengths",
    [
        {"train": 2 * DAY, "test": timedelta(0)},
        {"train": 2 * DAY, "test": DAY, "purge": 2 * DAY},
        {"train": 2 * DAY, "test": DAY, "embargo": -DAY},
    ],
)
def test_a_scheme_that_cannot_be_is_refused(lengths: dict[str, timedelta]) -> None:
    with pytest.raises(BacktestRefused, match=r"a walk-forward needs .* train 2 days, purge .*, embargo −?\d+ days?$"):
        Scheme(**lengths)  # type: ignore[arg-type] # none of them is `anchored`


def test_bars_that_are_too_short_for_a_fold_are_refused() -> None:
    scheme = Scheme(train=9 * DAY, test=4 * DAY)
    sink = MemorySink()
    why = (
        "are too short for a fold of 11 days: 9 days to train and at least half of 4 days to test. Load more, or cut "
        "shorter windows (--train and --test of the command, train_days and test_days of the asset walk_forward_report)"
    )
    with pytest.raises(BacktestRefused, match=re.escape(why)) as refused:
        walk_forward(MARKET, config(), {"profile.reward": [1.0]}, scheme=scheme, study="one", sink=sink)
    assert sink.trials == {}
    assert "0:00:00" not in str(refused.value)

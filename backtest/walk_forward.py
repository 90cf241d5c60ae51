"""Walk-forward: parameters are chosen on the past, and tried on what came next, over and over.

Time is cut into test windows, one behind the other. Before each lies its training window: of a fixed length (rolling)
or from the first bar on (anchored). The last `purge` of a training window is cut off, since positions opened there end
in the time behind it, and a test window begins `embargo` after its training window. The best set of a training window
by its Sharpe ratio trades the test window; nothing of the test window is seen before that.

The engine is causal and runs over all bars once for each of its parameter sets: a window is traded with the state that
a live engine would have had. Accounts begin anew with each window; the curve of all test windows chains their returns.

    found = walk_forward(bars, config, {"profile.reward": [2, 3]}, scheme=Scheme(train=days(90), test=days(30)), …)
    found.folds, found.sharpe, found.passed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.config import BacktestRefused
from backtest.metrics import sharpe_ratio
from backtest.run import run_backtest, run_prepared, with_rules
from backtest.sweep import Space, grid
from backtest.trials import Params, Trial, TrialSink, configured, data_id_of, trial_id_of, trial_of
from backtest.windows import Market

if TYPE_CHECKING:
    import polars as pl

    from backtest.config import BacktestConfig
    from backtest.result import BacktestResult
    from contracts import SeriesKey

_NOTHING = timedelta(0)

# Test windows that must have earned something, of all, for a walk-forward to count as passed.
_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How time is cut.

    Attributes:
        train: Length of a training window; of an anchored one the least.
        test: Length of a test window, and the step from one to the next.
        anchored: Whether every training window begins with the first bar.
        purge: What is cut off the end of a training window.
        embargo: Time between a training window and its test window.

    Raises:
        BacktestRefused: A length makes no sense.
    """

    train: timedelta
    test: timedelta
    anchored: bool = False
    purge: timedelta = _NOTHING
    embargo: timedelta = _NOTHING

    def __post_init__(self) -> None:
        if self.train <= self.purge or self.test <= _NOTHING or min(self.purge, self.embargo) < _NOTHING:
            msg = (
                f"a walk-forward needs train > purge ≥ 0, test > 0, embargo ≥ 0; received train {self.train}, "
                f"purge {self.purge}, test {self.test}, embargo {self.embargo}"
            )
            raise BacktestRefused(msg)

    def windows(self, start: datetime, end: datetime) -> list[Window]:
        """The folds of [start, end); the last test window may be shorter, but not by half."""
        found = []
        opens = start + self.train + self.embargo
        while opens + self.test / 2 <= end:
            trained = opens - self.embargo
            first = start if self.anchored else trained - self.train
            found.append(Window(first, trained - self.purge, opens, min(opens + self.test, end)))
            opens += self.test
        return found


@dataclass(frozen=True, slots=True)
class Window:
    """One fold's time: trained in [train_from, train_to), tested in [test_from, test_to)."""

    train_from: datetime
    train_to: datetime
    test_from: datetime
    test_to: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What one fold chose, and what came of it.

    Attributes:
        window: Its time.
        chosen: The set that was best in training.
        trained: What it was there.
        tested: What it made of the test window.
    """

    window: Window
    chosen: Params
    trained: Trial
    tested: BacktestResult


@dataclass(frozen=True, slots=True, eq=False)
class WalkForward:
    """All folds.

    Attributes:
        folds: In the order of time.
        evaluated: How many trials were made on the way.
    """

    folds: Sequence[Fold]
    evaluated: int

    @property
    def returns(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Daily returns of all test windows, one behind the other."""
        return np.concatenate([fold.tested.daily_returns for fold in self.folds])

    @property
    def sharpe(self) -> float | None:
        """Of `returns`, by the year."""
        return sharpe_ratio(self.returns)

    @property
    def total_return(self) -> float:
        """What all test windows made together, as a fraction."""
        return float(np.prod(1.0 + self.returns) - 1.0)

    @property
    def efficiency(self) -> float | None:
        """Mean Sharpe ratio in the test windows ÷ that in training (Pardo 2008); None = not defined."""
        inside = [fold.trained.sharpe for fold in self.folds if fold.trained.sharpe is not None]
        outside = [fold.tested.metrics.sharpe for fold in self.folds if fold.tested.metrics.sharpe is not None]
        if not inside or not outside or np.mean(inside) <= 0:
            return None
        return float(np.mean(outside) / np.mean(inside))

    @property
    def passed(self) -> bool:
        """Whether the test windows together earned, and at least half of them did by themselves."""
        earned = [fold.tested.metrics.net_pnl > 0 for fold in self.folds]
        return bool(earned) and self.total_return > 0 and sum(earned) >= _SHARE * len(earned)


def walk_forward(
    bars: Mapping[SeriesKey, pl.DataFrame],
    config: BacktestConfig,
    space: Space,
    *,
    scheme: Scheme,
    study: str,
    sink: TrialSink,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> WalkForward:
    """Choose and test, fold by fold.

    Args:
        bars: See `run_backtest`.
        config: What the sets change.
        space: Values of each parameter; one value each = nothing is chosen, only tested.
        scheme: How time is cut.
        study: What trials are remembered under; each fold's are its own.
        sink: Where; trials that are known are not made again.
        told: Is told how many folds are done, and of how many.

    Raises:
        BacktestRefused: The bars are too short for one fold, or a set is refused; nothing was evaluated.
    """
    config = with_rules(bars, config)
    sets = grid(space)
    asked = [configured(config, params) for params in sets]
    data_id = data_id_of(bars, config)
    markets: dict[str, Market] = {}
    for one in asked:
        if one.params.hash not in markets:
            markets[one.params.hash] = Market.read(bars, one.params, sub=config.sub, traded=config.trade)
    whole = next(iter(markets.values()))
    windows = scheme.windows(whole.start, whole.end)
    if not windows:
        msg = (
            f"bars from {whole.start} to {whole.end} are too short to train for {scheme.train} and to test for "
            f"{scheme.test}: load more, or cut shorter windows"
        )
        raise BacktestRefused(msg)
    folds: list[Fold] = []
    evaluated = 0
    for number, window in enumerate(windows):
        of_fold = f"{study}/{number}"
        known = {trial.trial_id: trial for trial in sink.known(of_fold)}
        trials = []
        parts = {
            of: market.between(window.train_from, window.train_to).stretches(traded=config.trade)
            for of, market in markets.items()
        }
        for params, one in zip(sets, asked, strict=True):
            named = f"{data_id}|{window.train_from}|{window.train_to}"
            trial = known.get(trial_id_of(one, named))
            if trial is None:
                trial = trial_of(run_prepared(parts[one.params.hash], one), params, data_id=named)
                sink.record(of_fold, [trial])
                evaluated += 1
            trials.append(trial)
        best = max(range(len(sets)), key=lambda k: (_or_worst(trials[k].sharpe), -k))
        after = markets[asked[best].params.hash].between(window.test_from, window.test_to)
        tested = run_backtest(after.bars, asked[best], tables=after.tables)
        folds.append(Fold(window, sets[best], trials[best], tested))
        told(number + 1, len(windows))
    return WalkForward(folds, evaluated)


def _or_worst(sharpe: float | None) -> float:
    return float("-inf") if sharpe is None else sharpe

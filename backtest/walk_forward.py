"""Walk-forward: parameters are chosen on the past, and tried on what came next, over and over.

Time is cut into test windows, one behind the other. Before each lies its training window: of a fixed length (rolling)
or from the first bar on (anchored). The last `purge` of a training window is cut off, since positions opened there end
in the time behind it, and a test window begins `embargo` after its training window. The best set of a training window
by its Sharpe ratio trades the test window; nothing of the test window is seen before that.

The engine is causal and runs over all bars once for each of its parameter sets: a window is traded with the state that
a live engine would have had. Accounts begin anew with each window; the curve of all test windows chains their returns.

    found = walk_forward(bars, config, {"profile.reward": [2, 3]}, scheme=Scheme(train=days(90), test=days(30)), …)
    found.folds, found.sharpe, found.passed, found.write(folder)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backtest.config import BacktestRefused
from backtest.run import run_backtest, run_prepared, with_rules
from backtest.sweep import Space, grid
from backtest.trials import TrialSink, configured, data_id_of, trial_id_of, trial_of
from backtest.walked import Fold, WalkForward
from backtest.windows import Market

if TYPE_CHECKING:
    import polars as pl

    from backtest.config import BacktestConfig
    from contracts import SeriesKey

__all__ = ["Fold", "Scheme", "WalkForward", "Window", "walk_forward"]

_NOTHING = timedelta(0)


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
                f"a walk-forward needs train > purge ≥ 0, test > 0, embargo ≥ 0; received train "
                f"{_told(self.train)}, purge {_told(self.purge)}, test {_told(self.test)}, embargo "
                f"{_told(self.embargo)}"
            )
            raise BacktestRefused(msg)

    def to_dict(self) -> dict[str, int | bool]:
        """As JSON takes it: lengths in seconds."""
        return {
            name: value if isinstance(value, bool) else int(value / timedelta(seconds=1))
            for name, value in asdict(self).items()
        }

    @property
    def least(self) -> timedelta:
        """The shortest time that has a fold."""
        return self.train + self.embargo + self.test / 2

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
    begin = whole.start if config.start is None else max(whole.start, config.start)
    windows = scheme.windows(begin, whole.end)
    if not windows:
        msg = (
            f"bars from {begin:%Y-%m-%d %H:%M} to {whole.end:%Y-%m-%d %H:%M}, {_told(whole.end - begin)}, are too "
            f"short for a fold of {_told(scheme.least)}: {_told(scheme.train)} to train and at least half of "
            f"{_told(scheme.test)} to test. Load more, or cut shorter windows (--train and --test of the command, "
            "train_days and test_days of the asset walk_forward_report)"
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
    return WalkForward(
        folds=folds,
        evaluated=evaluated,
        config=config,
        space=space,
        scheme=scheme,
        study=study,
        start=begin,
        until=whole.end,
    )


def _told(span: timedelta) -> str:
    """A time for people, in days and hours."""
    if span < _NOTHING:
        return f"−{_told(-span)}"
    days, hours = span.days, round(span.seconds / 3_600, 1)
    parts = [f"{days:,} {'day' if days == 1 else 'days'}"] if days or not hours else []
    parts += [f"{hours:g} {'hour' if hours == 1 else 'hours'}"] if hours else []
    return " ".join(parts)


def _or_worst(sharpe: float | None) -> float:
    return float("-inf") if sharpe is None else sharpe

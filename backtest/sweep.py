"""Looking at many parameter sets, and at what it makes of the best of them.

A grid is looked at as a whole; a search (Optuna's, seeded) asks for sets by what the earlier ones gave. Every trial is
handed to the sink as it ends: a sweep that was killed goes on with those that are missing, and no trial counts twice.
What the best is worth after so many looks is told with it: its Sharpe ratio deflated by their number and spread, and
the probability that choosing by the past chooses badly (`backtest.overfitting`).

    found = sweep(bars, config, {"profile.reward": [2, 3, 4]}, study="reward", sink=sink, processes=2)
    found.best.params, found.deflated_sharpe, found.overfitting
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.config import BacktestRefused
from backtest.metrics import StatisticsRefused
from backtest.overfitting import Overfitting, TrackRecord, deflated_sharpe, overfitting_probability
from backtest.trials import Params, Trial, TrialSink, configured, trial_id_of
from backtest.workers import Workers

if TYPE_CHECKING:
    import polars as pl

    from backtest.config import BacktestConfig
    from contracts import SeriesKey

# Values of each parameter, by its name.
Space = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a study has found so far.

    Attributes:
        study: Its name.
        trials: All of it, those of earlier runs included, by their names.
        evaluated: How many of them this run evaluated.
        best: The greatest Sharpe ratio; None = it is defined for none.
        deflated_sharpe: Probability that the best's true Sharpe ratio is above what the best of so many trials
            without any skill would show; None = not defined.
        overfitting: By combinatorially symmetric cross-validation; None = too few days or trials.
    """

    study: str
    trials: Sequence[Trial]
    evaluated: int
    best: Trial | None
    deflated_sharpe: float | None
    overfitting: Overfitting | None


def sweep(
    bars: Mapping[SeriesKey, pl.DataFrame],
    config: BacktestConfig,
    space: Space,
    *,
    study: str,
    sink: TrialSink,
    processes: int = 1,
    draws: int | None = None,
    seed: int = 0,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> SweepResult:
    """Evaluate parameter sets, and remember each.

    Args:
        bars: See `run_backtest`.
        config: What they change.
        space: Values of each parameter.
        study: What the trials are remembered under.
        sink: Where.
        processes: How many evaluate.
        draws: How many sets a search looks at; None = the whole grid.
        seed: Of the search.
        told: Is told how many are done, and of how many.

    Raises:
        BacktestRefused: The space is empty, or a name or value in it is refused; nothing was evaluated.
    """
    sets: list[Params] = list(grid(space)) if draws is None else []
    # Of a search nobody knows yet which sets it will ask for: each value is looked at by itself.
    for params in sets or [{name: value} for name, values in space.items() for value in values]:
        configured(config, params)
    with Workers(bars, config, processes=processes) as workers:
        known = {trial.trial_id: trial for trial in sink.known(study)}
        missing = [one for one in sets if trial_id_of(configured(workers.config, one), workers.data_id) not in known]
        done, total = len(sets) - len(missing), len(sets)
        asked: Iterator[list[Params]] = iter([missing])
        if draws is not None:
            total, done = draws, 0
            asked = _searched(space, draws=draws, seed=seed, known=known, workers=workers)
        evaluated = 0
        for some in asked:
            for part in workers.trials(some):
                sink.record(study, part)
                known |= {trial.trial_id: trial for trial in part}
                evaluated += len(part)
                told(done + evaluated, total)
    return judged(study, list(known.values()), evaluated=evaluated)


def grid(space: Space) -> list[dict[str, Any]]:
    """Every combination of the values.

    Raises:
        BacktestRefused: There is none.
    """
    if not space or not all(len(values) for values in space.values()):
        msg = f"a sweep needs a parameter with at least one value, received {dict(space)}"
        raise BacktestRefused(msg)
    return [dict(zip(space, values, strict=True)) for values in product(*space.values())]


def judged(study: str, trials: Sequence[Trial], *, evaluated: int = 0) -> SweepResult:
    """What the trials of a study are worth together."""
    ordered = sorted(trials, key=lambda trial: trial.trial_id)
    scored = [trial for trial in ordered if trial.sharpe is not None]
    best = max(scored, key=lambda trial: (trial.sharpe or 0.0, trial.trial_id), default=None)
    deflated, overfitting = None, None
    if best is not None and len(scored) > 1:
        sharpes = np.array([_daily_sharpe(trial) for trial in scored])
        record = _defined(lambda: TrackRecord.of(np.array(best.returns)))
        if record is not None:
            deflated = _defined(
                lambda: deflated_sharpe(record, variance=float(sharpes.var(ddof=1)), trials=len(ordered))
            )
        days = {len(trial.returns) for trial in scored}
        if len(days) == 1:
            overfitting = _defined(
                lambda: overfitting_probability(np.array([trial.returns for trial in scored], np.float64).T)
            )
    return SweepResult(study, ordered, evaluated, best, deflated, overfitting)


def _daily_sharpe(trial: Trial) -> float:
    returns = np.array(trial.returns)
    return float(returns.mean() / returns.std(ddof=1))


def _defined(statistic: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the statistic gives
    """A statistic, or None where it has none for these data."""
    try:
        return statistic()
    except StatisticsRefused:
        return None


def _searched(
    space: Space, *, draws: int, seed: int, known: dict[str, Trial], workers: Workers
) -> Iterator[list[Params]]:
    """Sets that Optuna asks for, a handful at a time; what became of them is told back.

    Its sampler learns from what this run evaluated and from what was known before, in the order of trial ids.
    """
    import optuna

    grid(space)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.CategoricalDistribution(list(values)) for name, values in space.items()
    }
    search = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    left = draws
    while left > 0:
        asked = [search.ask(distributions) for _ in range(min(left, _TOGETHER))]
        left -= len(asked)
        names = [trial_id_of(configured(workers.config, one.params), workers.data_id) for one in asked]
        fresh = {name: one.params for name, one in zip(names, asked, strict=True) if name not in known}
        yield list(fresh.values())
        for name, one in zip(names, asked, strict=True):
            sharpe = known[name].sharpe
            search.tell(one, _WORST if sharpe is None else sharpe)


_TOGETHER = 8
_WORST = -1e3

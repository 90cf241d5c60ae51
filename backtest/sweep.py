"""Looking at many parameter sets, and at what it makes of the best of them.

A grid is looked at as a whole; a search (Optuna's, seeded) asks for sets by what the earlier ones gave. Every trial is
handed to the sink as it ends: a sweep that was killed goes on with those that are missing, and no trial counts twice.
What the best is worth after so many looks is told with it (`backtest.studies`).

Invariant: before anything is evaluated, the space can be and the bars are those of the study.

    found = sweep(bars, config, {"profile.reward": [2, 3, 4]}, study="reward", sink=sink, processes=2)
    found.best.params, found.deflated_sharpe, found.overfitting
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from backtest.config import BacktestRefused
from backtest.studies import Ground, SweepResult, bound, judged
from backtest.trials import Naming, Params, Trial, TrialSink, configured, place_of
from backtest.workers import WorkerLost, Workers

if TYPE_CHECKING:
    import polars as pl

    from backtest.config import BacktestConfig
    from contracts import SeriesKey

__all__ = ["Space", "SweepResult", "grid", "sweep"]

# Values of each parameter, by its name.
Space = Mapping[str, Sequence[Any]]

# Of a space with no more sets than these, a search looks at each before it evaluates one.
_SMALL = 10_000

_TOGETHER = 8
_WORST = -1e3


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
        told: Is told how many sets are done, and of how many.

    Raises:
        BacktestRefused: The study has no name or stands on other bars, the space is empty, or a name, value or set in
            it is refused; nothing was evaluated. In a search of more than 10,000 sets one that is refused is passed
            over; it is an error only where every set was.
        WorkerLost: A process ended before its work did; what was done is remembered.
    """
    if not study.strip():
        msg = "a study needs a name: trials are remembered under it"
        raise BacktestRefused(msg)
    _check(space)
    with Workers(bars, config, processes=processes) as workers:
        known = list(sink.known(study))
        bound(study, known, Ground.of(bars, config, data_id=workers.data_id))
        looking = _Looking(study, sink, workers, {trial.trial_id: trial for trial in known})
        if draws is None:
            looking.at_all(grid(space), told)
        else:
            looking.at_drawn(space, draws=draws, seed=seed, told=told)
        return judged(study, list(looking.known.values()), evaluated=looking.evaluated, refused=looking.refused)


def grid(space: Space) -> list[dict[str, Any]]:
    """Every combination of the values.

    Raises:
        BacktestRefused: There is none, a name is none, or a value stands there twice.
    """
    _check(space)
    return [dict(zip(space, values, strict=True)) for values in product(*space.values())]


@dataclass(slots=True)
class _Looking:
    """A sweep under way.

    Attributes:
        study: What its trials are remembered under.
        sink: Where.
        workers: Evaluate.
        known: The trials of the study by name, the first one first.
        evaluated: How many of them this sweep evaluated.
        refused: What was said of sets that cannot be.
    """

    study: str
    sink: TrialSink
    workers: Workers
    known: dict[str, Trial]
    evaluated: int = 0
    refused: list[str] = field(default_factory=list)
    _naming: Naming = field(init=False)
    _waiting: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._naming = Naming.of(self.workers.config, self.workers.data_id)

    def at_all(self, sets: Sequence[Params], told: Callable[[int, int], None]) -> None:
        """Evaluate these sets, but for those that are known."""
        named = {self._name(params): params for params in sets}
        missing = [params for name, params in named.items() if name not in self.known]
        self._evaluate(missing, lambda: told(len(sets) - len(missing) + self.evaluated, len(sets)))

    def at_drawn(self, space: Space, *, draws: int, seed: int, told: Callable[[int, int], None]) -> None:
        """Evaluate sets that Optuna asks for, a handful at a time, but for those that are known.

        Its sampler hears what became of each set it asked for, and of nothing else; of a set that is known, what it
        gave before. So the same search asks for the same sets each time, and one that was killed goes on.
        """
        import optuna

        if math.prod(map(len, space.values())) <= _SMALL:
            for params in grid(space):
                configured(self.workers.config, params)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Places, not values: a value may be a list.
        places: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(range(len(values))) for name, values in space.items()
        }
        search = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        done = 0
        while done < draws:
            asked = [search.ask(places) for _ in range(min(draws - done, _TOGETHER))]
            named = [self._drawn({name: space[name][one.params[name]] for name in space}) for one in asked]
            fresh = {name: params for name, params in filter(None, named) if name not in self.known}
            self._evaluate(list(fresh.values()))
            for one, drawn in zip(asked, named, strict=True):
                if drawn is None:
                    search.tell(one, state=optuna.trial.TrialState.PRUNED)
                else:
                    sharpe = self.known[drawn[0]].sharpe
                    search.tell(one, _WORST if sharpe is None else sharpe)
            done += len(asked)
            told(done, draws)
        if len(self.refused) == draws:
            msg = f"not one of {draws} sets that were drawn can be: {self.refused[0]}"
            raise BacktestRefused(msg)

    def _drawn(self, params: Params) -> tuple[str, Params] | None:
        """A set with its name; None = it cannot be."""
        try:
            return self._name(params), params
        except BacktestRefused as error:
            self.refused.append(str(error))
            return None

    def _name(self, params: Params) -> str:
        return self._naming.trial_id(configured(self.workers.config, params))

    def _evaluate(self, sets: Sequence[Params], told: Callable[[], None] = lambda: None) -> None:
        """Evaluate sets and remember them part by part; interrupted, what is done is remembered first."""
        try:
            for part in self.workers.trials(sets):
                self._keep(part)
                told()
        except (KeyboardInterrupt, WorkerLost):
            for part in self.workers.finished():
                self._waiting += part
            self._keep([])
            raise

    def _keep(self, part: Sequence[Trial]) -> None:
        self._waiting += part
        if self._waiting:
            self.sink.record(self.study, self._waiting)
            self.known |= {trial.trial_id: trial for trial in self._waiting}
            self.evaluated += len(self._waiting)
            self._waiting = []


def _check(space: Space) -> None:
    if not space or not all(len(values) for values in space.values()):
        msg = f"a sweep needs a parameter with at least one value, received {dict(space)}"
        raise BacktestRefused(msg)
    for name, values in space.items():
        place_of(name)
        twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if twice is not None:
            msg = f"{name} has the value {twice} twice, received {list(values)}: name each value once"
            raise BacktestRefused(msg)

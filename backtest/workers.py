"""Many backtests of the same bars at once: processes that hold the bars and are told what differs.

The bars travel once, when a worker begins; it compiles nothing, for the kernels are in their cache. With one process
everything happens in this one.

    with Workers(bars, config, processes=2) as workers:
        for trial in workers.trials(sets): ...
        values = workers.surrogates(range(100), measure="sharpe")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Self

from backtest.run import run_backtest, run_prepared, with_rules
from backtest.surrogates import surrogate
from backtest.trials import Params, Trial, configured, data_id_of, trial_of
from backtest.windows import Market

if TYPE_CHECKING:
    from types import TracebackType

    import polars as pl

    from backtest.config import BacktestConfig
    from backtest.market import Stretch
    from contracts import SeriesKey

_AT_ONCE = 8  # sets a worker is given together: fewer journeys between processes


@dataclass(slots=True)
class _Place:
    """What a worker holds: bars, what sets change, and what the last engine parameters made of the bars."""

    bars: Mapping[SeriesKey, pl.DataFrame]
    config: BacktestConfig
    data_id: str
    stretches: Mapping[SeriesKey, Stretch] = field(default_factory=dict)
    of: str = ""

    def trial(self, params: Params) -> Trial:
        asked = configured(self.config, params)
        if self.of != asked.params.hash:  # sets that differ in the profile alone share what the engine made
            market = Market.read(self.bars, asked.params, sub=asked.sub, traded=asked.trade)
            self.stretches, self.of = market.stretches(traded=asked.trade), asked.params.hash
        return trial_of(run_prepared(self.stretches, asked), params, data_id=self.data_id)

    def surrogate(self, seed: int, measure: str) -> float | None:
        result = run_backtest(surrogate(self.bars, seed=seed), self.config)
        value: float | None = result.metrics.to_dict()[measure]
        return value


def _of_engine(params: Params) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(params.items()) if name.startswith("engine.")]


_places: list[_Place] = []


def _begin(bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig, data_id: str) -> None:
    _places[:] = [_Place(bars, config, data_id)]


def _trials(sets: Sequence[Params]) -> list[Trial]:
    return [_places[0].trial(params) for params in sets]


def _surrogate(seed: int, measure: str) -> float | None:
    return _places[0].surrogate(seed, measure)


class Workers:
    """A pool that evaluates parameter sets and surrogates of one market.

    Args:
        bars: By series.
        config: What is changed.
        processes: How many; 1 = this one.
    """

    def __init__(self, bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig, *, processes: int) -> None:
        self.config = with_rules(bars, config)
        self.data_id = data_id_of(bars, config)
        given = (bars, self.config, self.data_id)
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            # Threads of polars do not survive a fork.
            self._pool = ProcessPoolExecutor(
                processes, mp_context=get_context("spawn"), initializer=_begin, initargs=given
            )
        self._here = _Place(*given)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def trials(self, sets: Iterable[Params]) -> Iterator[list[Trial]]:
        """Evaluate sets; they come back some at a time, as they are done."""
        # Sets of the same engine parameters stand together: each worker runs the engine once for those it is given.
        waiting = sorted(sets, key=_of_engine)
        parts = [waiting[first : first + _AT_ONCE] for first in range(0, len(waiting), _AT_ONCE)]
        if self._pool is None:
            for part in parts:
                yield [self._here.trial(params) for params in part]
            return
        running: set[Future[list[Trial]]] = set()
        left = iter(parts)
        for part in left:
            running.add(self._pool.submit(_trials, part))
            if len(running) >= 2 * self._processes:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def surrogates(self, seeds: Iterable[int], *, measure: str) -> Iterator[float | None]:
        """What each surrogate's result has of one metric, in the order of seeds, as they are done."""
        if self._pool is None:
            yield from (self._here.surrogate(seed, measure) for seed in seeds)
            return
        futures = [self._pool.submit(_surrogate, seed, measure) for seed in seeds]
        for future in futures:
            yield future.result()

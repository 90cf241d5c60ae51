"""Many backtests of the same bars at once: processes that hold the bars and are told what differs.

The bars travel once, when a worker begins; it compiles nothing, for the kernels are in their cache. With one process
everything happens in this one. Results come back as they are done, a few at a time.

Invariant: no worker outlives the process that began it, however that ended; Ctrl-C reaches that process alone. What is
done when it is interrupted is not lost: `finished` hands it over.

    with Workers(bars, config, processes=2) as workers:
        for trials in workers.trials(sets): ...
        values = workers.surrogates(range(100), measure="sharpe")
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from backtest.run import run_backtest, run_prepared, with_rules
from backtest.surrogates import surrogate
from backtest.trials import Params, Trial, configured, data_id_of, trial_of
from backtest.windows import Market
from contracts import Rejected

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event
    from types import TracebackType

    import polars as pl

    from backtest.config import BacktestConfig
    from backtest.market import Stretch
    from contracts import SeriesKey

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Most sets a worker is given together: fewer journeys between processes, and fewer rounds of the engine. The first are
# given one by one, and no more at a time than are done this soon.
_AT_ONCE = 8
_SOON_S = 1.0


class WorkerLost(Rejected):
    """A worker process ended before its work did."""


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
        made = surrogate(self.bars, seed=seed, traded=self.config.trade or ())
        result = run_backtest(made, self.config)
        value: float | None = result.metrics.to_dict()[measure]
        return value


def _of_engine(params: Params) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(params.items()) if name.startswith("engine.")]


@dataclass(slots=True)
class _Here:
    """What a worker process knows of itself."""

    place: _Place
    stopped: Event


_here: list[_Here] = []


def _begin(bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig, data_id: str, stopped: Event) -> None:
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    _here[:] = [_Here(_Place(bars, config, data_id), stopped)]


def _nothing() -> None:
    pass


def _end_with_parent() -> None:
    # Killed, it tells nobody; a worker that waits for work would wait for ever.
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _trials(sets: Sequence[Params]) -> tuple[list[Trial], float]:
    """The trials of these sets, of fewer where they are wanted no longer, and how many seconds they took."""
    [here] = _here
    began = time.monotonic()
    found = [here.place.trial(params) for params in sets if not here.stopped.is_set()]
    return found, time.monotonic() - began


def _surrogate(seed: int, measure: str) -> float | None:
    [here] = _here
    return here.place.surrogate(seed, measure)


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
        self._place = _Place(*given)
        self._ready: list[Trial] = []  # done, and not handed over
        self._running: set[Future[tuple[list[Trial], float]]] = set()
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            # Threads of polars do not survive a fork.
            context = get_context("spawn")
            self._stopped = context.Event()
            self._pool = ProcessPoolExecutor(
                processes, mp_context=context, initializer=_begin, initargs=(*given, self._stopped)
            )
            # The pool begins a worker with a task for which none is idle. Were one begun in the very moment in which
            # another is lost, the pool would forget it, and wait for it for ever: all of them begin now.
            for _ in range(processes):
                _submitted(self._pool, _nothing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._stopped.set()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def trials(self, sets: Iterable[Params]) -> Iterator[list[Trial]]:
        """Evaluate sets; they come back some at a time, as they are done.

        Raises:
            WorkerLost: A process ended before its work did.
        """
        # Sets of the same engine parameters stand together: each worker runs the engine once for those it is given.
        waiting = deque(sorted(sets, key=_of_engine))
        if self._pool is None:
            yield from self._alone(waiting)
            return
        size = 1
        while waiting or self._running:
            while waiting and len(self._running) < 2 * self._processes:
                some = [waiting.popleft() for _ in range(min(size, len(waiting)))]
                self._running.add(_submitted(self._pool, _trials, some))
            for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                found, seconds = _result(future)
                size = min(_AT_ONCE, 2 * len(found)) if seconds < _SOON_S else max(1, len(found) // 2)
                self._ready += found
                self._running.discard(future)
            yield self._taken()

    def finished(self) -> Iterator[list[Trial]]:
        """Begin nothing more; what was done and not handed over, and what comes of the sets that are under way."""
        if self._pool is not None:
            self._stopped.set()
            for future in self._running:
                future.cancel()
            for future in wait(self._running).done:
                if not future.cancelled() and future.exception() is None:
                    self._ready += future.result()[0]
            self._running.clear()
        if self._ready:
            yield self._taken()

    def surrogates(self, seeds: Iterable[int], *, measure: str) -> Iterator[float | None]:
        """What each surrogate's result has of one metric, in the order of seeds, as they are done.

        Raises:
            WorkerLost: A process ended before its work did.
        """
        if self._pool is None:
            yield from (self._place.surrogate(seed, measure) for seed in seeds)
            return
        futures = [_submitted(self._pool, _surrogate, seed, measure) for seed in seeds]
        for future in futures:
            yield _result(future)

    def _alone(self, waiting: Iterable[Params]) -> Iterator[list[Trial]]:
        began = time.monotonic()
        for params in waiting:
            self._ready.append(self._place.trial(params))
            if len(self._ready) >= _AT_ONCE or time.monotonic() - began > _SOON_S:
                yield self._taken()
                began = time.monotonic()
        if self._ready:
            yield self._taken()

    def _taken(self) -> list[Trial]:
        taken, self._ready = self._ready, []
        return taken


def _submitted(pool: ProcessPoolExecutor, work: Callable[_P, _R], *args: _P.args, **given: _P.kwargs) -> Future[_R]:
    # A worker begins here, and begins with what this thread is deaf to: Ctrl-C is for the one that waits for it.
    with _deaf_to_interrupts(), _told_of_loss():
        return pool.submit(work, *args, **given)


def _result(future: Future[_R]) -> _R:
    with _told_of_loss():
        return future.result()


@contextlib.contextmanager
def _told_of_loss() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        msg = (
            "a worker process ended before its work did, most often because the machine ran out of memory: run the "
            "same again with fewer processes (--processes 1 takes the least); trials on record are not made again"
        )
        raise WorkerLost(msg) from error


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

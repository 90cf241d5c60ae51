"""How the engine's cost grows with the number of bars: not at all by the bar, and not at all in memory.

A run is fed in pieces as a backfill feeds it, every table of every piece is built and dropped, and only that is on the
clock. It happens in a process of its own: the peak of a process cannot be lowered again, so what else a benchmark
holds would hide what the engine keeps.

    in_its_own_process(10_000_000).bars_per_s
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.bars import KEY, generated_bars, generated_pieces
from engine import TABLES, EngineParams, SeriesEngine, SeriesRows, warm_up

if TYPE_CHECKING:
    import polars as pl

PIECE: Final = 100_000
# Pieces after which allocators have reached the size they work with; what comes on top of it is kept by somebody.
SETTLED: Final = 5

_FIRST = 10_000  # bars that pay what only a first call pays: imports, thread pools, first pages of memory
_LEAST = 1_000_000  # bars a rate is taken over, in as many runs as it needs
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Flow:
    """One run.

    Attributes:
        bars: How many were advanced.
        bars_per_s: Rate of advancing them and building all tables, generating them excluded.
        growth_bytes: By how much the peak of resident memory rose after the first `SETTLED` pieces.
    """

    bars: int
    bars_per_s: float
    growth_bytes: int


def all_tables(rows: SeriesRows) -> list[pl.DataFrame]:
    """Every table of a call, built."""
    return [rows.frame(table) for table in TABLES]


def flow(size: int) -> Flow:
    """Advance a new series by `size` bars, `PIECE` at a time; short runs several times, of which the best counts."""
    warm_up()
    all_tables(SeriesEngine(KEY, EngineParams()).advance(generated_bars(_FIRST)))
    runs = [_run(size) for _ in range(max(1, _LEAST // size))]
    return max(runs, key=lambda run: run.bars_per_s)


def in_its_own_process(size: int) -> Flow:
    """`flow` in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(flow, size).result()


def _run(size: int) -> Flow:
    engine = SeriesEngine(KEY, EngineParams())
    seconds, settled = 0.0, _peak_bytes()
    for number, bars in enumerate(generated_pieces(size, piece=PIECE)):
        start = time.perf_counter()
        tables = all_tables(engine.advance(bars))
        seconds += time.perf_counter() - start
        del tables
        if number < SETTLED:
            settled = _peak_bytes()
    return Flow(size, size / seconds, _peak_bytes() - settled)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES

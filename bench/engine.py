"""How fast the engine is: features and regime, every column, from a polars frame to polars frames, on one core.

Peers run on the same bars in the same process: TA-Lib (eight functions, without state or ranks: the ratio is printed,
nobody promised to beat it) and pandas-ta-classic (every column). Times are the best of a few runs, because anything
above the best is somebody else's work; those of single bars are percentiles over all.

    for measurement in run(smoke=True): ...
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bench.engine_peers import TALIB_FUNCTIONS, pandas_bars, pandas_columns, talib_columns
from bench.measurement import Measurement, at_least, at_most
from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY = SeriesKey("binance_spot", "BTCUSDT", "1m")
_BARS, _SMOKE_BARS = 1_000_000, 100_000
_SINGLE_BARS, _SMOKE_SINGLE_BARS = 5_000, 1_000
_START_US = 1_640_995_200_000_000


def generated_bars(size: int) -> pl.DataFrame:
    """A seeded geometric walk of one-minute bars."""
    rng = np.random.default_rng(2022)
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 5e-4, size)))
    open_ = np.concatenate(([40_000.0], close[:-1]))
    return pl.DataFrame(
        {
            "open_time": pl.Series(_START_US + np.arange(size) * _KEY.tf.us).cast(BAR_SCHEMA["open_time"]),
            "open": open_,
            "high": np.maximum(open_, close) * (1 + 1e-4 * rng.random(size)),
            "low": np.minimum(open_, close) * (1 - 1e-4 * rng.random(size)),
            "close": close,
            "volume": rng.lognormal(3, 1, size),
        },
        schema=BAR_SCHEMA,
    )


def run(*, smoke: bool) -> list[Measurement]:
    """Measure everything stated about the engine.

    Args:
        smoke: Small sizes and twice the tolerance.
    """
    warm_up()
    bars = generated_bars(_SMOKE_BARS if smoke else _BARS)
    frame = pandas_bars(bars)
    ours = bars.height / _best(lambda: _all_columns(bars), times=7)
    talib = bars.height / _best(lambda: talib_columns(bars), times=3)
    pandas = bars.height / _best(lambda: pandas_columns(frame), times=2)
    rates: dict[str, float | int | str] = {"bars": bars.height, "bars_per_s": ours}
    return [
        at_least("engine: features and regime", ours, unit="bars/s", target=6e6, smoke=smoke, detail=rates),
        at_least(
            f"engine against TA-Lib ({TALIB_FUNCTIONS} functions)",
            ours / talib,
            unit="×",
            target=None,
            smoke=smoke,
            detail=rates | {"peer_bars_per_s": talib},
        ),
        at_least(
            "engine against pandas-ta-classic (the same columns)",
            ours / pandas,
            unit="×",
            target=20,
            smoke=smoke,
            detail=rates | {"peer_bars_per_s": pandas},
        ),
        *_single_bars(bars.tail(_SMOKE_SINGLE_BARS if smoke else _SINGLE_BARS), smoke=smoke),
    ]


def _all_columns(bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = SeriesEngine(_KEY, EngineParams()).advance(bars)
    return rows.indicators, rows.regimes


def _single_bars(bars: pl.DataFrame, *, smoke: bool) -> list[Measurement]:
    """Median and 99th percentile of advancing one bar, on a series past its warm-up."""
    engine = SeriesEngine(_KEY, EngineParams())
    warm, live = bars.head(300), [bars.slice(row, 1) for row in range(300, bars.height)]
    engine.advance(warm)
    times = np.empty(len(live))
    for i, bar in enumerate(live):
        start = time.perf_counter()
        engine.advance(bar)
        times[i] = time.perf_counter() - start
    median, late = (float(np.percentile(times, q)) * 1e3 for q in (50, 99))
    detail: dict[str, float | int | str] = {"bars": len(live), "max_ms": float(times.max()) * 1e3}
    return [
        at_most("engine: one bar, median", median, unit="ms", target=0.3, smoke=smoke, detail=detail),
        at_most("engine: one bar, 99th percentile", late, unit="ms", target=1.0, smoke=smoke, detail=detail),
    ]


def _best(work: Callable[[], object], *, times: int) -> float:
    """Seconds of the fastest run."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best

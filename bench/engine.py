"""How fast the engine is on one core, from a polars frame to polars frames: every table of every section.

Peers run on the same bars in the same process: TA-Lib (eight functions, without state or ranks: the ratio is printed,
nobody promised to beat it), pandas-ta-classic (every column of sections 1 and 2) and smartmoneyconcepts (what it has of
sections 3 to 5). Times are the best of a few runs, because anything above the best is somebody else's work; those of
single bars are percentiles over all.

    for measurement in run(smoke=True): ...
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from bench.bars import KEY, generated_bars, real_bars
from bench.engine_peers import TALIB_FUNCTIONS, pandas_bars, pandas_columns, talib_columns
from bench.engine_scale import all_tables, in_its_own_process
from bench.measurement import Measurement, at_least, at_most
from bench.smc_peer import everything, pandas_ohlc
from engine import EngineParams, SeriesEngine, SeriesRows, warm_up
from engine.bars import check_bars, read_bars
from engine.found import Found, spare_room
from engine.spans import SPAN, Span, describe
from engine.state import SeriesState

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

    Detail = dict[str, float | int | str]

_BARS, _SMOKE_BARS = 1_000_000, 500_000  # fewer would measure what a call costs, not what a bar does
_SINGLE_BARS, _SMOKE_SINGLE_BARS = 5_000, 1_000
_SIZES, _SMOKE_SIZES = (10_000, 100_000, 1_000_000, 10_000_000), (10_000, 100_000, 1_000_000)
_SHORT = _SIZES[0]  # of one call: what a call costs by itself shows in it, and is printed apart
_UNEVEN = 1.5  # time a bar at the slowest size against the fastest; "linear" on a machine that others use too
_CALL_MS = 5.0  # our own bound: twice what was measured
_GROWTH_MIB = 32.0  # of a state below 1 MiB; the rest is what allocators keep of pieces that took more than the first
_SMC_BARS = 45_031  # in a smoke run too: with fewer, what a call of ours costs would hide the rest
_SMC_DEFAULT = 50  # its own default swing_length


def run(*, smoke: bool) -> list[Measurement]:
    """Measure everything stated about the engine.

    Args:
        smoke: Small sizes and twice the tolerance.
    """
    warm_up()
    bars = generated_bars(_SMOKE_BARS if smoke else _BARS)
    return [
        *_throughput(bars, smoke=smoke),
        *_scale(smoke=smoke),
        *_against_smc(smoke=smoke),
        *_single_bars(bars.tail(_SMOKE_SINGLE_BARS if smoke else _SINGLE_BARS), smoke=smoke),
    ]


def _throughput(bars: pl.DataFrame, *, smoke: bool) -> list[Measurement]:
    """All of it, and sections 1 and 2 beside the libraries that compute the like."""
    frame = pandas_bars(bars)
    whole = bars.height / _best(lambda: _everything(bars), times=7)
    advanced = bars.height / _best(lambda: SeriesEngine(KEY, EngineParams()).advance(bars), times=7)
    ours = bars.height / _best(lambda: _features_and_regime(bars), times=7)
    talib = bars.height / _best(lambda: talib_columns(bars), times=3)
    pandas = bars.height / _best(lambda: pandas_columns(frame), times=2)
    rates: Detail = {"bars": bars.height, "bars_per_s": ours}
    whole_rates: Detail = {"bars": bars.height, "bars_per_s": whole, "advance_alone_bars_per_s": advanced}
    talib_rate: Detail = {"peer_bars_per_s": talib}
    pandas_rate: Detail = {"peer_bars_per_s": pandas}
    to_talib, to_pandas = f"against TA-Lib ({TALIB_FUNCTIONS} functions)", "against pandas-ta-classic"
    return [
        at_least("engine: everything", whole, unit="bars/s", target=4e6, smoke=smoke, detail=whole_rates),
        _ratio(f"everything {to_talib}", whole / talib, smoke=smoke, detail=whole_rates | talib_rate),
        _ratio(f"everything {to_pandas}", whole / pandas, smoke=smoke, detail=whole_rates | pandas_rate),
        at_least("engine: features and regime", ours, unit="bars/s", target=6e6, smoke=smoke, detail=rates),
        _ratio(f"features and regime {to_talib}", ours / talib, smoke=smoke, detail=rates | talib_rate),
        _ratio(
            f"features and regime {to_pandas} (the same columns)",
            ours / pandas,
            smoke=smoke,
            target=20,
            detail=rates | pandas_rate,
        ),
    ]


def _scale(*, smoke: bool) -> list[Measurement]:
    """Time a bar over sizes, and what memory grows by; each size the better of two processes."""
    sizes = _SMOKE_SIZES if smoke else _SIZES
    runs = {size: [in_its_own_process(size) for _ in range(2)] for size in sizes}
    rates = {size: max(flow.bars_per_s for flow in flows) for size, flows in runs.items()}
    growth = min(flow.growth_bytes for flow in runs[sizes[-1]]) / 2**20
    detail: Detail = {f"bars_per_s_{size:.0e}".replace("e+0", "e"): rate for size, rate in rates.items()}
    longer = [rate for size, rate in rates.items() if size > _SHORT]
    uneven = max(longer) / min(longer)
    own_ms = (_SHORT / rates[_SHORT] - _SHORT / max(longer)) * 1e3
    return [
        at_most(
            "engine: time a bar above 10,000 bars, slowest size to fastest",
            uneven,
            unit="×",
            target=_UNEVEN,
            smoke=smoke,
            detail=detail,
        ),
        at_most(
            "engine: what a call costs beside its bars",
            own_ms,
            unit="ms",
            target=_CALL_MS,
            smoke=smoke,
            detail={"bars": _SHORT, "ms": _SHORT / rates[_SHORT] * 1e3},
        ),
        at_most(
            "engine: memory that stays after each piece",
            growth,
            unit="MiB",
            target=_GROWTH_MIB,
            smoke=smoke,
            detail={"bars": sizes[-1]},
        ),
    ]


def _against_smc(*, smoke: bool) -> list[Measurement]:
    """Everything of ours against what smartmoneyconcepts has of it, on the real bars."""
    found = real_bars()
    bars = (generated_bars(_SMC_BARS) if found is None else found).head(_SMC_BARS)
    source = "generated, the real ones are not there" if found is None else "real"
    frame, half_width = pandas_ohlc(bars), EngineParams().pivot_n
    ours = _best(lambda: _everything(bars), times=7)
    theirs = _best(lambda: everything(frame, half_width=half_width), times=1 if smoke else 2)
    sparse = _best(lambda: everything(frame, half_width=_SMC_DEFAULT), times=1)
    detail: Detail = {"bars": bars.height, "source": source, "bars_per_s": bars.height / ours}
    name = "everything against smartmoneyconcepts"
    return [
        _ratio(
            f"{name} (swing_length {half_width}, as ours)",
            theirs / ours,
            smoke=smoke,
            target=300,
            detail=detail | {"peer_seconds": theirs},
        ),
        _ratio(
            f"{name} (swing_length {_SMC_DEFAULT})",
            sparse / ours,
            smoke=smoke,
            detail=detail | {"peer_seconds": sparse},
        ),
    ]


def _single_bars(bars: pl.DataFrame, *, smoke: bool) -> list[Measurement]:
    """One bar on a series past its warm-up: `advance` alone, as promised, and with every table built."""
    engine = SeriesEngine(KEY, EngineParams())
    warm, live = bars.head(300), [bars.slice(row, 1) for row in range(300, bars.height)]
    all_tables(engine.advance(warm))
    advanced, built = np.empty(len(live)), np.empty(len(live))
    for i, bar in enumerate(live):
        start = time.perf_counter()
        rows = engine.advance(bar)
        advanced[i] = time.perf_counter() - start
        all_tables(rows)
        built[i] = time.perf_counter() - start
    detail: Detail = {"bars": len(live), "max_ms": float(advanced.max()) * 1e3}
    built_detail: Detail = {"bars": len(live), "p99_ms": _percentile(built, 99), "max_ms": float(built.max()) * 1e3}
    return [
        at_most(
            "engine: one bar, median", _percentile(advanced, 50), unit="ms", target=0.3, smoke=smoke, detail=detail
        ),
        at_most(
            "engine: one bar, 99th percentile",
            _percentile(advanced, 99),
            unit="ms",
            target=1.0,
            smoke=smoke,
            detail=detail,
        ),
        at_least(
            "engine: one bar and every table of it built, median",
            _percentile(built, 50),
            unit="ms",
            target=None,
            smoke=smoke,
            detail=built_detail,
        ),
    ]


def _percentile(seconds: NDArray[np.float64], share: int) -> float:
    return float(np.percentile(seconds, share)) * 1e3


def _everything(bars: pl.DataFrame) -> list[pl.DataFrame]:
    return all_tables(SeriesEngine(KEY, EngineParams()).advance(bars))


def _features_and_regime(bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sections 1 and 2 as `SeriesEngine.advance` runs them, and their tables; `trend` and `range_pos` mean nothing."""
    read, params = read_bars(bars), EngineParams()
    state = SeriesState.at_start(params)
    found = Found.of(read, state, params, KEY.tf.us)
    with spare_room(SPAN, params) as room:
        for start in range(0, read.size, SPAN):
            end = min(start + SPAN, read.size)
            check_bars(read, KEY.tf, start=start, end=end, last_open_time=None)
            describe(Span.of(read, start, end, state.tail), state, found, room, params)
    rows = SeriesRows(KEY, params, found)
    return rows.indicators, rows.regimes


def _ratio(name: str, value: float, *, smoke: bool, detail: Detail, target: float | None = None) -> Measurement:
    return at_least(f"engine: {name}", value, unit="×", target=target, smoke=smoke, detail=detail)


def _best(work: Callable[[], object], *, times: int) -> float:
    """Seconds of the fastest run, until its result is there; to drop it again is on nobody's account."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
        del result
    return best

"""What first-touch trades earn where nobody can earn anything: ours, and those of the popular library's final answer.

Every zone is traded at 2 R and every signal at 1.5 R, at prices of the walk's own path, before costs. Ours must not be
distinguishable from 0: `tests/engine/test_null_market.py` asserts it over 200 walks. The order blocks that
smartmoneyconcepts has left at the end of the same walks "win", because the others were erased.

Left out: any claim about real markets. It is a test of the reader, not of the market.

    for measurement in run(smoke=True): ...
    earnings(read, seeds=range(200), bars=5_000)["zones"]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from bench.first_touch import Estimate, clustered_mean, outcomes, signal_orders, zone_orders
from bench.measurement import Measurement, at_least, at_most
from bench.smc_peer import pandas_ohlc, surviving_blocks
from bench.walks import KEY, SUB_TF, Walk
from engine import EngineParams, SeriesRows, SymbolEngine
from engine.rows import ZONE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from contracts import Timeframe

# From a walk to the rows of its 15m series.
Reader = Callable[[Walk], SeriesRows]

BARS: Final = 5_000
_WALKS, _SMOKE_WALKS = 200, 10
_HALF_WIDTHS: Final = {"zones": 0.02, "signals": 0.05}  # in R, of the 99 % intervals over all walks
_HALF_WIDTH = 5  # a common choice of the library's users; its default of 50 leaves a handful of blocks a walk
_DELAY = 30  # in replays bar by bar, every block that is left was visible 24 bars after its candle at the latest


def read(walk: Walk) -> SeriesRows:
    """The engine as it runs live: the 15m series with the 1m series beside it."""
    params: dict[Timeframe | str, EngineParams] = {SUB_TF: EngineParams(), KEY.tf: EngineParams()}
    engine = SymbolEngine(KEY.venue, KEY.symbol, params, sub={KEY.tf: SUB_TF})
    return engine.advance({SUB_TF: walk.sub_bars, KEY.tf: walk.bars})[KEY.tf]


def earnings(reader: Reader, *, seeds: range, bars: int = BARS) -> dict[str, Estimate]:
    """What first-touch trades of all that `reader` sees earn, over a walk of each seed.

    Returns:
        The estimates of `zones`, `signals` and `inversions`, and of each kind of zone and inversion by its name. What
        was never traded is not there.
    """
    results: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for seed in seeds:
        walk = Walk.of(seed=seed, bars=bars)
        rows = reader(walk)
        results["signals"].append(outcomes(walk.prices, signal_orders(rows.signals)))
        for table, kinds in (("zones", ZONE_KINDS[:2]), ("inversions", ZONE_KINDS[2:])):
            zones = rows.frame(table)
            of_kinds = [outcomes(walk.prices, zone_orders(zones.filter(pl.col("kind") == kind))) for kind in kinds]
            for name, of_name in zip((table, *kinds), (np.concatenate(of_kinds), *of_kinds), strict=True):
                results[name].append(of_name)
    return {name: clustered_mean(walks) for name, walks in results.items() if any(walk.size for walk in walks)}


def peer_earnings(*, seeds: range, delay: int, bars: int = BARS) -> Estimate:
    """What the order blocks earn that smartmoneyconcepts has left at the end of each walk.

    Args:
        seeds: One walk a seed.
        delay: Bars to wait after the candle a block is drawn at; see `bench.smc_peer.surviving_blocks`.
        bars: Length of a walk.
    """
    results = []
    for seed in seeds:
        walk = Walk.of(seed=seed, bars=bars)
        orders = surviving_blocks(pandas_ohlc(walk.bars), half_width=_HALF_WIDTH, delay=delay)
        results.append(outcomes(walk.prices, orders))
    return clustered_mean(results)


def run(*, smoke: bool) -> list[Measurement]:
    """Measure both on the same walks; of a full run, ours are judged too.

    Args:
        smoke: A few walks, too few to judge anything.
    """
    seeds = range(_SMOKE_WALKS if smoke else _WALKS)
    ours = earnings(read, seeds=seeds)
    found = {f"null market: {name}": estimate for name, estimate in ours.items()}
    found["null market: blocks smartmoneyconcepts has left"] = peer_earnings(seeds=seeds, delay=0)
    found[f"the same, {_DELAY} bars later"] = peer_earnings(seeds=seeds, delay=_DELAY)
    measured = [_measured(name, estimate, smoke=smoke) for name, estimate in found.items()]
    return measured if smoke else [*measured, *judged(ours)]


def judged(ours: Mapping[str, Estimate]) -> list[Measurement]:
    """What is stated of ours over all walks: nothing is earned, and the market is large enough to notice if it were.

    Args:
        ours: What `earnings` found.

    Returns:
        For each estimate, how far its mean is from 0, at most half the width of its 99 % interval (which then contains
        0); and that half width where one is stated. In R.
    """
    distances = [
        at_most(
            f"null market: {name}, distance of the mean from 0",
            abs(one.mean),
            unit="R",
            target=one.half_width,
            smoke=False,
        )
        for name, one in ours.items()
    ]
    widths = [
        at_most(f"null market: {name}, half width at 99 %", ours[name].half_width, unit="R", target=stated, smoke=False)
        for name, stated in _HALF_WIDTHS.items()
    ]
    return [*distances, *widths]


def _measured(name: str, estimate: Estimate, *, smoke: bool) -> Measurement:
    detail: dict[str, float | int | str] = {
        "half_width_99": estimate.half_width,
        "wins": estimate.wins,
        "trades": estimate.trades,
        "walks": estimate.walks,
    }
    return at_least(name, estimate.mean, unit="R", target=None, smoke=smoke, detail=detail)

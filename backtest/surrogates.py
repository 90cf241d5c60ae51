"""The null-market gate: where a result stands among those of markets in which there is nothing to find.

A surrogate is made of the shapes of the real bars (open, high, low and close against the close before, and volume),
drawn in blocks whose length is random with a given mean (the stationary bootstrap: Politis and Romano 1994). Blocks
keep the size and the clustering of moves; which block follows which is chance, so structure longer than a block is
gone, and with it whatever a rule could know of it. All series of all instruments are drawn by the same blocks where
their times agree, so that markets still move together; longer bars are made of the surrogate's shortest ones.

The same engine, decision and fill model trade every surrogate (`Workers.surrogates`). A result that is not above all
but a twentieth of them is what luck gives (`backtest.report.NullPlace`).

    market = surrogate(bars, seed=1)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEAN_BLOCK: Final = 60  # bars of the shortest timeframe

Bars = Mapping[SeriesKey, pl.DataFrame]


def surrogate(bars: Bars, *, seed: int, mean_block: int = MEAN_BLOCK) -> dict[SeriesKey, pl.DataFrame]:
    """One market made of the shapes of the bars of another, in another order; the same times from the same price on.

    Args:
        bars: Bars of some series; each longer timeframe is made anew of the shortest one of its instrument.
        seed: Equal seeds give equal markets.
        mean_block: Mean length of a block, in bars of the shortest timeframe.
    """
    rng = np.random.default_rng(seed)
    orders: dict[tuple[int, int, int], NDArray[np.int64]] = {}
    found: dict[SeriesKey, pl.DataFrame] = {}
    for instrument in sorted({key.instrument for key in bars}):
        own = sorted((key for key in bars if key.instrument == instrument), key=lambda key: key.tf.us)
        shortest = bars[own[0]]
        times = shortest["open_time"].to_physical()
        of_time = (shortest.height, int(times[0] or 0), int(times[-1] or 0)) if shortest.height else (0, 0, 0)
        if of_time not in orders:
            orders[of_time] = _order(rng, shortest.height, mean_block)
        made = _redrawn(shortest, orders[of_time])
        found[own[0]] = made
        for key in own[1:]:
            found[key] = _longer(made, key).join(bars[key].select("open_time"), on="open_time", how="semi")
    return {key: found[key] for key in bars}


def _order(rng: np.random.Generator, size: int, mean_block: int) -> NDArray[np.int64]:
    """Which bar stands where: blocks of geometric length that begin anywhere and go around the end."""
    if size == 0:
        return np.zeros(0, np.int64)
    begins = rng.random(size) < 1.0 / mean_block
    begins[0] = True
    first = np.flatnonzero(begins)
    start = rng.integers(0, size, first.size)
    block = np.cumsum(begins) - 1
    order: NDArray[np.int64] = (start[block] + np.arange(size) - first[block]) % size
    return order


def _redrawn(frame: pl.DataFrame, order: NDArray[np.int64]) -> pl.DataFrame:
    if not frame.height:
        return frame
    columns = {name: frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    before = np.concatenate((columns["open"][:1], columns["close"][:-1]))
    steps = np.log(columns["close"] / before)[order]
    close = columns["open"][0] * np.exp(np.cumsum(steps))
    previous = np.concatenate((columns["open"][:1], close[:-1]))
    shaped = {name: previous * (columns[name] / before)[order] for name in ("open", "high", "low")}
    # Rounding must not put a price outside its bar.
    high = np.maximum.reduce([shaped["high"], shaped["open"], close])
    low = np.minimum.reduce([shaped["low"], shaped["open"], close])
    return pl.DataFrame(
        {
            "open_time": frame["open_time"],
            "open": shaped["open"],
            "high": high,
            "low": low,
            "close": close,
            "volume": columns["volume"][order],
        },
        schema=BAR_SCHEMA,
    )


def _longer(frame: pl.DataFrame, key: SeriesKey) -> pl.DataFrame:
    """Bars of a longer timeframe, made of shorter ones."""
    grouped = frame.group_by_dynamic("open_time", every=str(key.tf)).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    return grouped.select(BAR_SCHEMA.names()).cast(dict(BAR_SCHEMA))  # type: ignore[arg-type] # names and types

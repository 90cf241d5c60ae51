"""The bars that are measured: generated ones of any number, and the real ones where they stand beside the repository.

Invariant: equal arguments give equal bars, and pieces of a run continue each other in price and time.

    generated_bars(1_000_000)
    for piece in generated_pieces(10_000_000, piece=100_000): ...
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY: Final = SeriesKey("binance_spot", "BTCUSDT", "1m")

_SEED = 2022
_START_US = 1_640_995_200_000_000
_FIRST_PRICE = 40_000.0
_SIGMA = 5e-4  # of a bar, relative
# With so many steps a bar, these bars have as many zones, events and signals as the real ones, to a twentieth.
_STEPS = 20
_BLOCK = 50_000
REAL_BARS: Final = Path(__file__).parents[2] / "shared" / "data" / "btc_perp_1m_2022-01.csv.gz"


def generated_bars(size: int, *, seed: int = _SEED) -> pl.DataFrame:
    """A seeded geometric walk of `size` one-minute bars, each made of twenty steps."""
    return _walk(np.random.default_rng(seed), size, first=0, price=_FIRST_PRICE)


def generated_pieces(size: int, *, piece: int, seed: int = _SEED) -> Iterator[pl.DataFrame]:
    """The like of `generated_bars` for runs that are too long to hold: pieces of at most `piece` bars."""
    rng = np.random.default_rng(seed)
    price = _FIRST_PRICE
    for first in range(0, size, piece):
        bars = _walk(rng, min(piece, size - first), first=first, price=price)
        price = float(bars["close"][-1])
        yield bars


def real_bars() -> pl.DataFrame | None:
    """45,031 one-minute bars of a BTC perpetual; None where the file is not there."""
    if not REAL_BARS.exists():
        return None
    return pl.read_csv(REAL_BARS, schema_overrides=dict(BAR_SCHEMA) | {"open_time": pl.String()}).with_columns(
        pl.col("open_time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    )


def _walk(rng: np.random.Generator, size: int, *, first: int, price: float) -> pl.DataFrame:
    parts = []
    for start in range(0, size, _BLOCK):
        parts.append(_block(rng, min(_BLOCK, size - start), first=first + start, price=price))
        price = float(parts[-1]["close"][-1])
    return pl.concat(parts).rechunk()


def _block(rng: np.random.Generator, size: int, *, first: int, price: float) -> pl.DataFrame:
    steps = rng.standard_normal((size, _STEPS)) * (_SIGMA / np.sqrt(_STEPS))
    path = price * np.exp(np.cumsum(steps)).reshape(size, _STEPS)
    close = path[:, -1]
    open_ = np.concatenate(([price], close[:-1]))
    return pl.DataFrame(
        {
            "open_time": pl.Series(_START_US + (first + np.arange(size)) * KEY.tf.us).cast(BAR_SCHEMA["open_time"]),
            "open": open_,
            "high": np.maximum(open_, path.max(axis=1)),
            "low": np.minimum(open_, path.min(axis=1)),
            "close": close,
            "volume": rng.lognormal(3, 1, size),
        },
        schema=BAR_SCHEMA,
    )

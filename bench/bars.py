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
_REAL_BARS = Path(__file__).parents[2] / "shared" / "data" / "btc_perp_1m_2022-01.csv.gz"


def generated_bars(size: int) -> pl.DataFrame:
    """A seeded geometric walk of `size` one-minute bars."""
    return _walk(np.random.default_rng(_SEED), size, first=0, price=_FIRST_PRICE)


def generated_pieces(size: int, *, piece: int) -> Iterator[pl.DataFrame]:
    """The like of `generated_bars` for runs that are too long to hold: pieces of at most `piece` bars."""
    rng = np.random.default_rng(_SEED)
    price = _FIRST_PRICE
    for first in range(0, size, piece):
        bars = _walk(rng, min(piece, size - first), first=first, price=price)
        price = float(bars["close"][-1])
        yield bars


def real_bars() -> pl.DataFrame | None:
    """45,031 one-minute bars of a BTC perpetual; None where the file is not there."""
    if not _REAL_BARS.exists():
        return None
    return pl.read_csv(_REAL_BARS, schema_overrides=dict(BAR_SCHEMA) | {"open_time": pl.String()}).with_columns(
        pl.col("open_time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    )


def _walk(rng: np.random.Generator, size: int, *, first: int, price: float) -> pl.DataFrame:
    close = price * np.exp(np.cumsum(rng.normal(0, 5e-4, size)))
    open_ = np.concatenate(([price], close[:-1]))
    return pl.DataFrame(
        {
            "open_time": pl.Series(_START_US + (first + np.arange(size)) * KEY.tf.us).cast(BAR_SCHEMA["open_time"]),
            "open": open_,
            "high": np.maximum(open_, close) * (1 + 1e-4 * rng.random(size)),
            "low": np.minimum(open_, close) * (1 - 1e-4 * rng.random(size)),
            "close": close,
            "volume": rng.lognormal(3, 1, size),
        },
        schema=BAR_SCHEMA,
    )

"""Bars written by hand: only what a rule looks at is said, the rest is chosen to be without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine
from tests.engine.strategies import KEY, START, STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import SeriesRows


def hand_bars(
    close: Sequence[float],
    *,
    high: Sequence[float] | None = None,
    low: Sequence[float] | None = None,
    volume: Sequence[float] | None = None,
    first: int = 0,
) -> pl.DataFrame:
    """Bars of 15m that open at 2022-01-01T00:00Z + `first` bars; open = close, high = low = close unless given."""
    return pl.DataFrame(
        {
            "open_time": pl.Series(
                [START + (first + t) * STEP for t in range(len(close))], dtype=BAR_SCHEMA["open_time"]
            ),
            "open": close,
            "high": close if high is None else high,
            "low": close if low is None else low,
            "close": close,
            "volume": [1.0] * len(close) if volume is None else volume,
        },
        schema=BAR_SCHEMA,
        strict=False,
    )


def rows_of(bars: pl.DataFrame) -> SeriesRows:
    return SeriesEngine(KEY, EngineParams()).advance(bars)


def column(bars: pl.DataFrame, name: str) -> list[float | None]:
    values: list[float | None] = rows_of(bars).indicators[name].to_list()
    return values

"""Bars written by hand: only what a rule looks at is said, the rest is chosen to be without effect.

`hand_bars` takes columns, `candles` whole bars after a calm lead-in whose atr14 is 2. Bars are told by their slot: 0 is
the bar that opens at 2022-01-01T00:00Z, a lead-in lies before it (−1, −2, …), a slot left out is a hole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine
from tests.engine.strategies import KEY, START, STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import SeriesRows

    Candle = tuple[float, float, float, float]

# open, high, low, close: alone it makes no swing, no gap and no trend, and every true range 2
CALM = (100.0, 101.0, 99.0, 100.0)


def hand_bars(
    close: Sequence[float],
    *,
    high: Sequence[float] | None = None,
    low: Sequence[float] | None = None,
    volume: Sequence[float] | None = None,
    first: int = 0,
) -> pl.DataFrame:
    """Bars of 15m that open at 2022-01-01T00:00Z + `first` bars; open = close, high = low = close unless given."""
    return _frame(
        range(first, first + len(close)),
        opened=close,
        high=close if high is None else high,
        low=close if low is None else low,
        close=close,
        volume=[1.0] * len(close) if volume is None else volume,
    )


def candles(
    rows: Sequence[Candle],
    *,
    lead: int = 40,
    volume: Sequence[float] | None = None,
    slots: Sequence[int] | None = None,
) -> pl.DataFrame:
    """Bars (open, high, low, close) in the slots 0, 1, 2 … or as given, after `lead` calm bars of volume 1.

    From its 15th bar on the calm lead-in has atr14 = 2 exactly, and a further bar keeps it there if its true range is
    2; one of 2 + 14·x raises it by x. `volume` is that of the rows, 1 unless given.
    """
    every = [CALM] * lead + list(rows)
    return _frame(
        [*range(-lead, 0), *(range(len(rows)) if slots is None else slots)],
        opened=[row[0] for row in every],
        high=[row[1] for row in every],
        low=[row[2] for row in every],
        close=[row[3] for row in every],
        volume=[1.0] * lead + ([1.0] * len(rows) if volume is None else list(volume)),
    )


def turned(rows: Sequence[Candle]) -> list[Candle]:
    """The same candles upside down around 100, where the calm bars stay as they are: up becomes down."""
    return [(200 - opened, 200 - low, 200 - high, 200 - close) for opened, high, low, close in rows]


def rows_of(bars: pl.DataFrame) -> SeriesRows:
    return SeriesEngine(KEY, EngineParams()).advance(bars)


def column(bars: pl.DataFrame, name: str) -> list[float | None]:
    values: list[float | None] = rows_of(bars).indicators[name].to_list()
    return values


def _frame(
    slots: Sequence[int],
    *,
    opened: Sequence[float],
    high: Sequence[float],
    low: Sequence[float],
    close: Sequence[float],
    volume: Sequence[float],
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "open_time": pl.Series([START + slot * STEP for slot in slots], dtype=BAR_SCHEMA["open_time"]),
            "open": opened,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
        },
        schema=BAR_SCHEMA,
        strict=False,
    )

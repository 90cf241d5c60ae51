"""Seeded markets in which nobody can have an edge: every bar is made of steps whose price is a martingale.

A step multiplies the price by 1 + σ·z with z standard normal: whatever is known, the next price is expected where the
price is. So every trade that is entered and left at prices of this path, by a rule that sees only the past, gains
nothing on average, and a mean that differs from 0 says that a rule saw more.

Invariant: a bar is nothing but its steps: open and close are its first and last price, high and low the extremes; the
volume is drawn independently of them. Left out: what real markets have beside noise.

    walk = Walk.of(seed=1, bars=5_000)
    walk.bars           # the bar frame the engine reads
    walk.prices         # 60 prices a bar
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import polars as pl

from contracts import SeriesKey, Timeframe
from contracts.candles import BAR_SCHEMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY: Final = SeriesKey("binance_usdm", "NULLUSDT", "15m")
SUB_TF: Final = Timeframe.M1
STEPS: Final = 60  # a bar; one every 15 seconds
START_US: Final = 1_640_995_200_000_000  # 2022-01-01T00:00Z
STEP_US: Final = KEY.tf.us // STEPS

_FIRST_PRICE = 1_000.0
_SIGMA = 2e-4  # of a step, relative: about 0.15 % a bar


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """One market.

    Attributes:
        bars: Bar frame of the 15m bars.
        sub_bars: Bar frame of the same path in 1m bars of four steps, for what asks the sub-timeframe.
        prices: Price after each step, in quote units; step i belongs to bar i // `STEPS`.
    """

    bars: pl.DataFrame
    sub_bars: pl.DataFrame
    prices: NDArray[np.float64]

    @classmethod
    def of(cls, *, seed: int, bars: int) -> Self:
        """The walk of this seed: the same one whenever it is asked for.

        Args:
            seed: Any integer from 0.
            bars: Its length.
        """
        rng = np.random.default_rng(seed)
        factors = 1.0 + _SIGMA * rng.standard_normal(bars * STEPS)
        prices = _FIRST_PRICE * np.cumprod(factors, dtype=np.float64)
        volume = rng.lognormal(3.0, 1.0, bars * KEY.tf.us // SUB_TF.us)
        return cls(_bars(prices, volume, tf=KEY.tf), _bars(prices, volume, tf=SUB_TF), prices)

    def head(self, bars: int) -> Walk:
        """Its first bars, as they were known before the rest happened."""
        ratio = KEY.tf.us // SUB_TF.us
        return Walk(self.bars.head(bars), self.sub_bars.head(bars * ratio), self.prices[: bars * STEPS])


def _bars(prices: NDArray[np.float64], volume: NDArray[np.float64], *, tf: Timeframe) -> pl.DataFrame:
    """The path in bars of `tf`; `volume` comes per bar of the sub-timeframe."""
    steps = prices.reshape(-1, tf.us // STEP_US)
    opened = START_US + np.arange(len(steps)) * tf.us
    return pl.DataFrame(
        {
            "open_time": pl.Series(opened).cast(BAR_SCHEMA["open_time"]),
            "open": steps[:, 0].copy(),
            "high": steps.max(axis=1),
            "low": steps.min(axis=1),
            "close": steps[:, -1].copy(),
            "volume": volume.reshape(len(steps), -1).sum(axis=1),
        },
        schema=BAR_SCHEMA,
    )

"""The market of the pictures: one seeded random walk, read by the engine as it reads any other.

Nobody can have an edge on it (`bench/walks.py`), and yet it shows every swing, zone and signal: that is the point. Its
15m series hears the breaks of its 1m series, as in live. The rows carry the names of a series of the demo, so that the
page's SQL can be tried there.

Invariant: the market is the same one whenever it is asked for.

    market = Market.of_the_pictures()
    market.rows.zones
    market.head(120).rows.zones         # what was known after 120 bars
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from bench.walks import START_US, Walk
from contracts import SeriesKey, Timeframe, to_us
from engine import EngineParams, SymbolEngine

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from engine import SeriesRows

KEY: Final = SeriesKey("binance_spot", "BTCUSDT", "15m")
SUB_TF: Final = Timeframe.M1

_SEED = 7
_BARS = 1_500


@dataclass(frozen=True)
class Market:
    """Bars and what the engine says about them.

    Attributes:
        walk: 15m bars and the 1m bars of the same path.
        params: Of the 15m series.
    """

    walk: Walk
    params: EngineParams

    @classmethod
    def of_the_pictures(cls) -> Self:
        """The walk that every picture shows a part of."""
        return cls(Walk.of(seed=_SEED, bars=_BARS), EngineParams())

    def head(self, bars: int) -> Market:
        """The same market when it had no more bars than these."""
        return Market(self.walk.head(bars), self.params)

    def bar(self, ts: datetime) -> int:
        """The number of the bar that became known at `ts`, from 0."""
        return (to_us(ts) - START_US) // KEY.tf.us - 1

    @property
    def rows(self) -> SeriesRows:
        """What the engine says of the 15m series."""
        return self._outs[KEY.tf]

    @property
    def sub_rows(self) -> SeriesRows:
        """What it says of the 1m series."""
        return self._outs[SUB_TF]

    @cached_property
    def atr14(self) -> pl.Series:
        """One value a bar of the 15m series; null in the warm-up."""
        return self.rows.indicators["atr14"]

    @cached_property
    def _outs(self) -> dict[str, SeriesRows]:
        params: dict[str, EngineParams] = {SUB_TF: EngineParams(), KEY.tf: self.params}
        engine = SymbolEngine(KEY.venue, KEY.symbol, params, sub={KEY.tf: SUB_TF})
        return engine.advance({SUB_TF: self.walk.sub_bars, KEY.tf: self.walk.bars})

"""A part of the time of bars and of what the engine made of them, as walk-forward folds and months of a report use it.

The engine is causal, so its tables over all bars are, up to an instant, what it made of the bars up to then: a fold is
traded with the state that a live engine would have had, not with one that begins with the fold.

    part = cut(bars, tables, start, end)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from backtest.market import TABLES, Stretch, Tables
from engine import EngineParams, SymbolEngine

if TYPE_CHECKING:
    from datetime import datetime

    from contracts import SeriesKey


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Market:
    """Bars with the engine's tables.

    Attributes:
        bars: By series.
        tables: `backtest.market.TABLES` by series.
    """

    bars: Mapping[SeriesKey, pl.DataFrame]
    tables: Mapping[SeriesKey, Tables]

    @classmethod
    def read(
        cls,
        bars: Mapping[SeriesKey, pl.DataFrame],
        params: EngineParams,
        *,
        sub: Mapping[str, str],
        traded: Collection[str] | None = None,
    ) -> Market:
        """Run the engine over the bars of what is traded, and of its sub-timeframes.

        Args:
            bars: By series.
            params: For every series.
            sub: See `BacktestConfig`.
            traded: Timeframes whose signals are traded; None = all.
        """
        tables: dict[SeriesKey, Tables] = {}
        for instrument in sorted({key.instrument for key in bars}):
            own = {str(key.tf): bars[key] for key in bars if key.instrument == instrument}
            wiring = {tf: of for tf, of in sub.items() if tf in own and (traded is None or tf in traded)}
            needed = {*own} if traded is None else {*traded, *wiring.values()}
            given = {tf: frame for tf, frame in own.items() if tf in needed}
            if not given:
                continue
            engine = SymbolEngine(instrument.venue, instrument.symbol, dict.fromkeys(given, params), sub=wiring)
            for tf, rows in engine.advance(given).items():
                tables[instrument.series(tf)] = {name: rows.frame(name) for name in TABLES}
        return cls(bars, tables)

    def stretches(self, *, traded: Collection[str] | None) -> dict[SeriesKey, Stretch]:
        """What the portfolio's loop reads of each series that has bars.

        Args:
            traded: Timeframes whose signals are traded; None = all.
        """
        return {
            key: Stretch.of(key, frame, self.tables.get(key, {}), traded=traded is None or str(key.tf) in traded)
            for key, frame in self.bars.items()
            if frame.height
        }

    def between(self, start: datetime, end: datetime) -> Market:
        """The bars that open in [start, end) and what became known at them.

        Zones stay whole: when one ends is read at the time it does (`backtest.market`).
        """
        bars, tables = {}, {}
        for key, frame in self.bars.items():
            bars[key] = frame.filter(pl.col("open_time").is_between(start, end, closed="left"))
            if key in self.tables:
                length = key.tf.duration
                known = pl.col("ts").is_between(start + length, end + length, closed="left")
                tables[key] = {
                    name: table if name == "zones" else table.filter(known) for name, table in self.tables[key].items()
                }
        return Market(bars, tables)

    def ended_between(self, after: datetime, until: datetime) -> Market:
        """The bars that end after one instant and by another, what became known at them, and the zones of that time."""
        known = (pl.col("ts") > after) & (pl.col("ts") <= until)
        lived = (pl.col("created_ts") <= until) & (pl.col("ended_ts").is_null() | (pl.col("ended_ts") > after))
        bars, tables = {}, {}
        for key, frame in self.bars.items():
            ends = frame["open_time"] + key.tf.duration
            first, last = (int(ends.search_sorted(instant, side="right")) for instant in (after, until))
            bars[key] = frame.slice(first, last - first)
            if key in self.tables:
                tables[key] = {
                    name: table.filter(lived if name == "zones" else known) for name, table in self.tables[key].items()
                }
        return Market(bars, tables)

    def cuts(self, most: int) -> list[datetime]:
        """Instants that cut the market into parts of about `most` bars; the last is its end."""
        count = -(-sum(frame.height for frame in self.bars.values()) // most)
        length = (self.end - self.start) / count
        return [*(self.start + k * length for k in range(1, count)), self.end]

    @property
    def start(self) -> datetime:
        """Open time of the first bar."""
        first: datetime = min(frame["open_time"][0] for frame in self.bars.values() if frame.height)
        return first

    @property
    def end(self) -> datetime:
        """End of the last bar."""
        last: datetime = max(
            frame["open_time"][-1] + key.tf.duration for key, frame in self.bars.items() if frame.height
        )
        return last

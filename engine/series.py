"""One series of closed bars: what is fed in, what comes out, what is kept in between.

`advance` takes its bars in spans that stay in the cache, and runs the sections of the specification one after the
other over each: section 1 writes the features, section 2 reads them. One bar and a million take this path.

Invariant: a call that raises has changed nothing, for it worked on a copy of the state. Left out: time, files and the
meaning of holes.

    engine = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "15m"), EngineParams())
    rows = engine.advance(bars)          # rows.indicators, rows.regimes: polars, built when asked for
    same = SeriesEngine.restore(engine.snapshot())
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from engine.bars import Bars, check_bars, read_bars
from engine.features import ADX14, ATR14, BBW_RANK, COLUMNS, NATR_RANK, features
from engine.frames import indicator_frame, regime_frame
from engine.kernel import warm_up
from engine.params import EngineParams
from engine.regime import regimes
from engine.snapshot import Saved, SnapshotRefused, decode, encode
from engine.state import SeriesState

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from contracts import SeriesKey

# Raised only when output changes; tests/engine/test_version.py holds the fingerprint of this version's output.
ENGINE_VERSION = 1

# Bars a section handles before the next one reads what it wrote: their columns stay in the second cache level.
_SPAN = 4_096


@dataclass(frozen=True, eq=False)
class SeriesRows:
    """What one call of `advance` made known; each table is built on first access and kept."""

    key: SeriesKey
    _open_time: NDArray[np.int64] = field(repr=False)
    _features: NDArray[np.float64] = field(repr=False)
    _undefined: NDArray[np.int64] = field(repr=False)
    _regimes: NDArray[np.uint8] = field(repr=False)
    _regime_rows: int = field(repr=False)

    @cached_property
    def indicators(self) -> pl.DataFrame:
        """Rows of table `indicators`, one a bar; null = not yet defined."""
        return indicator_frame(self.key, self._open_time, values=self._features, undefined=self._undefined)

    @cached_property
    def regimes(self) -> pl.DataFrame:
        """Rows of table `regimes`: none before the first bar whose adx14 and ranks are defined."""
        return regime_frame(self.key, self._open_time, codes=self._regimes, rows=self._regime_rows)


class SeriesEngine:
    """The engine of one series.

    Args:
        key: The series.
        params: Parameters of the engine.
    """

    def __init__(self, key: SeriesKey, params: EngineParams) -> None:
        warm_up()
        self._key = key
        self._params = params
        self._state = SeriesState.at_start()

    @property
    def key(self) -> SeriesKey:
        """The series this engine was made for."""
        return self._key

    @property
    def params(self) -> EngineParams:
        """The parameters it computes with."""
        return self._params

    @property
    def bars_seen(self) -> int:
        """How many bars have been advanced since the series began."""
        return int(self._state.position["bars"][0])

    @property
    def last_open_time(self) -> int | None:
        """Open time of the last bar in µs since the epoch; None before the first."""
        return int(self._state.position["last_open_time"][0]) if self.bars_seen else None

    def advance(self, bars: pl.DataFrame) -> SeriesRows:
        """Append closed bars to the series.

        Args:
            bars: Columns of `contracts.candles.BAR_SCHEMA`; may be empty. Prices in quote units.

        Raises:
            ValueError: A column, a value or an open time cannot be; the message names the row. Nothing has changed.
        """
        read = read_bars(bars)
        state = self._state.copy()
        rows = self._run(read, state)
        self._state = state
        return rows

    def _run(self, bars: Bars, state: SeriesState) -> SeriesRows:
        values = np.empty((len(COLUMNS), bars.size))
        undefined = np.zeros(len(COLUMNS), np.int64)
        codes = np.empty((2, bars.size), np.uint8)
        true_range = np.empty(min(bars.size, _SPAN))
        last_open_time, params = self.last_open_time, self._params
        regime_rows = 0
        for start in range(0, bars.size, _SPAN):
            end = min(start + _SPAN, bars.size)
            check_bars(bars, self._key.tf, start=start, end=end, last_open_time=last_open_time)
            span, ranges = bars.span(start, end), true_range[: end - start]
            features(
                state.features,
                span.open_time,
                span.high,
                span.low,
                span.close,
                span.volume,
                values,
                start,
                ranges,
                undefined,
            )
            regime_rows += regimes(
                state.regime,
                ranges,
                values[ATR14, start:end],
                values[ADX14, start:end],
                values[NATR_RANK, start:end],
                values[BBW_RANK, start:end],
                codes[0, start:end],
                codes[1, start:end],
                params.shock_tr,
                params.shock_rank,
                params.trend_adx,
                params.range_adx,
                params.chop_rank,
            )
        if bars.size:
            state.position["bars"] += bars.size
            state.position["last_open_time"] = bars.open_time[-1]
        return SeriesRows(self._key, bars.open_time, values, undefined, codes, regime_rows)

    def snapshot(self) -> bytes:
        """Everything that decides what follows, as bytes of a fixed size for the series."""
        return encode(Saved(self._key, self._params, self._state.to_bytes()), engine_version=ENGINE_VERSION)

    @classmethod
    def restore(cls, blob: bytes, *, key: SeriesKey | None = None, params: EngineParams | None = None) -> Self:
        """The engine that continues exactly where `snapshot` was taken.

        Args:
            blob: What `snapshot` returned.
            key: Where given, a snapshot of any other series is refused.
            params: Where given, a snapshot made with any others is refused.

        Raises:
            SnapshotRefused: The bytes are no snapshot, truncated, tampered with, of another version, or of another
                series or parameters than those named; the message says which.
        """
        saved = decode(blob, engine_version=ENGINE_VERSION)
        if key is not None and saved.key != key:
            msg = f"snapshot of another series: asked for {key}, received {saved.key}"
            raise SnapshotRefused(msg)
        if params is not None and saved.params != params:
            msg = (
                f"snapshot of {saved.key} with other parameters: asked for {params.canonical}, "
                f"received {saved.params.canonical}"
            )
            raise SnapshotRefused(msg)
        engine = cls(saved.key, saved.params)
        try:
            engine._state = SeriesState.from_bytes(saved.state)
        except ValueError as error:
            msg = f"tampered snapshot of {saved.key}: {error}"
            raise SnapshotRefused(msg) from error
        return engine

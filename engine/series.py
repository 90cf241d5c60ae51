"""One series of closed bars: what is fed in, what comes out, what is kept in between.

`advance` takes its bars in spans that stay in the cache, and runs the sections of the specification one after the
other over each: every section reads what those before it found. One bar and a million take this path.

Invariant: a call that raises has changed nothing, for it worked on a copy of the state. Left out: time, files and the
meaning of holes; several timeframes of one symbol are `engine.symbol`.

    engine = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "15m"), EngineParams())
    rows = engine.advance(bars)          # rows.indicators, rows.zones, …: polars, built when asked for
    same = SeriesEngine.restore(engine.snapshot())
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from contracts import Timeframe
from contracts.kernel import warm_up
from engine import frames
from engine.bars import Bars, check_bars, read_bars
from engine.found import Found, spare_room
from engine.params import EngineParams
from engine.snapshot import Saved, SnapshotRefused, decode, encode
from engine.spans import SPAN, Span, run_span
from engine.state import SeriesState

if TYPE_CHECKING:
    import polars as pl

    from contracts import SeriesKey

# Raised only when output changes; tests/engine/test_version.py holds the fingerprint of this version's output.
ENGINE_VERSION = 2

TABLES: Final = (
    "indicators",
    "regimes",
    "swings",
    "smc_events",
    "liquidity_events",
    "zone_events",
    "zones",
    "inversions",
    "signals_raw",
)


@dataclass(frozen=True, eq=False)
class SeriesRows:
    """What one call of `advance` made known; each table is built on first access and kept."""

    key: SeriesKey
    params: EngineParams = field(repr=False)
    found: Found = field(repr=False)

    @cached_property
    def indicators(self) -> pl.DataFrame:
        """Rows of table `indicators`, one a bar; null = not yet defined."""
        found = self.found
        return frames.indicator_frame(
            self.key, found.ts, values=found.values, undefined=found.undefined, trend=found.trend
        )

    @cached_property
    def regimes(self) -> pl.DataFrame:
        """Rows of table `regimes`: none before the first bar whose adx14 and ranks are defined."""
        return frames.regime_frame(self.key, self.found.ts, codes=self.found.regimes, rows=self.found.regime_rows)

    @cached_property
    def swings(self) -> pl.DataFrame:
        """Rows of table `swings` by the time of their confirmation."""
        return frames.swing_frame(self.key, self.params, self.found.swings)

    @cached_property
    def smc_events(self) -> pl.DataFrame:
        """Rows of table `smc_events`: the breaks of structure."""
        return frames.break_frame(self.key, self.found.breaks)

    @cached_property
    def liquidity_events(self) -> pl.DataFrame:
        """Rows of table `liquidity_events`: equal levels and sweeps."""
        return frames.liquidity_frame(self.key, self.found.liquidity)

    @cached_property
    def zone_events(self) -> pl.DataFrame:
        """Rows of table `zone_events`: what happened to zones and inversions, at most one row for each a bar."""
        return frames.zone_event_frame(self.key, self.found.event_times, self.found.event_codes)

    @cached_property
    def zones(self) -> pl.DataFrame:
        """Rows of table `zones` that these bars changed, in their last state; one a zone."""
        return frames.zone_frame(self.key, self.params, self.found.zones)

    @cached_property
    def inversions(self) -> pl.DataFrame:
        """Rows of table `inversions` that these bars changed, in their last state; one an inversion."""
        return frames.inversion_frame(self.key, self.params, self.found.inversions)

    @cached_property
    def signals(self) -> pl.DataFrame:
        """Rows of table `signals_raw` of the agent `retest`."""
        return frames.signal_frame(self.key, self.params, self.found.signals)

    def frame(self, table: str) -> pl.DataFrame:
        """The rows of one of `TABLES`, by its name."""
        found: pl.DataFrame = getattr(self, "signals" if table == "signals_raw" else table)
        return found


class SeriesEngine:
    """The engine of one series.

    Args:
        key: The series.
        params: Parameters of the engine.
        sub: The timeframe whose breaks come in as `micro_bos`, as snapshots tell it; None = none.

    Raises:
        ValueError: `sub` is no timeframe that is shorter and divides the series' own.
    """

    def __init__(self, key: SeriesKey, params: EngineParams, *, sub: str | None = None) -> None:
        if sub is not None and (Timeframe(sub).us >= key.tf.us or key.tf.us % Timeframe(sub).us):
            msg = f"sub-timeframe {sub} of {key}: it must be shorter and divide it"
            raise ValueError(msg)
        warm_up()
        self._key = key
        self._params = params
        self._sub = sub
        self._state = SeriesState.at_start(params)

    @property
    def key(self) -> SeriesKey:
        """The series this engine was made for."""
        return self._key

    @property
    def params(self) -> EngineParams:
        """The parameters it computes with."""
        return self._params

    @property
    def sub(self) -> str | None:
        """The sub-timeframe that `micro_bos` comes from; None = none."""
        return self._sub

    @property
    def state(self) -> SeriesState:
        """What it remembers; owned by the engine."""
        return self._state

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
            bars: Columns of `contracts.candles.BAR_SCHEMA`; may be empty. Prices in quote units. Optionally
                `micro_bos` Int8: side of the sub-timeframe's last break within each bar, 0 = none (without: 0).

        Raises:
            ValueError: A column, a value or an open time cannot be; the message names the row. Nothing has changed.
        """
        rows, state = self.tried(read_bars(bars))
        self.accept(state)
        return rows

    def tried(self, bars: Bars) -> tuple[SeriesRows, SeriesState]:
        """What `bars` would make known, and the state behind them; the engine stays where it is until `accept`.

        Raises:
            ValueError: See `advance`.
        """
        state = self._state.copy()
        found = Found.of(bars, state, self._params, self._key.tf.us)
        with spare_room(min(bars.size, SPAN), self._params) as room:
            for start in range(0, bars.size, SPAN):
                end = min(start + SPAN, bars.size)
                check_bars(bars, self._key.tf, start=start, end=end, last_open_time=self.last_open_time)
                run_span(Span.of(bars, start, end, state.tail), state, found, room, self._params, self._key.tf.us)
        found.finish()
        if bars.size:
            state.position["bars"] += bars.size
            state.position["last_open_time"] = bars.open_time[-1]
        return SeriesRows(self._key, self._params, found), state

    def accept(self, state: SeriesState) -> None:
        """Go on from a state that `tried` has returned."""
        self._state = state

    def snapshot(self, *, bots: bytes = b"") -> bytes:
        """Everything that decides what follows, as bytes of a fixed size for the series.

        Args:
            bots: What the series' plug-in bots remember; stored unread, for whoever restores them. The engine that
                `restore` makes does not have it.
        """
        saved = Saved(self._key, self._params, self._sub, self._state.to_bytes(), bots)
        return encode(saved, engine_version=ENGINE_VERSION)

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
        engine = cls(saved.key, saved.params, sub=saved.sub)
        try:
            engine._state = SeriesState.from_bytes(saved.state, saved.params)
        except ValueError as error:
            msg = f"tampered snapshot of {saved.key}: {error}"
            raise SnapshotRefused(msg) from error
        return engine

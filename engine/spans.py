"""The sections of the specification in their order, over bars that fit the cache.

A section is one kernel over all bars of a span; what it found is handed to the next as an array of rows. So the order
within a bar that the text prescribes is kept by the data: no kernel can see what a later section finds.

Invariant: where one span ends and the next begins changes no row.

    found = Found.of(bars, state, params, step)
    with spare_room(bars.size, params) as room:
        run_span(Span.of(bars, 0, bars.size, state.tail), state, found, room, params, step)
    found.finish()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from engine.features import ADX14, ATR14, BBW_RANK, EMA200, MACD_HIST, NATR_RANK, RSI14, features
from engine.found import RANGE_POS
from engine.liquidity import liquidity
from engine.lives import lives, merge_events
from engine.regime import regimes
from engine.retest import retest
from engine.state import LEAD
from engine.structure import breaks
from engine.swings import pivots, zigzag
from engine.zones import births, inversions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.bars import Bars
    from engine.found import Found, Room
    from engine.params import EngineParams
    from engine.state import SeriesState

# Bars a section handles before the next one reads what it wrote: fewer cost calls, more leave the caches.
SPAN = 16_384


@dataclass(frozen=True, slots=True)
class Span:
    """Some consecutive bars with the `LEAD` bars before them: of each column first those, then these."""

    start: int
    end: int
    open_time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    micro_bos: NDArray[np.int8]

    @classmethod
    def of(cls, bars: Bars, start: int, end: int, tail: NDArray[np.void]) -> Self:
        """The bars of [start, end) of a call.

        Args:
            bars: All bars of the call.
            start: First of the span; either 0 or at least `LEAD`.
            end: First not of it.
            tail: The `TAIL` record: the bars before the call; it is moved on to the end of the span.
        """
        columns: dict[str, NDArray[Any]] = {}
        for name in ("open_time", "open", "high", "low", "close", "volume"):
            own = getattr(bars, name)
            columns[name] = own[start - LEAD : end] if start else np.concatenate((tail[name][0], own[:end]))
            tail[name][0] = columns[name][-LEAD:]
        return cls(start=start, end=end, micro_bos=bars.micro_bos[start:end], **columns)

    @property
    def size(self) -> int:
        """How many bars, those before them not counted."""
        return self.end - self.start


def run_span(span: Span, state: SeriesState, found: Found, room: Room, params: EngineParams, step: int) -> None:
    """Run all sections over one span.

    Args:
        span: The bars.
        state: Advanced in place.
        found: Written, from column `span.start` on.
        room: Overwritten.
        params: Parameters of the engine.
        step: Duration of the timeframe in µs.
    """
    work = _Work(span, state, found, room, params, int(state.features["bars"][0]), step)
    describe(span, state, found, room, params)
    swings = work.find_swings()
    work.watch_liquidity(swings)
    broken = work.find_breaks(swings)
    made = work.live_zones(broken)
    work.retest(broken, made)


def describe(span: Span, state: SeriesState, found: Found, room: Room, params: EngineParams) -> None:
    """Sections 1 and 2 alone; see `run_span`."""
    own, true_range = slice(span.start, span.end), room.true_range[: span.size]
    values, codes = found.values, found.regimes
    features(
        state.features,
        span.open_time,
        span.high,
        span.low,
        span.close,
        span.volume,
        values,
        span.start,
        true_range,
        room.sum_volume[: span.size],
        found.undefined[:RANGE_POS],
    )
    found.regime_rows += regimes(
        state.regime,
        true_range,
        values[ATR14, own],
        values[ADX14, own],
        values[NATR_RANK, own],
        values[BBW_RANK, own],
        codes[0, own],
        codes[1, own],
        params.shock_tr,
        params.shock_rank,
        params.trend_adx,
        params.range_adx,
        params.chop_rank,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """One span on its way through the sections; `first` is the index t of its first bar."""

    span: Span
    state: SeriesState
    found: Found
    room: Room
    params: EngineParams
    first: int
    step: int

    def find_swings(self) -> NDArray[np.void]:
        """Section 3."""
        span, params, rows = self.span, self.params, self.room.swings
        if params.swing_mode == "pivot":
            count = pivots(
                self.state.swings,
                span.open_time,
                span.high,
                span.low,
                self.first,
                span.size,
                params.pivot_n,
                self.step,
                rows,
            )
        else:
            count = zigzag(
                self.state.swings,
                span.open_time[LEAD:],
                span.high[LEAD:],
                span.low[LEAD:],
                span.close[LEAD:],
                self._feature(ATR14),
                self.first,
                params.zigzag_k,
                self.step,
                rows,
            )
        self.found.swings.append(rows[:count], share=self._share)
        return rows[:count]

    def watch_liquidity(self, swings: NDArray[np.void]) -> None:
        """Section 4b."""
        span, rows = self.span, self.room.liquidity
        count = liquidity(
            self.state.liquidity,
            span.open_time[LEAD:],
            span.high[LEAD:],
            span.low[LEAD:],
            span.close[LEAD:],
            self._feature(ATR14),
            swings,
            self.first,
            self.step,
            self.params.eq_tol,
            rows,
        )
        self.found.liquidity.append(rows[:count], share=self._share)

    def find_breaks(self, swings: NDArray[np.void]) -> NDArray[np.void]:
        """Section 4."""
        span, rows, range_pos = self.span, self.room.breaks, self._feature(RANGE_POS)
        count = breaks(
            self.state.structure,
            span.open_time[LEAD:],
            span.close[LEAD:],
            swings,
            self.first,
            self.step,
            self.found.trend[span.start : span.end],
            range_pos,
            self.found.undefined[RANGE_POS:],
            rows,
        )
        self.found.breaks.append(rows[:count], share=self._share)
        return rows[:count]

    def live_zones(self, broken: NDArray[np.void]) -> NDArray[np.void]:
        """Section 5; returns the zones that were active before the span or made in it."""
        span, room, params, counts = self.span, self.room, self.params, self.state.zone_counts[0]
        zones = room.zones
        before = int(counts["active"])
        zones[:before] = self.state.zones[:before]
        born = births(
            self.state.zone_counts,
            span.open_time,
            span.open,
            span.high,
            span.low,
            span.close,
            span.volume[LEAD:],
            room.sum_volume[: span.size],
            self._feature(ATR14),
            broken,
            self.first,
            self.step,
            params.fvg_min_atr,
            params.ob_lookback,
            params.confluence_bars,
            zones[before:],
        )
        zones = zones[: before + born]
        events = self._live(self.state.zones, params.max_zones, zones, born, room.zone_events)
        counts["active"] = room.sizes[0]

        inverted = room.inversions
        before = int(counts["active_inversions"])
        inverted[:before] = self.state.inversions[:before]
        turned = inversions(self.state.zone_counts, zones, events, inverted[before:])
        inverted = inverted[: before + turned]
        inverted_events = self._live(
            self.state.inversions, params.max_inversions, inverted, turned, room.inversion_events
        )
        counts["active_inversions"] = room.sizes[0]

        times, codes, happened = self.found.event_times, self.found.event_codes, events.size + inverted_events.size
        at = times.extend(happened, share=self._share)
        codes.extend(happened, share=self._share)
        merge_events(events, inverted_events, times.matrix, codes.matrix, at)
        self.found.zones.settle(zones, born, share=self._share)
        self.found.inversions.settle(inverted, turned, share=self._share)
        return zones

    def _live(
        self,
        active: NDArray[np.void],
        limit: int,
        zones: NDArray[np.void],
        born: int,
        events: NDArray[np.void],
    ) -> NDArray[np.void]:
        """Let the bars of the span happen to zones or inversions; returns the events."""
        span = self.span
        lives(
            active,
            span.open_time[LEAD:],
            span.high[LEAD:],
            span.low[LEAD:],
            span.close[LEAD:],
            self.first,
            self.step,
            self.params.expiry_bars,
            limit,
            zones,
            born,
            events,
            self.room.ladders,
            self.room.due,
            self.room.sizes,
        )
        return events[: self.room.sizes[1]]

    def retest(self, broken: NDArray[np.void], made: NDArray[np.void]) -> None:
        """Section 6."""
        span, params, rows = self.span, self.params, self.room.signals
        count = retest(
            self.state.retest,
            self.state.entered,
            span.open_time[LEAD:],
            span.open[LEAD:],
            span.high[LEAD:],
            span.low[LEAD:],
            span.close[LEAD:],
            self._feature(ATR14),
            self._feature(EMA200),
            self._feature(RSI14),
            self._feature(MACD_HIST),
            span.micro_bos,
            broken,
            made,
            self.first,
            self.step,
            params.retest_window,
            params.retest_tol,
            *params.rsi_long,
            *params.rsi_short,
            rows,
        )
        self.found.signals.append(rows[:count], share=self._share)

    @property
    def _share(self) -> float:
        """Which share of the call's bars is done with this span."""
        return self.span.end / self.found.ts.size

    def _feature(self, row: int) -> NDArray[np.float64]:
        """One feature of the bars of the span."""
        return self.found.values[row, self.span.start : self.span.end]

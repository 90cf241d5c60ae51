"""A look at the signals of a series at the end of a bar: which bar is next, what is known there, what is written down.

Invariant: everything an evaluation is given was known at its instant: rules by when they came into force, settlements
by when they were settled.

    look_on(series, signals, open_time, at)
    look_around(situation, symbol, limits, ts, rules_from, news, funding_time, funding_rate)
    describe(situation, signal, symbol, book, stops, losses)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.records import DAY, FOREVER, NEVER
from contracts.kernel import Record, formula
from risk.guards import nearest_event

if TYPE_CHECKING:
    from numpy.typing import NDArray


@formula
def is_over(signal: Record, tf: int, ts: int) -> bool:
    """Whether a signal was acted on, or has no bar left at an instant."""
    over: bool = signal.acted != 0 or signal.ts + signal.ttl_bars * tf <= ts
    return over


@formula
def end_of(series: Record, open_time: NDArray[np.int64], at: int) -> int:
    """When a bar of a series has ended; FOREVER = it is not known yet."""
    return open_time[at] + series.tf if at < series.end else FOREVER


@formula
def look_on(series: Record, signals: NDArray[Any], open_time: NDArray[np.int64], at: int) -> None:
    """Find the next bar of a series, from `at` on, at which one of its signals lives."""
    series.at, series.due = series.end, FOREVER
    if at < series.end:
        tf = series.tf
        closes = open_time[at] + tf
        k = series.signal
        while k < series.signals_end and is_over(signals[k], tf, closes):
            k += 1
        series.signal = k
        if k < series.signals_end:
            series.at = at if signals[k].ts <= closes else signals[k].bar
            series.due = open_time[series.at] + tf


@formula
def look_around(
    situation: Record,
    symbol: Record,
    limits: Record,
    ts: int,
    rules_from: NDArray[np.int64],
    news: NDArray[Any],
    funding_time: NDArray[np.int64],
    funding_rate: NDArray[np.float64],
) -> None:
    """Come to an instant with a symbol's rules, and tell what its guards ask: news near by, funding before and after.

    Args:
        situation: SITUATION record, of which this is written.
        symbol: SYMBOL record; its places in the common arrays move on.
        limits: The profile.
        ts: Not before the last one.
        rules_from: Since when each version of the rules holds.
        news: Events by start.
        funding_time: Settlements, ascending.
        funding_rate: As settled.
    """
    while symbol.rules + 1 < symbol.rules_end and rules_from[symbol.rules + 1] <= ts:
        symbol.rules += 1
    while symbol.news < symbol.news_end and news[symbol.news].end + DAY < ts:
        symbol.news += 1
    while symbol.funding < symbol.funding_end and funding_time[symbol.funding] <= ts:
        symbol.funding += 1
    situation.news, situation.news_limit = NEVER, 0
    if symbol.news < symbol.news_end:
        away, limit = nearest_event(news[symbol.news : symbol.news_end], limits, ts)
        situation.news, situation.news_limit = away, limit
    situation.funding_last = situation.funding_next = NEVER
    situation.funding_rate = np.nan
    if symbol.funding > symbol.funding_begin:
        situation.funding_last = funding_time[symbol.funding - 1]
        situation.funding_rate = funding_rate[symbol.funding - 1]
    if symbol.funding < symbol.funding_end:
        situation.funding_next = funding_time[symbol.funding]


@formula
def describe(situation: Record, signal: Record, symbol: Record, book: Record, stops: Record, losses: Record) -> None:
    """What is known of a signal at the situation's instant, but for the bar's own numbers and the guards'."""
    situation.side, situation.signal_ts, situation.ttl_bars = signal.side, signal.ts, signal.ttl_bars
    situation.zone_active = 1 if signal.zone_ends > situation.ts else 0
    situation.structure, situation.triggers = signal.structure, signal.triggers
    situation.entry, situation.stop, situation.atr14 = signal.entry, signal.stop, signal.atr14
    situation.last_stop, situation.stops_tripped = losses.last_stop, stops.tripped
    situation.losses_tripped = losses.tripped
    situation.equity, situation.day_start, situation.peak = book.equity, book.day_start, book.peak
    situation.positions, situation.brackets = book.held, symbol.holding
    situation.symbol_notional = symbol.notional
    situation.long_notional, situation.short_notional = book.long_notional, book.short_notional
    situation.heat = book.heat

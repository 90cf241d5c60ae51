"""The portfolio's loop: bars happen to brackets, signals are evaluated, and every verdict is written down.

Time goes from one instant at which something can happen to the next: the end of a bar of a series with a bracket, or
of one at which a signal lives. At each instant bars come first, of all symbols, then signals, the shortest timeframe
first: what is decided knows every bar that has ended by then and nothing else. Bars at which nothing can happen cost
nothing.

A bracket that is placed at the end of a bar meets the market with the next one. Who evaluates a signal after that sees
its symbol taken.

Invariant: one call over a stretch of time, or many over its parts, write the same rows, bit for bit: all that is
remembered stands in the records. Nothing is read that was not known at the instant it is read for.

    walk(until, book, stops, symbols, brackets, losses, fills, held, series, *bars, signals, …)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types

from backtest import account, records, rows
from backtest import brackets as bracket_lives
from backtest.account import free, recount, revalue
from backtest.brackets import place, settle
from backtest.records import (
    DAY,
    FOREVER,
    NEVER,
    account_type,
    book_type,
    decision_type,
    guard_type,
    sample_type,
    series_type,
    signal_type,
    standing_type,
    symbol_type,
    terms_type,
    trade_fill_type,
    trade_type,
)
from backtest.rows import sample, write_account, write_guard, write_standing
from contracts import rounding
from contracts.kernel import Record, counts, formula, instants, kernel, reals
from risk import evaluation
from risk.evaluation import evaluate
from risk.guards import nearest_event
from risk.records import limits_type, losses_type, news_type, rules_type, situation_type, stops_type, verdict_type
from venues.fills import account as fill_account
from venues.fills import asked, drill, prices
from venues.fills import bracket as one_bar
from venues.fills import records as fill_records
from venues.fills.account import arm, close_out, finish, fund
from venues.fills.asked import refused
from venues.fills.drill import resolve
from venues.fills.records import (
    ACCEPTED,
    BY_EXPIRY,
    CLOSED,
    WAITING,
    bracket_type,
    costs_type,
    fill_type,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_int = types.int64

# What `walk` answers: all is well, or the number of the signal whose bracket passed every gate and was refused.
WELL = -1

_SOURCES = (
    account,
    asked,
    bracket_lives,
    drill,
    evaluation,
    fill_account,
    fill_records,
    one_bar,
    prices,
    records,
    rounding,
    rows,
    *evaluation.SOURCES,
)


@formula
def _turn_day(book: Record, day: int) -> None:
    """Begin a UTC day with the equity there is."""
    if day > book.day:
        book.day, book.day_start = day, book.equity


@formula
def _describe(
    situation: Record, signal: Record, symbol: Record, book: Record, stops: Record, losses: Record, ts: int
) -> None:
    """What is known of a signal at a bar, but for the bar's own numbers and the guards'."""
    situation.now = situation.ts = ts
    situation.side, situation.signal_ts, situation.ttl_bars = signal.side, signal.ts, signal.ttl_bars
    situation.zone_active = 1 if signal.zone_ends > ts else 0
    situation.structure, situation.triggers = signal.structure, signal.triggers
    situation.entry, situation.stop, situation.atr14 = signal.entry, signal.stop, signal.atr14
    situation.last_stop, situation.stops_tripped = losses.last_stop, stops.tripped
    situation.losses_tripped = losses.tripped
    situation.equity, situation.day_start, situation.peak = book.equity, book.day_start, book.peak
    situation.positions, situation.brackets = book.held, symbol.holding
    situation.symbol_notional = symbol.notional
    situation.long_notional, situation.short_notional = book.long_notional, book.short_notional
    situation.heat = book.heat


@formula
def _look_on(series: Record, signals: NDArray[Any], open_time: NDArray[np.int64], at: int) -> None:
    """Find the next bar of a series, from `at` on, at which one of its signals lives."""
    series.at, series.due = series.end, FOREVER
    if at < series.end:
        tf = series.tf
        closes = open_time[at] + tf
        k = series.signal
        while k < series.signals_end and (signals[k].acted or signals[k].ts + signals[k].ttl_bars * tf <= closes):
            k += 1
        series.signal = k
        if k < series.signals_end:
            series.at = at if signals[k].ts <= closes else signals[k].bar
            series.due = open_time[series.at] + tf


@formula
def _first_bar(open_time: NDArray[np.int64], first: int, end: int, us: int) -> int:
    """The first of some bars that opens at `us` or later."""
    while first < end:
        middle = (first + end) // 2
        if open_time[middle] < us:
            first = middle + 1
        else:
            end = middle
    return first


_flags = types.Array(types.int8, 1, "C", readonly=True)


@kernel(
    _int(
        _int,
        *(book_type, stops_type, symbol_type[::1], bracket_type[::1], losses_type[::1], fill_type[:, ::1], counts),
        *(series_type[::1], instants, reals, reals, reals, reals, _flags, signal_type[::1]),
        *(limits_type, terms_type, rules_type[::1], costs_type[::1], instants),
        *(news_type[::1], instants, reals, reals),
        *(situation_type, verdict_type),
        *(decision_type[::1], account_type[::1], standing_type[::1], guard_type[::1]),
        *(trade_type[::1], trade_fill_type[::1], sample_type[::1]),
    ),
    also=_SOURCES,
)
def walk(  # noqa: C901 - one instant after the other; what can be apart is, above
    until: int,
    book: Record,
    stops: Record,
    symbols: NDArray[Any],
    brackets: NDArray[Any],
    losses: NDArray[Any],
    fills: NDArray[Any],
    held: NDArray[np.int64],
    series: NDArray[Any],
    open_time: NDArray[np.int64],
    bar_open: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    vol_state: NDArray[np.int8],
    signals: NDArray[Any],
    limits: Record,
    terms: Record,
    rules: NDArray[Any],
    costs: NDArray[Any],
    rules_from: NDArray[np.int64],
    news: NDArray[Any],
    funding_time: NDArray[np.int64],
    funding_rate: NDArray[np.float64],
    funding_mark: NDArray[np.float64],
    situation: Record,
    verdict: Record,
    decisions: NDArray[Any],
    accounts: NDArray[Any],
    standings: NDArray[Any],
    guards: NDArray[Any],
    trades: NDArray[Any],
    trade_fills: NDArray[Any],
    samples: NDArray[Any],
) -> int:
    """Let everything happen that is known by `until`.

    Args:
        until: µs; every bar of every series that ends by then is in the arrays, and none that ends later.
        book: The account; what it counts of outputs begins at 0.
        stops: STOPS of the profile.
        symbols: The instruments.
        brackets: BRACKET of each symbol.
        losses: LOSSES of each symbol.
        fills: FILL of each symbol's bracket, shape (symbols, MAX_FILLS).
        held: Room for the index of every symbol; the first `book.held` are held.
        series: Shortest timeframe first: the order in which signals of one instant are looked at.
        open_time: Of all bars, µs; each series' own are a stretch, ascending.
        bar_open: Quote units, as the other prices.
        high: See `bar_open`.
        low: See `bar_open`.
        close: See `bar_open`.
        vol_state: Of each bar; −1 = no regime yet.
        signals: Stretches of the series, by ts.
        limits: The profile.
        terms: How its positions are led.
        rules: Versions of all symbols' rules, each symbol's a stretch in the order of time.
        costs: The same rules as the fill model has them.
        rules_from: Since when each version holds.
        news: Events that concern each symbol, by start.
        funding_time: Settlements of each symbol, ascending.
        funding_rate: As settled; positive = long pays.
        funding_mark: Mark price at the settlement; NaN = the next bar's open stands in.
        situation: Room for one.
        verdict: Room for one.
        decisions: Room for every bar of every signal's life.
        accounts: As many.
        standings: As many.
        guards: As many.
        trades: Room for every signal.
        trade_fills: Room for MAX_FILLS of every trade.
        samples: Room for every boundary until `until`.

    Returns:
        WELL, or the number of a signal whose bracket passed every gate and was refused by the fill model: the two
        disagree, which they must not.
    """
    for i in range(series.size):
        _look_on(series[i], signals, open_time, series[i].fresh)
    for k in range(book.held):
        symbol = symbols[held[k]]
        one = series[symbol.series]
        symbol.at, symbol.due = one.fresh, FOREVER
        if one.fresh < one.end:
            symbol.due = open_time[one.fresh] + one.tf
    while True:
        # What comes next: of one instant the bars before the signals.
        ts, bars_of, look_at = FOREVER, -1, -1
        for k in range(book.held):
            if symbols[held[k]].due < ts:
                ts, bars_of = symbols[held[k]].due, held[k]
        for i in range(series.size):
            if series[i].due < ts:
                ts, bars_of, look_at = series[i].due, -1, i
        if ts > until:
            break
        sample(book, samples, ts)

        if bars_of >= 0:
            symbol, bracket = symbols[bars_of], brackets[bars_of]
            one, terms_of = series[symbol.series], costs[symbol.costs]
            at = symbol.at
            opened = open_time[at]
            _turn_day(book, (ts - 1) // DAY)
            while symbol.settled < symbol.funding_end and funding_time[symbol.settled] <= opened:
                mark = funding_mark[symbol.settled]
                if mark != mark:
                    mark = bar_open[at]
                fund(bracket, terms_of, funding_rate[symbol.settled], mark)
                symbol.settled += 1
            first, end, finer = 0, 0, one.tf
            if one.finer >= 0:
                inside = series[one.finer]
                finer = inside.tf
                first = _first_bar(open_time, inside.first, inside.end, opened)
                end = _first_bar(open_time, first, inside.end, ts)
            code = resolve(
                bracket,
                terms_of,
                bar_open[at],
                high[at],
                low[at],
                close[at],
                opened,
                ts,
                open_time,
                bar_open,
                high,
                low,
                close,
                first,
                end,
                finer,
                fills[bars_of],
            )
            if bracket.state == WAITING and bracket.expires_us <= ts:
                # No bar is left that could fill it: the symbol is free for the signals of this instant.
                finish(bracket, BY_EXPIRY, bracket.expires_us)
                code = CLOSED
            symbol.mark = close[at]
            symbol.at, symbol.due = at + 1, FOREVER
            if at + 1 < one.end:
                symbol.due = open_time[at + 1] + one.tf
            if code == CLOSED:
                settle(
                    book,
                    stops,
                    losses[bars_of],
                    limits,
                    symbol,
                    bracket,
                    terms_of,
                    fills[bars_of],
                    trades[book.trades],
                    trade_fills,
                    bars_of,
                )
                free(book, symbols, held, bars_of)
            else:
                revalue(symbol, bracket, terms_of, limits)
            recount(book, symbols, brackets, held)
            continue

        _turn_day(book, ts // DAY)
        one = series[look_at]
        at = one.at
        symbol = symbols[one.symbol]
        while symbol.rules + 1 < symbol.rules_end and rules_from[symbol.rules + 1] <= ts:
            symbol.rules += 1
        while symbol.news < symbol.news_end and news[symbol.news].end + DAY < ts:
            symbol.news += 1
        while symbol.funding < symbol.funding_end and funding_time[symbol.funding] <= ts:
            symbol.funding += 1
        situation.tf, situation.close, situation.vol_state = one.tf, close[at], vol_state[at]
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
        for k in range(one.signal, one.signals_end):
            signal = signals[k]
            if signal.ts > ts:
                break
            if signal.acted or ts >= signal.ts + signal.ttl_bars * one.tf:
                continue
            of_symbol = losses[one.symbol]
            _describe(situation, signal, symbol, book, stops, of_symbol, ts)
            evaluate(situation, limits, rules[symbol.rules], verdict)
            write_account(book, stops, accounts)
            write_standing(book, symbol, of_symbol, standings)
            write_guard(book, symbol, situation, guards)
            row = decisions[book.decisions]
            row.ts, row.close, row.signal, row.vol_state = ts, situation.close, signal.number, vol_state[at]
            row.passed, row.first, row.rules = verdict.passed, verdict.first, symbol.rules
            row.account, row.standing, row.guard = book.accounts - 1, symbol.standing, symbol.guard
            book.decisions += 1
            if verdict.first >= 0:
                continue
            bracket, terms_of = brackets[one.symbol], costs[symbol.rules]
            place(bracket, signal, verdict, terms, terms_of, one.tf, ts)
            arm(bracket)
            if refused(bracket, terms_of) != ACCEPTED:
                return int(signal.number)
            signal.acted = 1
            symbol.holding, symbol.series, symbol.signal = 1, look_at, signal.number
            symbol.costs, symbol.settled, symbol.mark = symbol.rules, symbol.funding, close[at]
            symbol.at, symbol.due = at + 1, FOREVER
            if at + 1 < one.end:
                symbol.due = open_time[at + 1] + one.tf
            held[book.held] = one.symbol
            book.held += 1
            revalue(symbol, bracket, terms_of, limits)
            recount(book, symbols, brackets, held)
        _look_on(one, signals, open_time, at + 1)
    # Everything that could happen by then has; the next call knows no more of it than the records do.
    sample(book, samples, until)
    return WELL


@kernel(
    types.void(
        _int,
        *(book_type, stops_type, symbol_type[::1], bracket_type[::1], losses_type[::1], fill_type[:, ::1], counts),
        *(limits_type, costs_type[::1], trade_type[::1], trade_fill_type[::1], sample_type[::1]),
    ),
    also=_SOURCES,
)
def end(
    until: int,
    book: Record,
    stops: Record,
    symbols: NDArray[Any],
    brackets: NDArray[Any],
    losses: NDArray[Any],
    fills: NDArray[Any],
    held: NDArray[np.int64],
    limits: Record,
    costs: NDArray[Any],
    trades: NDArray[Any],
    trade_fills: NDArray[Any],
    samples: NDArray[Any],
) -> None:
    """Close what is held at its last price, because the bars end; see `walk` for the arguments."""
    while book.held > 0:
        at = held[0]
        symbol, bracket, terms_of = symbols[at], brackets[at], costs[symbols[at].costs]
        close_out(bracket, terms_of, symbol.mark, until, fills[at])
        settle(
            book,
            stops,
            losses[at],
            limits,
            symbol,
            bracket,
            terms_of,
            fills[at],
            trades[book.trades],
            trade_fills,
            at,
        )
        free(book, symbols, held, at)
        recount(book, symbols, brackets, held)
    row = samples[book.samples]
    row.ts, row.equity, row.peak = until, book.equity, book.peak
    book.samples += 1

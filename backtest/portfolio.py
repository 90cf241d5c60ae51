"""The portfolio's loop: bars happen to brackets, signals are evaluated, and every verdict is written down.

Time goes from one instant at which something can happen to the next: a bar of a series with a bracket ends, or one at
which a signal lives; an entry expires; a symbol ceases to be traded. At each instant brackets come first, of all
symbols, then signals, the shortest timeframe first: what is decided knows every bar that has ended by then and nothing
else. Bars at which nothing can happen cost nothing.

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

from backtest import account, looks, records, rows
from backtest import brackets as bracket_lives
from backtest.account import free, observe, recount, revalue
from backtest.brackets import await_next, halt_of, place, settle
from backtest.looks import describe, end_of, is_over, look_around, look_on
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
    DONE,
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
    looks,
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
        look_on(series[i], signals, open_time, series[i].fresh)
    for k in range(book.held):
        symbol, one = symbols[held[k]], series[symbols[held[k]].series]
        await_next(symbol, brackets[held[k]], one.fresh, end_of(one, open_time, one.fresh))
    now = NEVER
    while True:
        # What comes next: of one instant everything that happens to brackets before the signals.
        ts, holder, looker = FOREVER, -1, -1
        for k in range(book.held):
            if symbols[held[k]].due < ts:
                ts, holder = symbols[held[k]].due, held[k]
        for i in range(series.size):
            if series[i].due < ts:
                ts, holder, looker = series[i].due, -1, i
        if ts > until:
            break
        if ts > now or looker >= 0:
            observe(book)
        now = ts
        sample(book, samples, ts)

        if holder >= 0:
            symbol, bracket = symbols[holder], brackets[holder]
            one, terms_of = series[symbol.series], costs[symbol.costs]
            _turn_day(book, (ts - 1) // DAY)
            if ts == symbol.ends:
                at = symbol.at
                opened = open_time[at]
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
                resolve(
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
                    fills[holder],
                )
                symbol.mark, symbol.marked = close[at], ts
                await_next(symbol, bracket, at + 1, end_of(one, open_time, at + 1))
            elif ts == symbol.halts:
                close_out(bracket, terms_of, symbol.mark, ts, fills[holder])
            else:
                finish(bracket, BY_EXPIRY, ts)
            if bracket.state == DONE:
                settle(
                    book,
                    stops,
                    losses[holder],
                    limits,
                    symbol,
                    bracket,
                    terms_of,
                    fills[holder],
                    trades[book.trades],
                    trade_fills,
                    holder,
                )
                free(book, symbols, held, holder)
            else:
                revalue(symbol, bracket, terms_of, limits)
            recount(book, symbols, brackets, held)
            continue

        _turn_day(book, ts // DAY)
        one = series[looker]
        at = one.at
        symbol = symbols[one.symbol]
        situation.now, situation.ts, situation.tf = ts, ts, one.tf
        situation.close, situation.vol_state = close[at], vol_state[at]
        look_around(situation, symbol, limits, ts, rules_from, news, funding_time, funding_rate)
        for k in range(one.signal, one.signals_end):
            signal = signals[k]
            if signal.ts > ts:
                break
            if is_over(signal, one.tf, ts):
                continue
            of_symbol = losses[one.symbol]
            describe(situation, signal, symbol, book, stops, of_symbol)
            evaluate(situation, limits, rules[symbol.rules], verdict)
            write_account(book, stops, accounts)
            write_standing(book, symbol, of_symbol, standings)
            write_guard(book, symbol, situation, guards)
            row = decisions[book.decisions]
            row.ts, row.close, row.signal, row.vol_state = ts, situation.close, signal.number, vol_state[at]
            row.passed, row.first, row.rules = verdict.passed, verdict.first, symbol.rules
            row.zone_active = situation.zone_active
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
            symbol.holding, symbol.series, symbol.signal = 1, looker, signal.number
            symbol.costs, symbol.settled = symbol.rules, symbol.funding
            symbol.mark, symbol.marked = close[at], ts
            symbol.halts = halt_of(symbol, rules, rules_from)
            await_next(symbol, bracket, at + 1, end_of(one, open_time, at + 1))
            held[book.held] = one.symbol
            book.held += 1
            revalue(symbol, bracket, terms_of, limits)
            recount(book, symbols, brackets, held)
        look_on(one, signals, open_time, at + 1)
    # Everything that could happen by then has; the next call knows no more of it than the records do.
    observe(book)
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
    """Close what is held at its last price, as of the bar that told it; see `walk` for the arguments.

    A bar that did not come is no news: that a symbol's bars had ended before nobody knew until now.
    """
    while book.held > 0:
        at = held[0]
        symbol, bracket, terms_of = symbols[at], brackets[at], costs[symbols[at].costs]
        close_out(bracket, terms_of, symbol.mark, symbol.marked, fills[at])
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
    observe(book)
    row = samples[book.samples]
    row.ts, row.equity, row.peak = until, book.equity, book.peak
    book.samples += 1

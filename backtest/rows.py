"""Writing down what was known: the equity now and then, and for every decision what it was given.

A decision names a row of the account, one of its symbol and one of the guards. Such a row is written when it differs
from the last one, so that a year of evaluations while nothing is held costs one.

Invariant: a row says what the evaluation was given, to the last bit.

    write_account(book, stops, accounts)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.kernel import Record, formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


@formula
def _same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)


@formula
def sample(book: Record, samples: NDArray[Any], until: int) -> None:
    """Write the equity at every boundary before `until` that was not written yet."""
    while book.sampled + book.sample_us < until:
        book.sampled += book.sample_us
        row = samples[book.samples]
        row.ts, row.equity, row.peak = book.sampled, book.equity, book.peak
        book.samples += 1


@formula
def write_account(book: Record, stops: Record, accounts: NDArray[Any]) -> None:
    """Write the account as decisions see it, unless the last row says the same."""
    if book.accounts > 0:
        last = accounts[book.accounts - 1]
        if (
            last.equity == book.equity
            and last.day_start == book.day_start
            and last.peak == book.peak
            and last.long_notional == book.long_notional
            and last.short_notional == book.short_notional
            and last.heat == book.heat
            and last.positions == book.held
            and last.stops_tripped == stops.tripped
        ):
            return
    row = accounts[book.accounts]
    row.equity, row.day_start, row.peak = book.equity, book.day_start, book.peak
    row.long_notional, row.short_notional, row.heat = book.long_notional, book.short_notional, book.heat
    row.positions, row.stops_tripped = book.held, stops.tripped
    book.accounts += 1


@formula
def write_standing(book: Record, symbol: Record, losses: Record, standings: NDArray[Any]) -> None:
    """The same of a symbol."""
    if symbol.standing >= 0:
        last = standings[symbol.standing]
        if (
            last.brackets == symbol.holding
            and last.symbol_notional == symbol.notional
            and last.last_stop == losses.last_stop
            and last.losses_tripped == losses.tripped
        ):
            return
    symbol.standing = book.standings
    row = standings[book.standings]
    row.brackets, row.symbol_notional = symbol.holding, symbol.notional
    row.last_stop, row.losses_tripped = losses.last_stop, losses.tripped
    book.standings += 1


@formula
def write_guard(book: Record, symbol: Record, situation: Record, guards: NDArray[Any]) -> None:
    """The same of what its guards look at."""
    if symbol.guard >= 0:
        last = guards[symbol.guard]
        if (
            last.news == situation.news
            and last.news_limit == situation.news_limit
            and last.funding_last == situation.funding_last
            and last.funding_next == situation.funding_next
            and _same(last.funding_rate, situation.funding_rate)
        ):
            return
    symbol.guard = book.guards
    row = guards[book.guards]
    row.news, row.news_limit = situation.news, situation.news_limit
    row.funding_last, row.funding_next = situation.funding_last, situation.funding_next
    row.funding_rate = situation.funding_rate
    book.guards += 1

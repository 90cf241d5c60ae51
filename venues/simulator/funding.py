"""Funding of the perpetuals: what was settled when, at which rate and mark price, and what is running now.

A settlement is a function of (seed, symbol, time) and of the bars of the interval it ends: the usual interest of
0.01 %, a share of the interval's move, a little noise, all in integers. The interval is 8 hours, of some symbols 4.
Once a year, on 20 January at 12:00, every symbol pays a special rate beside its schedule; where that instant is on
the schedule too, both are settled then. An interval without a single bar settles nothing. The mark price is the last
traded one: there is no index to differ from.

    FundingBook(history, seed=7).settled("BTCUSDT", start_ms=0, end_ms=now_ms)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contracts import Timeframe, from_us, to_us
from venues.simulator.bars import DAY_MS, HOUR_MS, Col, duration_ms

if TYPE_CHECKING:
    from venues.simulator.history import History

USUAL_HOURS = 8
# Symbols that settle more often; fundingInfo lists them.
HOURS = {"ETHUSDT": 4}
RATE_DECIMALS = 8
INTEREST = 10_000  # 0.01 % in units of 10⁻⁸, as all rates here
NOISE = 3_000
MOVE_SHARE = 2_000_000  # rate units for a move of 100 % within an interval
CAP = 300_000
SPECIAL_RATE = 125_000
SPECIAL_DAY = (1, 20, 12)  # month, day, hour
# The exchange states its settlements up to so many milliseconds past the instant they are for.
LATEST_MS = 12


@dataclass(frozen=True, slots=True)
class Settlement:
    """One settled rate.

    Attributes:
        symbol: Of which perpetual.
        at_ms: The instant it is for.
        rate: In units of 10⁻⁸.
        mark: Mark price, in units of the symbol's tick.
        hours: The schedule it was settled by.
        special: Beside the schedule.
    """

    symbol: str
    at_ms: int
    rate: int
    mark: int
    hours: int
    special: bool = False

    def stated_ms(self, by: str) -> int:
        """The time as it is written: some milliseconds late, differently by REST (`rest`) and archive (`archive`)."""
        return self.at_ms + zlib.crc32(f"{by}:{self.symbol}:{self.at_ms}".encode()) % (LATEST_MS + 1)


@dataclass(frozen=True, slots=True)
class Running:
    """What has not been settled yet.

    Attributes:
        rate: As it would be settled now, in units of 10⁻⁸.
        mark: Mark price now, in units of the symbol's tick.
        next_ms: When it will be settled.
    """

    rate: int
    mark: int
    next_ms: int


class FundingBook:
    """Settlements over a history. Thread-safe, keeps nothing itself.

    Args:
        history: Where the bars come from.
        seed: Chooses the noise.
    """

    def __init__(self, history: History, *, seed: int) -> None:
        self._history = history
        self._seed = seed

    def settled(self, symbol: str, *, start_ms: int, end_ms: int) -> list[Settlement]:
        """Settlements for instants in [start, end), oldest first, a special one after the regular one."""
        rules = self._history.rules(symbol)
        start, end = max(start_ms, rules.first_ms), min(end_ms, rules.end_ms + DAY_MS)
        if start >= end:
            return []
        found = [*self._regular(symbol, start, end), *self._special(symbol, start, end)]
        return sorted(found, key=lambda one: (one.at_ms, one.special))

    def page(self, symbol: str, *, start_ms: int | None, end_ms: int, limit: int) -> list[Settlement]:
        """The oldest `limit` settlements in [start, end), or the newest ones before `end` where no start is given."""
        stretch = limit * hours_of(symbol) * HOUR_MS
        first, last = self._history.rules(symbol).first_ms, min(end_ms, self._history.rules(symbol).end_ms + DAY_MS)
        found: list[Settlement] = []
        if start_ms is None:
            while last > first and len(found) < limit:
                found = self.settled(symbol, start_ms=last - stretch, end_ms=last) + found
                last -= stretch
            return found[-limit:]
        low = max(start_ms, first)
        while low < last and len(found) < limit:
            found += self.settled(symbol, start_ms=low, end_ms=min(low + stretch, last))
            low += stretch
        return found[:limit]

    def running(self, symbol: str, now_ms: int) -> Running:
        """What is running at `now`."""
        tf = _interval(symbol)
        opened = now_ms - now_ms % duration_ms(tf)
        bars = self._history.klines(symbol, tf, now_ms=now_ms, limit=1)
        begun, mark = (int(bars[Col.OPEN][-1]), int(bars[Col.CLOSE][-1])) if len(bars) else (1, 1)
        if len(bars) and int(bars[Col.OPEN_MS][-1]) < opened:
            begun = mark  # nothing has traded in this interval yet
        at = opened + duration_ms(tf)
        return Running(self._rate(symbol, at, begun, mark), mark, at)

    def _regular(self, symbol: str, start: int, end: int) -> list[Settlement]:
        # A settlement ends an interval: its rate is known from the bar of that length.
        tf = _interval(symbol)
        length = duration_ms(tf)
        bars = self._history.window(symbol, tf, start_ms=start - length, end_ms=end - length)
        columns = (bars[column].tolist() for column in (Col.OPEN_MS, Col.OPEN, Col.CLOSE))
        return [
            Settlement(symbol, at + length, self._rate(symbol, at + length, begun, mark), mark, length // HOUR_MS)
            for at, begun, mark in zip(*columns, strict=True)
        ]

    def _special(self, symbol: str, start: int, end: int) -> list[Settlement]:
        years = range(from_us(start * 1000).year, from_us(end * 1000).year + 1)
        instants = (to_us(datetime(year, *SPECIAL_DAY, tzinfo=UTC)) // 1000 for year in years)
        found = []
        for at in instants:
            if not start <= at < end:
                continue
            before = self._history.window(symbol, Timeframe.H4, start_ms=at - 4 * HOUR_MS, end_ms=at)
            if len(before):
                mark = int(before[Col.CLOSE][-1])
                found.append(Settlement(symbol, at, SPECIAL_RATE, mark, hours_of(symbol), special=True))
        return found

    def _rate(self, symbol: str, at_ms: int, begun: int, mark: int) -> int:
        noise = zlib.crc32(f"{self._seed}:{symbol}:{at_ms}".encode()) % (2 * NOISE + 1) - NOISE
        rate = INTEREST + noise + (mark - begun) * MOVE_SHARE // begun
        return max(-CAP, min(CAP, rate))


def hours_of(symbol: str) -> int:
    """Hours between two settlements of a symbol."""
    return HOURS.get(symbol, USUAL_HOURS)


def _interval(symbol: str) -> Timeframe:
    return Timeframe(f"{hours_of(symbol)}h")

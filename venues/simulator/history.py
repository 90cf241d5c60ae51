"""What can be seen of a market at a moment: closed bars of every timeframe, and the one that is still forming.

Bars are rolled up from minutes a block at a time and kept in a cache bounded by bytes. A bar is closed once its last
instant has passed; the forming bar is its closed minutes plus the part of the running minute that has happened.
Window rules are those of the exchange (binance-api §3.1): no bound = the newest N, start alone = the oldest N from
there, end alone = the newest N up to there, both = like start; bounds filter on open time and are inclusive.

    History(market).klines("BTCUSDT", Timeframe("15m"), now_ms=now, limit=500)
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from contracts import Timeframe
from venues.simulator.bars import MINUTE_MS, Bars, Col, Matrix, block_of, block_start, duration_ms, empty, join, rollup
from venues.simulator.market import Market, SymbolRules, UnknownSymbol

CACHE_BYTES = 128 * 2**20


class History:
    """Windows of bars over a market. Thread-safe.

    Args:
        market: Where the minutes come from.
        cache_bytes: Upper bound of what is kept of rolled-up blocks.
    """

    def __init__(self, market: Market, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._market = market
        self._cache: OrderedDict[tuple[str, Timeframe, int], Bars] = OrderedDict()
        self._cached = 0
        self._limit = cache_bytes
        self._lock = threading.RLock()

    @property
    def symbols(self) -> dict[str, SymbolRules]:
        """Listed symbols by name."""
        return self._market.symbols

    def rules(self, symbol: str) -> SymbolRules:
        """Rules of one symbol.

        Raises:
            UnknownSymbol: It is not listed.
        """
        try:
            return self._market.symbols[symbol]
        except KeyError:
            msg = f"{symbol!r} is not listed here: use one of {', '.join(self._market.symbols)}"
            raise UnknownSymbol(msg) from None

    def window(self, symbol: str, tf: Timeframe, *, start_ms: int, end_ms: int) -> Bars:
        """All bars that open in [start, end), closed or not yet: the caller keeps `end` in the past."""
        return join(list(self._forward(symbol, tf, start_ms, end_ms, None)))

    def klines(
        self,
        symbol: str,
        tf: Timeframe,
        *,
        now_ms: int,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> Bars:
        """What the exchange answers at `now`: closed bars, then the forming one where the window reaches it."""
        running = now_ms - now_ms % duration_ms(tf)
        low = 0 if start_ms is None else start_ms
        high = now_ms if end_ms is None else min(end_ms, now_ms)
        forming = self.forming(symbol, tf, now_ms) if low <= running <= high else empty()
        closed_end = min(high + 1, running)
        if start_ms is None:
            closed = join(self._backward(symbol, tf, closed_end, limit - len(forming)))
            return join([closed.last(limit - len(forming)), forming])
        closed = join(self._forward(symbol, tf, low, closed_end, limit)).first(limit)
        return join([closed, forming]).first(limit)

    def forming(self, symbol: str, tf: Timeframe, now_ms: int) -> Bars:
        """The bar that `now` falls into, as far as it has come; empty where nothing has traded in it."""
        running = now_ms - now_ms % duration_ms(tf)
        minute = now_ms - now_ms % MINUTE_MS
        minutes = self.window(symbol, Timeframe.M1, start_ms=running, end_ms=minute + MINUTE_MS)
        if len(minutes) and int(minutes[Col.OPEN_MS][-1]) == minute:
            cells = minutes.cells.copy()
            cells[:, -1] = _so_far(cells[:, -1], now_ms - minute)
            minutes = Bars(cells)
        return rollup(minutes, tf)

    def _forward(self, symbol: str, tf: Timeframe, start_ms: int, end_ms: int, limit: int | None) -> list[Bars]:
        rules = self.rules(symbol)
        start, end = max(start_ms, rules.first_ms - duration_ms(tf) + 1), min(end_ms, rules.end_ms)
        parts: list[Bars] = []
        count = 0
        for index in range(block_of(start), block_of(end - 1) + 1 if end > start else block_of(start)):
            part = self._block(symbol, tf, index).window(start, end)
            parts.append(part)
            count += len(part)
            if limit is not None and count >= limit:
                break
        return parts

    def _backward(self, symbol: str, tf: Timeframe, end_ms: int, limit: int) -> list[Bars]:
        rules = self.rules(symbol)
        end = min(end_ms, rules.end_ms)
        parts: list[Bars] = []
        count = 0
        for index in range(block_of(end - 1), block_of(rules.first_ms) - 1, -1):
            if count >= limit:
                break
            part = self._block(symbol, tf, index).window(block_start(index), end)
            parts.append(part)
            count += len(part)
        return parts[::-1]

    def _block(self, symbol: str, tf: Timeframe, index: int) -> Bars:
        key = (symbol, tf, index)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
            if tf is Timeframe.M1:
                bars = self._market.minutes(symbol, index)
            else:
                bars = rollup(self._block(symbol, Timeframe.M1, index), tf)
            self._cache[key] = bars
            self._cached += bars.cells.nbytes
            while self._cached > self._limit and len(self._cache) > 1:
                _, evicted = self._cache.popitem(last=False)
                self._cached -= evicted.cells.nbytes
            return bars


def _so_far(minute: Matrix, elapsed_ms: int) -> Matrix:
    """The running minute after `elapsed_ms`.

    Its path goes open, low, high, close where it rises, open, high, low, close where it falls, a third each. Sums grow
    in proportion. Continuous with the closed bar: at the end of the minute nothing jumps.
    """
    out = minute.copy()
    low_first = minute[Col.CLOSE] >= minute[Col.OPEN]
    turns = [minute[Col.OPEN], minute[Col.HIGH], minute[Col.LOW], minute[Col.CLOSE]]
    if low_first:
        turns[1], turns[2] = turns[2], turns[1]
    leg, part = divmod(min(elapsed_ms, MINUTE_MS - 1) * 3, MINUTE_MS)
    last = int(turns[leg]) + (int(turns[leg + 1]) - int(turns[leg])) * part // MINUTE_MS
    seen = [*(int(turn) for turn in turns[: leg + 1]), last]
    out[Col.HIGH], out[Col.LOW], out[Col.CLOSE] = max(seen), min(seen), last
    for column in range(Col.VOLUME, len(Col)):
        out[column] = int(minute[column]) * elapsed_ms // MINUTE_MS
    return out

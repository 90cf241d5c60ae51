"""Public REST of one market: server time, exchangeInfo, klines, and the funding of USD-M.

Invariant: a candle is returned only if it was closed by the exchange's own clock. `klines` asks the time *before* the
first page, so its limit lies behind the true time whatever the local clock, the network or a simulator's pace do; a
candle that closes while pages are read is left for the next call. Windows are half-open over open times. Pages are
asked for until the window's end or an empty page, so a server that cuts them shorter loses nothing. Holes are not
judged here: `KlinesAnswer` says until where it was asked, the caller compares. Settled funding has no grid (its
interval changes at any time), so its pages overlap by their last instant, which two settlements may share.

    answer = await rest.klines(SeriesKey.parse("binance_usdm:BTCUSDT:1m"), start, end)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from contracts import InstrumentKey, SeriesKey, from_us, to_us
from venues.binance.errors import Answer, BadAnswer, RequestRefused, UnknownSymbol, failure_of, json_body, quoted
from venues.binance.funding import FundingAnswer, FundingInfo, RawFunding, judge_funding
from venues.binance.funding_wire import funding_rows, read_funding_info
from venues.binance.hosts import market
from venues.binance.limits import RequestPool
from venues.binance.rules import ExchangeInfo, read_exchange_info
from venues.binance.transport import Request, Transport
from venues.binance.wire import KlineRow, kline_rows, parse_rows

# A trade of the last instant may still reach a candle after its close time (binance-api.md §3.1).
CLOSE_GRACE = timedelta(seconds=2)
# Most settlements of one page; the pool counts requests, not rows (binance-api.md §9, §12).
FUNDING_PAGE = 1000
_MS = 1000
_SECOND_MS = 1000
_END_OF_TIME_MS = 253_402_300_800_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KlinesAnswer:
    """The closed candles of one window.

    Attributes:
        candles: A candle frame (`CANDLE_SCHEMA`), ascending.
        quarantined: `validation.QUARANTINE_SCHEMA`.
        duplicates: Rows dropped because an equal one was kept.
        closed_until: End of what was asked: every bar that opens in [start, closed_until) was closed. Equal to the
            start where nothing of the window was.
        server_time: The exchange's clock before the first page.
        asked_at: The local clock at the same moment.
    """

    candles: pl.DataFrame
    quarantined: pl.DataFrame
    duplicates: int
    closed_until: datetime
    server_time: datetime
    asked_at: datetime


class BinanceRest:
    """Public endpoints of one market.

    Every method raises Retryable when the venue could not answer in several tries, Halt when it refuses this
    address, BadAnswer when its JSON has not the documented shape.

    Args:
        transport: Sends the requests within the host's weight budget.
        venue: `binance_spot` or `binance_usdm`.
        base_url: Base address of the API, without a slash at the end.
    """

    def __init__(self, transport: Transport, venue: str, base_url: str) -> None:
        self.venue = venue
        self._market = market(venue)
        self._transport = transport
        self._api = base_url.rstrip("/") + self._market.api

    async def server_time(self) -> datetime:
        """The exchange's clock, as it answered; behind its true time by the way back."""
        asked = f"time of {self.venue}"
        value = await self._ask("time", asked=asked, weight=1)
        stated = value.get("serverTime") if isinstance(value, dict) else None
        return _instant(stated, asked=asked)

    async def exchange_info(self, symbols: Collection[str] | None = None) -> ExchangeInfo:
        """Trading rules of the market; its stated weight limit is followed from here on.

        Args:
            symbols: Only these; None = all (on spot an answer of many megabytes).

        Raises:
            UnknownSymbol: One of `symbols` is not listed.
            BadAnswer: The rules of one of `symbols` could not be read.
        """
        wanted = sorted(symbols or ())
        asked = f"exchangeInfo of {self.venue}" + (f" for {', '.join(wanted)}" if wanted else "")
        params: dict[str, str | int] = {}
        if self.venue == "binance_spot":  # USD-M takes no parameters
            params["showPermissionSets"] = "false"
            if wanted:
                params["symbols"] = json.dumps(wanted, separators=(",", ":"), ensure_ascii=False)
        seen_at = self._now()
        value = await self._ask("exchangeInfo", asked=asked, weight=self._market.exchange_info_weight, params=params)
        info = read_exchange_info(value, self.venue, seen_at=seen_at, asked=asked)
        if info.weight_limit is not None:
            self._transport.budget.limit_is(info.weight_limit)
        for symbol in wanted:
            if symbol in info.unreadable:
                msg = f"{asked}: the rules of {symbol} cannot be read: {info.unreadable[symbol]}"
                raise BadAnswer(msg)
            if symbol not in info.symbols:
                msg = f"{asked}: {self.venue} lists no symbol {symbol!r}; check its spelling and venue"
                raise UnknownSymbol(msg)
        return info

    async def klines(
        self, key: SeriesKey, start: datetime, end: datetime, *, grace: timedelta = CLOSE_GRACE
    ) -> KlinesAnswer:
        """The closed candles that open in [start, end), oldest first.

        Args:
            key: The series.
            start: First instant a candle may open at.
            end: First instant after the window; may lie in the future.
            grace: How long a candle must have been closed.

        Raises:
            UnknownSymbol: The venue does not know the symbol.
            RequestRefused: The window is empty or begins in the future, or the key belongs to another venue.
        """
        asked = f"klines of {key} from {start.isoformat()} to {end.isoformat()}"
        self._refuse_foreign(key, asked)
        if start >= end:
            msg = f"{asked}: the window is empty; it is half-open, [start, end)"
            raise RequestRefused(msg)
        asked_at = self._now()
        server_time = await self.server_time()
        if start > server_time + key.tf.duration:
            msg = f"{asked}: the window begins in the future; the exchange's clock reads {server_time.isoformat()}"
            raise RequestRefused(msg)
        first = key.tf.ceil(start)
        closed_until = max(first, min(key.tf.ceil(end), key.tf.floor(server_time - grace)))
        rows = await self._rows(key, first, closed_until, asked=asked)
        parsed = parse_rows(rows, key.tf, start=first, end=closed_until)
        if not parsed.quarantined.is_empty():
            _log.warning("rows quarantined", extra={"series": str(key), "rows": parsed.quarantined.height})
        return KlinesAnswer(parsed.candles, parsed.quarantined, parsed.duplicates, closed_until, server_time, asked_at)

    async def first_open_time(self, key: SeriesKey) -> datetime | None:
        """Open time of the oldest candle the exchange has; None = it has none. Spot states no listing date.

        Raises:
            UnknownSymbol: The venue does not know the symbol.
        """
        asked = f"oldest kline of {key}"
        self._refuse_foreign(key, asked)
        rows = await self._page(key, from_us(0), None, limit=1, asked=asked)
        return _instant(int(rows[0][0]), asked=asked) if rows else None

    async def funding_rates(self, instrument: InstrumentKey, start: datetime, end: datetime) -> FundingAnswer:
        """The settled funding rates of [start, end), oldest first.

        One question costs two requests of the funding pool where a page holds the window, so a long window is cheaper
        than its months one by one.

        Args:
            instrument: A USD-M perpetual.
            start: First instant a settlement may be for.
            end: First instant after the window; may lie in the future.

        Raises:
            UnknownSymbol: The venue does not know the symbol.
            RequestRefused: The window is empty, or the instrument is of spot or of another venue.
        """
        asked = f"funding rates of {instrument} from {start.isoformat()} to {end.isoformat()}"
        self._refuse_foreign(instrument, asked)
        self._refuse_without_funding(asked)
        if start >= end:
            msg = f"{asked}: the window is empty; it is half-open, [start, end)"
            raise RequestRefused(msg)
        asked_at = self._now()
        rows: list[RawFunding] = []
        # Times are floored to the second once they are read: a settlement belongs to the window by that second.
        cursor, after = (-(-to_us(bound) // 1_000_000) * _SECOND_MS for bound in (start, end))
        overlaps = False
        while cursor < after:
            page = await self._funding_page(instrument.symbol, cursor, after, asked=asked)
            if not page:
                break
            times = [time for time, _ in page]
            last = max(times)
            if min(times) < cursor or last >= after:
                msg = f"{asked}: rows outside the page [{cursor}, {after}) ms were received"
                raise BadAnswer(msg)
            # A page may be cut between two settlements of one instant: its last instant is asked for again, and a
            # page that brings nothing beyond that is the end.
            several = min(times) < last
            rows += [row for time, row in page if time < last or not several]
            if overlaps and not several and len(page) < FUNDING_PAGE:
                break
            cursor, overlaps = (last, True) if several else (last + 1, False)
        parsed = judge_funding(rows, start=start, end=end)
        if not parsed.quarantined.is_empty():
            _log.warning("rows quarantined", extra={"funding": str(instrument), "rows": parsed.quarantined.height})
        return FundingAnswer(parsed.rates, parsed.quarantined, parsed.duplicates, asked_at)

    async def funding_info(self) -> FundingInfo:
        """Which symbols settle on other terms than every 8 hours within the usual bounds.

        Raises:
            RequestRefused: This is spot, which has no funding.
        """
        asked = f"fundingInfo of {self.venue}"
        self._refuse_without_funding(asked)
        asked_at = self._now()
        value = await self._ask("fundingInfo", asked=asked, weight=0, pool=self._transport.budget.funding)
        return read_funding_info(value, asked_at=asked_at, asked=asked)

    async def _funding_page(
        self, symbol: str, start_ms: int, end_ms: int, *, asked: str
    ) -> list[tuple[int, RawFunding]]:
        params: dict[str, str | int] = {
            "symbol": symbol,
            "startTime": start_ms,
            "endTime": end_ms - 1,  # both ends are inclusive
            "limit": FUNDING_PAGE,
        }
        pool = self._transport.budget.funding
        value = await self._ask("fundingRate", asked=asked, weight=0, params=params, pool=pool)
        return funding_rows(value, symbol=symbol, asked=asked)

    async def _rows(self, key: SeriesKey, start: datetime, end: datetime, *, asked: str) -> list[KlineRow]:
        rows: list[KlineRow] = []
        cursor = start
        while cursor < end:
            page = await self._page(
                key, cursor, end, limit=min(self._market.page_limit, key.tf.bars_in(cursor, end)), asked=asked
            )
            if not page:
                break
            opened = [int(row[0]) * _MS for row in page]
            if min(opened) < to_us(cursor) or max(opened) >= to_us(end):
                msg = f"{asked}: rows outside the page [{cursor.isoformat()}, {end.isoformat()}) were received"
                raise BadAnswer(msg)
            rows += page
            cursor = from_us(key.tf.floor_us(max(opened)) + key.tf.us)
        return rows

    async def _page(
        self, key: SeriesKey, start: datetime, end: datetime | None, *, limit: int, asked: str
    ) -> list[KlineRow]:
        params: dict[str, str | int] = {
            "symbol": key.symbol,
            "interval": key.tf.value,
            "startTime": to_us(start) // _MS,
            "limit": limit,
        }
        if end is not None:
            params["endTime"] = to_us(end) // _MS - 1  # both ends are inclusive
        weight = self._market.klines_weight(limit)
        value = await self._ask("klines", asked=asked, weight=weight, params=params)
        return kline_rows(value, asked=asked)

    async def _ask(
        self,
        endpoint: str,
        *,
        asked: str,
        weight: int,
        params: dict[str, str | int] | None = None,
        pool: RequestPool | None = None,
    ) -> object:
        def read(answer: Answer) -> object:
            if answer.status != 200:
                raise failure_of(answer, asked=asked, now=self._transport.clock())
            return json_body(answer, asked=asked)

        address = f"{self._api}/{endpoint}"
        request = Request("GET", address, asked=asked, params=params or {}, weight=weight, pool=pool)
        return await self._transport.send(request, read)

    def _refuse_foreign(self, key: SeriesKey | InstrumentKey, asked: str) -> None:
        if key.venue != self.venue:
            msg = f"{asked}: this client speaks to {self.venue}"
            raise RequestRefused(msg)

    def _refuse_without_funding(self, asked: str) -> None:
        if not self._market.has_funding:
            msg = f"{asked}: {self.venue} has no funding; only perpetuals do"
            raise RequestRefused(msg)

    def _now(self) -> datetime:
        return from_us(int(self._transport.clock() * 1_000_000))


def _instant(stated: object, *, asked: str) -> datetime:
    # No datetime is later than the year 9999.
    if type(stated) is not int or not 0 <= stated < _END_OF_TIME_MS:
        msg = f"{asked}: an instant in milliseconds was expected, received {quoted(repr(stated).encode())}"
        raise BadAnswer(msg)
    return from_us(stated * _MS)

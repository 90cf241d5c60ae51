"""The public REST endpoints of one market: ping, time, exchangeInfo, klines; uiKlines on spot, funding on USD-M.

Every request is charged its weight by address, answered with the used weight in a header, and may meet a fault.
A simulated address can be given in `X-Forwarded-For`, so that one test can be several clients. Answers come from the
clock: the newest klines row is the forming bar. Orders and accounts are not simulated yet.

    Route("/api/v3/klines", Rest(exchange, SPOT).klines)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from venues.simulator.faults import FUNDING_ROWS, KLINES_ROWS, Fault
from venues.simulator.funding import HOURS, LATEST_MS
from venues.simulator.funding_wire import info_row, premium_row, rate_row
from venues.simulator.info import exchange_info
from venues.simulator.limits import FUNDING_WINDOW_SECONDS, Verdict, WeightLimiter
from venues.simulator.params import ApiError, read, read_funding, read_klines, read_symbols
from venues.simulator.profiles import FUNDING_ENDPOINTS
from venues.simulator.spoilt import spoilt_bars, spoilt_settlements
from venues.simulator.wire import klines_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from venues.simulator.exchange import Exchange
    from venues.simulator.market import SymbolRules
    from venues.simulator.profiles import VenueProfile

Endpoint = Callable[["Request"], Awaitable[Response]]

WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
UNIT_HEADER = "X-MBX-TIME-UNIT"
GARBAGE = "<html><head><title>Service unavailable</title></head><body>upstream</body></html>"
# Settlements of one instant: what the milliseconds they are stated late can push over a bound.
SAME_INSTANT = 2
_ANSWERS = frozenset({"status", "garbage"})
_ANSWERING = frozenset({"status", "garbage", "slow"})


class Rest:
    """Routes of one market."""

    def __init__(self, exchange: Exchange, venue: VenueProfile) -> None:
        self._exchange = exchange
        self._venue = venue
        limits = {"spot": exchange.config.spot_weight_limit, "usdm": exchange.config.usdm_weight_limit}
        self._limiter = WeightLimiter(limits[venue.name], ticks=exchange.ticks)
        self._funding_limiter = WeightLimiter(
            exchange.config.usdm_funding_limit, ticks=exchange.ticks, window_seconds=FUNDING_WINDOW_SECONDS
        )

    def routes(self) -> list[Route]:
        """All endpoints of this market."""
        base, spot = self._venue.base, self._venue.name == "spot"
        routes = [
            Route(f"{base}/ping", self._served("ping", self._ping)),
            Route(f"{base}/time", self._served("time", self._time)),
            Route(f"{base}/exchangeInfo", self._served("exchangeInfo", self._info)),
            Route(f"{base}/klines", self._served("klines", self._klines)),
        ]
        if spot:
            routes.append(Route(f"{base}/uiKlines", self._served("klines", self._klines)))
            methods = ["POST", "PUT", "DELETE"]
            routes.append(Route(f"{base}/userDataStream", self._served("gone", self._gone), methods=methods))
        else:
            routes.append(Route(f"{base}/fundingRate", self._served("fundingRate", self._funding_rate)))
            routes.append(Route(f"{base}/fundingInfo", self._served("fundingInfo", self._funding_info)))
            routes.append(Route(f"{base}/premiumIndex", self._served("premiumIndex", self._premium_index)))
        return routes

    def _served(self, endpoint: str, answer: Endpoint) -> Endpoint:
        async def serve(request: Request) -> Response:
            address = request.headers.get("x-forwarded-for") or (request.client.host if request.client else "")
            everyone = endpoint == "premiumIndex" and "symbol" not in request.query_params
            weighed = "premiumIndexes" if everyone else endpoint
            verdict = self._limiter.charge(address, self._venue.weight_of(weighed, limit=_asked_limit(request)))
            refusal = self._refusal(verdict, self._limiter, "request weight per 1 MINUTE")
            if refusal is None and endpoint in FUNDING_ENDPOINTS:
                pooled = self._funding_limiter.charge(address, 1)
                refusal = self._refusal(pooled, self._funding_limiter, "requests per 5 MINUTE")
            try:
                response = refusal or await self._fault(request) or await answer(request)
            except ApiError as error:
                response = _json({"code": error.code, "msg": error.msg}, status=error.status)
            response.headers[WEIGHT_HEADER] = str(verdict.used)
            return response

        return serve

    def _refusal(self, verdict: Verdict, limiter: WeightLimiter, unit: str) -> Response | None:
        if verdict.status == 200:
            return None
        advice = "Please use WebSocket Streams for live updates to avoid"
        if verdict.status == 429:
            text = f"Too much request weight used; current limit is {limiter.limit} {unit}. {advice}"
            text += " polling the API."
        else:
            until = self._exchange.clock.now_ms() + verdict.retry_after * 1000
            text = f"Way too much request weight used; IP banned until {until}. {advice} bans."
        response = _json({"code": -1003, "msg": text}, status=verdict.status)
        response.headers["Retry-After"] = str(verdict.retry_after)
        return response

    async def _fault(self, request: Request) -> Response | None:
        fault = self._take(request, _ANSWERING)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            fault = self._take(request, _ANSWERS)
        return None if fault is None else fault_response(fault)

    def _take(self, request: Request, kinds: frozenset[str]) -> Fault | None:
        return self._exchange.faults.take(self._venue.name, request.url.path, request.url.query, kinds=kinds)

    async def _ping(self, request: Request) -> Response:
        read(request.query_params.multi_items(), self._venue, known=())
        return _json({})

    async def _time(self, request: Request) -> Response:
        read(request.query_params.multi_items(), self._venue, known=())
        clock = self._exchange.clock
        return _json({"serverTime": clock.now_us() if self._microseconds(request) else clock.now_ms()})

    async def _info(self, request: Request) -> Response:
        chosen = self._chosen(request)
        limit, clock = self._limiter.limit, self._exchange.clock
        now = clock.now_us() if self._microseconds(request) else clock.now_ms()
        return _json(exchange_info(chosen, self._venue, now_ms=now, weight_limit=limit))

    def _chosen(self, request: Request) -> Sequence[SymbolRules]:
        listed = self._exchange.history.symbols
        if self._venue.name != "spot":
            return list(listed.values())
        known = ("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus")
        values = read(request.query_params.multi_items(), self._venue, known=known)
        names = [values["symbol"]] if "symbol" in values else list(listed)
        if "symbols" in values:
            names = _names(values["symbols"])
        if any(name not in listed for name in names):
            raise ApiError(-1121, "Invalid symbol.")
        trading = values.get("symbolStatus", "TRADING") == "TRADING"
        return [listed[name] for name in names] if trading else []

    async def _klines(self, request: Request) -> Response:
        listed = self._exchange.history.symbols
        query = read_klines(request.query_params.multi_items(), self._venue, listed)
        now_ms = self._exchange.clock.now_ms()

        def body() -> bytes:
            bars = self._exchange.history.klines(
                query.symbol, query.tf, now_ms=now_ms, limit=query.limit, start_ms=query.start_ms, end_ms=query.end_ms
            )
            rules, microseconds = listed[query.symbol], self._microseconds(request)
            shown = spoilt_bars(bars, self._row_faults(request, KLINES_ROWS))
            return klines_json(shown, rules, self._venue, query.tf, microseconds=microseconds)

        # A block of history may have to be made first; the loop stays free for the others meanwhile.
        return Response(await asyncio.to_thread(body), media_type="application/json;charset=UTF-8")

    async def _funding_rate(self, request: Request) -> Response:
        listed = self._exchange.history.symbols
        query = read_funding(request.query_params.multi_items(), self._venue, listed)
        now_ms = self._exchange.clock.now_ms()
        end_ms = now_ms if query.end_ms is None else min(query.end_ms, now_ms)

        def rows() -> list[dict[str, Any]]:
            faults, found = self._row_faults(request, FUNDING_ROWS), []
            for symbol in query.symbols:
                page = self._exchange.funding.page(
                    symbol, start_ms=_from(query.start_ms), end_ms=end_ms + 1, limit=query.limit + SAME_INSTANT
                )
                shown = (rate_row(one, listed[symbol]) for one in spoilt_settlements(page, faults))
                found += [row for row in shown if (query.start_ms or 0) <= row["fundingTime"] <= end_ms]
            if len(query.symbols) > 1:
                found.sort(key=lambda row: row["fundingTime"])
            return found[: query.limit] if query.start_ms is not None else found[-query.limit :]

        return _json(await asyncio.to_thread(rows))

    async def _funding_info(self, request: Request) -> Response:
        read(request.query_params.multi_items(), self._venue, known=())
        listed = self._exchange.history.symbols
        return _json(
            [info_row(name, HOURS[name], updated_ms=listed[name].first_ms) for name in listed if name in HOURS]
        )

    async def _premium_index(self, request: Request) -> Response:
        values = read(request.query_params.multi_items(), self._venue, known=("symbol",))
        listed, now_ms = self._exchange.history.symbols, self._exchange.clock.now_ms()

        def rows() -> list[dict[str, Any]]:
            running = self._exchange.funding.running
            return [
                premium_row(running(name, now_ms), listed[name], now_ms=now_ms) for name in read_symbols(values, listed)
            ]

        found = await asyncio.to_thread(rows)
        return _json(found[0] if "symbol" in values else found)

    def _row_faults(self, request: Request, kinds: frozenset[str]) -> tuple[Fault, ...]:
        # Rows are missing from so many answers; what they say otherwise, they say until cleared.
        url = request.url
        standing = self._exchange.faults.standing(self._venue.name, url.path, url.query, kinds=kinds)
        hidden = self._take(request, frozenset({"hide_rows"}))
        return standing if hidden is None else (hidden, *standing)

    async def _gone(self, request: Request) -> Response:
        del request
        raise ApiError(-1000, "This endpoint has been retired; use the WebSocket API.", status=410)

    def _microseconds(self, request: Request) -> bool:
        return self._venue.microseconds and request.headers.get(UNIT_HEADER, "").upper() == "MICROSECOND"


def fault_response(fault: Fault) -> Response:
    """The answer a `status` or `garbage` fault asks for."""
    if fault.kind == "garbage":
        return Response(fault.body or GARBAGE, media_type="text/html")
    body = fault.body or json.dumps({"code": -1003 if fault.status in {418, 429} else -1000, "msg": "simulated"})
    media = "application/json;charset=UTF-8" if body.startswith("{") else "text/plain"
    response = Response(body, status_code=fault.status, media_type=media)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _from(stated_ms: int | None) -> int | None:
    # What is stated some milliseconds late may be for an instant before the bound.
    return None if stated_ms is None else stated_ms - LATEST_MS


def _asked_limit(request: Request) -> int:
    text = request.query_params.get("limit", "500")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 500


def _names(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ApiError(-1100, "Illegal characters found in parameter 'symbols'; legal range is '[\"A\",\"B\"]'.")
    return names


def _json(document: Any, *, status: int = 200) -> Response:  # noqa: ANN401 - any JSON document
    body = json.dumps(document, separators=(",", ":"))
    return Response(body, status_code=status, media_type="application/json;charset=UTF-8")

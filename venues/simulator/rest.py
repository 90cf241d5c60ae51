"""The public REST endpoints of one market: ping, time, exchangeInfo, klines (and uiKlines on spot).

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

import numpy as np
from starlette.responses import Response
from starlette.routing import Route

from venues.simulator.bars import Bars, Col
from venues.simulator.faults import Fault
from venues.simulator.info import exchange_info
from venues.simulator.limits import Verdict, WeightLimiter
from venues.simulator.params import ApiError, read, read_klines
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
_ANSWERS = frozenset({"status", "garbage"})
_ANSWERING = frozenset({"status", "garbage", "slow"})


class Rest:
    """Routes of one market."""

    def __init__(self, exchange: Exchange, venue: VenueProfile) -> None:
        self._exchange = exchange
        self._venue = venue
        limits = {"spot": exchange.config.spot_weight_limit, "usdm": exchange.config.usdm_weight_limit}
        self._limiter = WeightLimiter(limits[venue.name], ticks=exchange.ticks)

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
        return routes

    def _served(self, endpoint: str, answer: Endpoint) -> Endpoint:
        async def serve(request: Request) -> Response:
            address = request.headers.get("x-forwarded-for") or (request.client.host if request.client else "")
            verdict = self._limiter.charge(address, self._venue.weight_of(endpoint, limit=_asked_limit(request)))
            try:
                response = self._refusal(verdict) or await self._fault(request) or await answer(request)
            except ApiError as error:
                response = _json({"code": error.code, "msg": error.msg}, status=error.status)
            response.headers[WEIGHT_HEADER] = str(verdict.used)
            return response

        return serve

    def _refusal(self, verdict: Verdict) -> Response | None:
        if verdict.status == 200:
            return None
        advice = "Please use WebSocket Streams for live updates to avoid"
        if verdict.status == 429:
            limit = self._limiter.limit
            text = f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. {advice}"
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
            return klines_json(
                self._without_hidden(request, bars), rules, self._venue, query.tf, microseconds=microseconds
            )

        # A block of history may have to be made first; the loop stays free for the others meanwhile.
        return Response(await asyncio.to_thread(body), media_type="application/json;charset=UTF-8")

    def _without_hidden(self, request: Request, bars: Bars) -> Bars:
        fault = self._take(request, frozenset({"hide_rows"}))
        if fault is None:
            return bars
        return Bars(bars.cells[:, ~np.isin(bars[Col.OPEN_MS].astype(np.int64), fault.open_times)])

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

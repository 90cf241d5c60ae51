import asyncio
from datetime import date

import httpx
import pytest

from contracts import SeriesKey
from contracts.errors import Halt
from tests.venues.binance.fakes import HOSTS, Clock, Script, refusal, utc
from venues.binance.client import open_market_data
from venues.binance.hosts import VenueHosts
from venues.binance.limits import WeightBudget


def test_each_venue_has_its_readers_and_they_reach_the_configured_hosts() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.url.host}{request.url.path}")
        return httpx.Response(200, json={"serverTime": 0}) if "time" in request.url.path else httpx.Response(404)

    async def scene() -> None:
        async with open_market_data(HOSTS, inner=httpx.MockTransport(handler)) as data:
            await data.rest("binance_spot").server_time()
            await data.rest("binance_usdm").server_time()
            assert (
                await data.archive("binance_usdm").month(SeriesKey("binance_usdm", "A", "1h"), date(2024, 5, 1)) is None
            )

    asyncio.run(scene())
    assert asked[:2] == ["spot.test/api/v3/time", "usdm.test/fapi/v1/time"]
    assert asked[2] == "archive.test/data/futures/um/monthly/klines/A/1h/A-1h-2024-05.zip.CHECKSUM"


def test_a_ban_is_remembered_by_budgets_that_are_handed_in_again_and_is_the_banned_hosts_alone() -> None:
    clock = Clock()
    budgets: dict[str, WeightBudget] = {}
    script = Script(
        {
            "/api/v3/time": [refusal(418, -1003, "Way too many requests.", Retry_After="600")],
            "/fapi/v1/time": [httpx.Response(200, json={"serverTime": 0})],
        }
    )

    async def ask(venue: str) -> None:
        async with open_market_data(
            HOSTS, budgets=budgets, inner=httpx.MockTransport(script), clock=clock, sleep=clock.sleep
        ) as data:
            await data.rest(venue).server_time()

    for _ in range(2):
        with pytest.raises(Halt):
            asyncio.run(ask("binance_spot"))
    asyncio.run(ask("binance_usdm"))
    assert script.asked == ["GET /api/v3/time", "GET /fapi/v1/time"]


def test_a_venue_that_binance_does_not_have_is_refused_by_name() -> None:
    async def scene() -> None:
        async with open_market_data({"kraken": VenueHosts("https://kraken.test")}):
            pass

    with pytest.raises(ValueError, match="unknown venue 'kraken'"):
        asyncio.run(scene())


def test_a_simulator_on_this_machine_is_reached_past_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.invalid:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"serverTime":1640995200000}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def scene() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, open_market_data({"binance_spot": VenueHosts(address, address)}) as data:
            assert await data.rest("binance_spot").server_time() == utc(2022, 1, 1)

    asyncio.run(scene())

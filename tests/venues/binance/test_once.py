"""Every way in which one exchange can break, sorted into two: never sent, and perhaps executed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import httpx
import pytest

from tests.venues.binance.counterpart import Counterpart, Step, drip, half_an_answer, hang_up, reply, silence
from venues.binance.errors import Answer
from venues.binance.once import Bounds, NoAnswer, NotSent, connections, exchange

SHORT = Bounds(connect_s=0.2, whole_s=0.2, most_bytes=100)


def over_sockets(step: Step) -> Answer:
    async def scene() -> Answer:
        async with Counterpart(step).serving() as venue, connections() as http:
            return await exchange(http, httpx.Request("GET", venue.base + "/x?a=%2F+b"), asked="x", bounds=SHORT)

    return asyncio.run(scene())


def over(handler: Callable[[httpx.Request], httpx.Response]) -> Answer:
    request = httpx.Request("POST", "https://venue.test/x", content=b"a=1")
    return asyncio.run(exchange(httpx.MockTransport(handler), request, asked="x", bounds=SHORT))


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("no way"), httpx.ConnectTimeout("too far"), httpx.PoolTimeout("full")]
)
def test_a_connection_that_was_never_made_sent_nothing(error: httpx.TransportError) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(NotSent, match="nothing was executed"):
        over(handler)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.CloseError("reset"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.LocalProtocolError("bad state"),
        httpx.DecodingError("no gzip"),
        httpx.StreamClosed(),
        ssl.SSLError("bad record"),
        ConnectionResetError(),
        TimeoutError(),
        RuntimeError("closed"),
    ],
)
def test_whatever_else_breaks_may_have_been_executed(error: Exception) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(NoAnswer, match="may have been executed"):
        over(handler)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (silence, "within 0.2 s"),
        (hang_up, "RemoteProtocolError"),
        (half_an_answer, "RemoteProtocolError"),
        (b"SSH-2.0-nonsense\r\n\r\n", "RemoteProtocolError"),
        (reply(200, "x" * 101), "exceeds 100 bytes"),
        (reply(200, b"plain", Content_Encoding="gzip"), "DecodingError"),
    ],
)
def test_over_real_sockets_it_is_the_same(step: Step, why: str) -> None:
    with pytest.raises(NoAnswer, match=why):
        over_sockets(step)


def test_an_answer_that_drips_ends_at_the_time_limit() -> None:
    async def scene() -> None:
        bounds = Bounds(connect_s=0.2, whole_s=0.2)
        async with Counterpart(drip).serving() as venue, connections() as http:
            with pytest.raises(NoAnswer, match="within"):
                await exchange(http, httpx.Request("GET", venue.base + "/x"), asked="x", bounds=bounds)

    asyncio.run(scene())


def test_an_answer_that_was_given_up_leaves_its_place_among_the_connections() -> None:
    async def scene() -> int:
        limits = httpx.Limits(max_connections=1)
        long = reply(200, "x" * 2_000_000)
        async with (
            Counterpart(long, reply(200, "")).serving() as venue,
            httpx.AsyncHTTPTransport(limits=limits) as http,
        ):
            with pytest.raises(NoAnswer, match="exceeds"):
                await exchange(http, httpx.Request("GET", venue.base + "/x"), asked="x", bounds=SHORT)
            answer = await exchange(http, httpx.Request("GET", venue.base + "/x"), asked="x", bounds=SHORT)
            return answer.status

    assert asyncio.run(scene()) == 200


def test_an_answer_is_read_to_its_end_with_headers_in_lower_case() -> None:
    answer = over_sockets(reply(429, "x" * 100, Retry_After="7"))
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, b"x" * 100, "7")


def test_being_called_off_leaves_as_it_is() -> None:
    async def scene() -> None:
        async with Counterpart(silence).serving() as venue, connections() as http:
            task = asyncio.create_task(exchange(http, httpx.Request("GET", venue.base + "/x"), asked="x"))
            await venue.has_received(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(scene())

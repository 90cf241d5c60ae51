import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from contracts.errors import DataRejected, Halt, Rejected, Retryable
from tests.venues.binance.fakes import NOW, POLICY, Clock, Script, refusal
from venues.binance.errors import Answer, failure_of
from venues.binance.limits import RequestPool, WeightBudget
from venues.binance.transport import Request, RetryPolicy, Transport

OK = httpx.Response(200, content=b"fine")


class Drip(httpx.AsyncByteStream):
    """A body that never ends."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.001)
            yield b"."


def read(answer: Answer) -> str:
    if answer.status != 200:
        raise failure_of(answer, asked="a page", now=NOW)
    return answer.body.decode()


def send(
    handler: Callable[[httpx.Request], httpx.Response],
    *,
    clock: Clock | None = None,
    url: str = "https://venue.test/page",
    weight: int = 0,
    most_bytes: int = 1000,
    policy: RetryPolicy = POLICY,
    calls: int = 1,
    pool: RequestPool | None = None,
) -> str:
    clock = clock or Clock()
    budget = WeightBudget("venue.test", 100, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5)

    async def scene() -> str:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            transport = Transport(client, budget, policy=policy, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5)
            request = Request("GET", url, asked="a page", weight=weight, pool=pool, most_bytes=most_bytes)
            answers = [await transport.send(request, read) for _ in range(calls)]
            return answers[-1]

    return asyncio.run(scene())


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
        httpx.Response(500),
        httpx.Response(503, text="Service Unavailable."),
        refusal(400, -1001, "Internal error; unable to process your request. Please try again."),
    ],
)
def test_a_passing_trouble_is_asked_again(trouble: httpx.Response | Exception) -> None:
    clock = Clock()
    venue = Script({"/page": [trouble, trouble, OK]})
    assert send(venue, clock=clock) == "fine"
    assert clock.slept == [0.5, 1.0]


def test_a_lasting_trouble_is_given_up_after_a_fixed_number_of_tries() -> None:
    venue = Script({"/page": [httpx.Response(500)]})
    with pytest.raises(Retryable, match="given up after 3 tries"):
        send(venue)
    assert len(venue.requests) == 3


def test_a_refusal_is_not_asked_again() -> None:
    venue = Script({"/page": [refusal(400, -1121, "Invalid symbol.")]})
    with pytest.raises(Rejected):
        send(venue)
    assert len(venue.requests) == 1


def test_a_429_is_asked_again_after_the_time_it_named() -> None:
    clock = Clock()
    venue = Script({"/page": [refusal(429, -1003, "Too many requests.", Retry_After="7"), OK]})
    assert send(venue, clock=clock) == "fine"
    assert clock.now == NOW + 7.0


def test_a_503_that_names_a_time_is_asked_again_after_it() -> None:
    clock = Clock()
    assert send(Script({"/page": [httpx.Response(503, headers={"Retry-After": "9"}), OK]}), clock=clock) == "fine"
    assert clock.slept == [9.0]


def test_a_429_without_a_time_is_asked_again_in_the_next_minute() -> None:
    clock = Clock()
    assert send(Script({"/page": [refusal(429, -1003, "Too many requests."), OK]}), clock=clock) == "fine"
    assert clock.now == NOW + 50.5


def test_a_429_that_names_a_long_time_is_handed_to_the_caller() -> None:
    clock = Clock()
    with pytest.raises(Retryable) as caught:
        send(Script({"/page": [refusal(429, -1003, "Too many requests.", Retry_After="900"), OK]}), clock=clock)
    assert caught.value.retry_after == 900.0
    assert clock.slept == []


def test_after_a_ban_nothing_more_is_sent() -> None:
    clock = Clock()
    until = int((NOW + 3600) * 1000)
    venue = Script({"/page": [refusal(418, -1003, f"Way too many requests; IP banned until {until}."), OK]})
    budget = WeightBudget("venue.test", 100, clock=clock, sleep=clock.sleep)

    async def scene() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(venue)) as client:
            transport = Transport(client, budget, policy=POLICY, clock=clock, sleep=clock.sleep)
            request = Request("GET", "https://venue.test/page", asked="a page")
            with pytest.raises(Halt) as first:
                await transport.send(request, read)
            assert first.value.retry_after == 3600.0
            clock.now += 600
            with pytest.raises(Halt) as later:
                await transport.send(request, read)
            assert later.value.retry_after == 3000.0
            assert len(venue.requests) == 1
            clock.now += 3000
            assert await transport.send(request, read) == "fine"

    asyncio.run(scene())


def test_the_used_weight_header_slows_the_next_request() -> None:
    clock = Clock()
    busy = httpx.Response(200, content=b"fine", headers={"X-MBX-USED-WEIGHT-1M": "79"})
    assert send(Script({"/page": [busy]}), clock=clock, weight=2, calls=2) == "fine"
    assert clock.slept == [50.5]


def test_weight_is_taken_for_every_try() -> None:
    clock = Clock()
    venue = Script({"/page": [httpx.Response(500), OK]})
    send(venue, clock=clock, weight=50)
    assert clock.slept == [0.5, 50.0]  # the second try found 30 of 80 left


def test_a_body_above_its_limit_is_rejected_unread() -> None:
    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Drip())

    with pytest.raises(DataRejected, match="exceeds 10 bytes"):
        send(endless, most_bytes=10)


def test_an_answer_that_drips_for_ever_ends_at_the_time_limit() -> None:
    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Drip())

    with pytest.raises(Retryable, match="no complete answer"):
        send(endless, most_bytes=10**9, policy=RetryPolicy(attempts=1, attempt_timeout_s=0.05))


@pytest.mark.parametrize("url", ["ftp://venue.test/page", "venue.test/page", "https://venue.test:port/page"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    clock = Clock()

    async def scene() -> None:
        async with httpx.AsyncClient() as client:
            budget = WeightBudget("venue.test", 100, clock=clock, sleep=clock.sleep)
            await Transport(client, budget, clock=clock, sleep=clock.sleep).send(
                Request("GET", url, asked="a page"), read
            )

    with pytest.raises(Rejected, match="correct it in the settings"):
        asyncio.run(scene())
    assert clock.slept == []


def test_back_off_doubles_up_to_its_bound() -> None:
    policy = RetryPolicy(first_wait_s=0.5, longest_wait_s=3.0)
    assert [policy.wait(tries, 1.0) for tries in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert policy.wait(3, 0.0) == 0.0


def test_a_connection_cut_in_the_middle_of_a_body_is_asked_again_over_real_sockets() -> None:
    clock = Clock()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    bodies = [b"fi", b"fine"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + bodies.pop(0))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def scene() -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, httpx.AsyncClient(trust_env=False) as client:
            budget = WeightBudget("loopback", 100, clock=clock, sleep=clock.sleep)
            transport = Transport(client, budget, policy=POLICY, clock=clock, sleep=clock.sleep)
            return await transport.send(Request("GET", f"http://127.0.0.1:{port}/page", asked="a page"), read)

    assert asyncio.run(scene()) == "fine"
    assert len(clock.slept) == 1


def test_every_try_is_taken_from_the_requests_pool() -> None:
    clock = Clock()
    pool = RequestPool("funding", 2, window_s=100, share=1.0, clock=clock, sleep=clock.sleep)
    trouble = httpx.Response(500)
    assert send(Script({"/page": [trouble, trouble, OK]}), clock=clock, pool=pool) == "fine"
    # Half a second and one second of back-off; the third try waits until the first has left the window.
    assert clock.slept == [0.5, 1.0, 98.5]


def test_a_pool_without_relief_is_not_asked_again_and_no_request_is_sent() -> None:
    clock = Clock()
    pool = RequestPool("funding", 1, window_s=300, share=1.0, clock=clock, sleep=clock.sleep)
    venue = Script({"/page": [OK]})
    with pytest.raises(Retryable, match=r"pool of 1 requests.*given up after 1 tries") as caught:
        send(venue, clock=clock, pool=pool, calls=2)
    assert caught.value.retry_after == 300
    assert venue.asked == ["GET /page"]
    assert clock.slept == []


def test_a_429_that_names_no_time_rests_the_pool_for_a_whole_window() -> None:
    clock = Clock()
    pool = RequestPool("funding", 500, window_s=300, share=0.8, clock=clock, sleep=clock.sleep)
    venue = Script({"/page": [refusal(429, -1003, "Too many requests."), OK]})
    with pytest.raises(Retryable) as caught:
        send(venue, clock=clock, pool=pool)
    # Half a second of back-off has passed since; nothing more was sent.
    assert caught.value.retry_after == 299.5
    assert len(venue.requests) == 1

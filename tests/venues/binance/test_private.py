"""What is sent of a private request, how often, and what is said to have become of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypedDict, Unpack

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.binance.counterpart import (
    Counterpart,
    Received,
    Step,
    drip,
    half_an_answer,
    hang_up,
    refusal,
    reply,
    silence,
)
from tests.venues.binance.fakes import NOW, Clock
from venues.binance.actions import Action, MarketName
from venues.binance.budget import SPOT_LIMITS, USDM_LIMITS, Priority, TradingBudget
from venues.binance.calls import Answered, Call, Method, Outcome, Refused, Unknown
from venues.binance.clock import ServerClock
from venues.binance.once import Bounds, connections
from venues.binance.private import Private
from venues.binance.signing import Params, SigningKey, ed25519_key, hmac_key

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u
-----END PRIVATE KEY-----
"""
HMAC = hmac_key(API_KEY, SECRET)
# The server says NOW, and the estimate is kept 50 ms behind it.
STAMP = 1_704_067_209_950
UNTIL = datetime(2024, 1, 1, 0, 0, 13, 950_000, tzinfo=UTC)  # STAMP, 3 s of window and 1 s of margin
PATHS: dict[MarketName, str] = {"spot": "/api/v3/order", "usdm": "/fapi/v1/order"}
MARKETS: tuple[MarketName, ...] = ("spot", "usdm")
OK = reply(200, {"orderId": 1})
LATE = refusal(400, -1021, "Timestamp for this request is outside of the recvWindow.")
ORDER: Params = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": Decimal("0.00100"),
    "price": Decimal("52000.10"),
    "newClientOrderId": "tm-1",
}


def order(
    market: MarketName = "spot", *, priority: Priority = Priority.ENTRY, deadline: datetime | None = None
) -> Call:
    return Call(
        "POST", PATHS[market], ORDER, orders=1, priority=priority, asked="entry of bracket b1", deadline=deadline
    )


def query(market: MarketName = "spot", *, priority: Priority = Priority.QUERY) -> Call:
    return Call("GET", PATHS[market], {"symbol": "BTCUSDT", "origClientOrderId": "tm-1"}, priority=priority, asked="q")


def cancel() -> Call:
    params = {"symbol": "BTCUSDT", "origClientOrderId": "tm-1"}
    return Call("DELETE", "/api/v3/order", params, priority=Priority.EXIT, asked="cancel")


class Settings(TypedDict, total=False):
    """Of a `Private`, where a test has wishes."""

    market: MarketName
    key: SigningKey
    whole_s: float


def private(
    http: httpx.AsyncBaseTransport,
    clock: Clock,
    base: str,
    *,
    market: MarketName = "spot",
    key: SigningKey = HMAC,
    whole_s: float = 5.0,
    exits: httpx.AsyncBaseTransport | None = None,
) -> Private:
    server = ServerClock(ticks=clock, wall=clock)
    limits = SPOT_LIMITS if market == "spot" else USDM_LIMITS
    budget = TradingBudget(limits, clock=server.seconds, ticks=clock, sleep=clock.sleep, jitter=lambda: 0.0)
    bounds = Bounds(connect_s=0.3, whole_s=whole_s, most_bytes=10_000)
    return Private(
        http,
        key,
        market=market,
        base=base,
        clock=server,
        budget=budget,
        bounds=bounds,
        exits=exits,
        sleep=clock.sleep,
        jitter=lambda: 1.0,
    )


@asynccontextmanager
async def trading(venue: Counterpart, clock: Clock | None = None, **more: Unpack[Settings]) -> AsyncIterator[Private]:
    async with venue.serving(), connections() as http:
        yield private(http, clock or Clock(), venue.base, **more)


def run(
    venue: Counterpart, *calls: Call, clock: Clock | None = None, synced: bool = True, **more: Unpack[Settings]
) -> list[Outcome]:
    async def scene() -> list[Outcome]:
        async with trading(venue, clock, **more) as one:
            assert not synced or await one.sync()
            return [await one.send(call) for call in calls]

    return asyncio.run(scene())


def refused(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


def unknown(outcome: Outcome) -> Unknown:
    assert isinstance(outcome, Unknown), outcome
    return outcome


# What is sent.


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_arrives_as_the_very_bytes_that_were_signed_with_the_signature_last(market: MarketName) -> None:
    venue = Counterpart(OK)
    (outcome,) = run(venue, order(market), market=market)
    assert isinstance(outcome, Answered)
    text = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00100&price=52000.10&newClientOrderId=tm-1"
        f"&recvWindow=3000&timestamp={STAMP}"
    )
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    (request,) = venue.received
    assert request.line == f"POST {PATHS[market]} HTTP/1.1"
    assert request.body.decode() == f"{text}&signature={signature}"
    assert request.headers["x-mbx-apikey"] == API_KEY
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("call", [query(), cancel()], ids=["GET", "DELETE"])
def test_a_query_and_a_cancel_carry_all_in_the_address_and_no_body(call: Call) -> None:
    venue = Counterpart(OK)
    run(venue, call)
    text = f"symbol=BTCUSDT&origClientOrderId=tm-1&recvWindow=3000&timestamp={STAMP}"
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    (request,) = venue.received
    assert request.line == f"{call.method} /api/v3/order?{text}&signature={signature} HTTP/1.1"
    assert request.body == b""


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
def test_signs_and_symbols_beyond_ascii_arrive_encoded_once(method: Method) -> None:
    venue = Counterpart(OK)
    params = {"symbol": "测试USDT", "ids": '["a b","c+d/e=%"]'}
    call = Call(method, "/fapi/v1/x", params, priority=Priority.QUERY, asked="x")
    run(venue, call, market="usdm", key=ed25519_key(API_KEY, PEM))
    (request,) = venue.received
    assert bool(request.query) is (method in {"GET", "DELETE"})
    assert bool(request.body) is (method in {"POST", "PUT"})
    signed, _, signature = (request.query or request.body.decode()).partition("&signature=")
    assert signed.startswith("symbol=%E6%B5%8B%E8%AF%95USDT&ids=%5B%22a%20b%22%2C%22c%2Bd%2Fe%3D%25%22%5D&recvWindow=")
    assert signature.endswith("%3D%3D")
    key = load_pem_private_key(PEM.encode(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    raw = base64.b64decode(signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="), validate=True)
    key.public_key().verify(raw, signed.encode("ascii"))  # raises where it does not fit


def test_a_request_that_takes_the_key_alone_is_sent_without_signature_and_time() -> None:
    venue = Counterpart(reply(200, {"listenKey": "k"}), hang_up)
    call = Call("POST", "/fapi/v1/listenKey", priority=Priority.EXIT, asked="listen key", signed=False)
    first, second = run(venue, call, call, market="usdm")
    assert isinstance(first, Answered)
    assert venue.received[0].params == {}
    assert venue.received[0].headers["x-mbx-apikey"] == API_KEY
    assert unknown(second).until is None


def test_an_answer_keeps_its_digits_and_its_headers() -> None:
    (outcome,) = run(Counterpart(reply(200, '{"callbackRate": 0.10}', X_MBX_USED_WEIGHT_1M="7")), query())
    assert isinstance(outcome, Answered)
    assert str(outcome.json["callbackRate"]) == "0.10"
    assert outcome.headers["x-mbx-used-weight-1m"] == "7"


# What may have been executed.


@pytest.mark.parametrize(
    "step",
    [
        silence,
        drip,
        hang_up,
        half_an_answer,
        b"no HTTP at all\r\n\r\n",
        reply(200, "<html>fine</html>"),
        reply(200, '{"price": 1e99999999999999999999}'),
        reply(200, b"\xff\xfe"),
        reply(200, "[" * 9_000),
        reply(200, "1" * 20_000),
        reply(200, b"not gzip", Content_Encoding="gzip"),
        reply(502, "<html>bad gateway</html>"),
        reply(404, "<html>who?</html>"),
        refusal(400, -1007, "Timeout waiting for response from backend server."),
        refusal(400, -1006, "An unexpected response was received from the message bus."),
        refusal(408, -1007, "Timeout"),
    ],
)
def test_an_order_without_a_clear_answer_is_unknown_until_it_can_no_longer_be_admitted(step: Step) -> None:
    venue = Counterpart(step)
    (outcome,) = run(venue, order(), whole_s=0.15)
    assert unknown(outcome).until == UNTIL
    assert len(venue.received) == 1


def test_a_duplicate_id_is_our_own_earlier_attempt_with_the_venue_s_words() -> None:
    (outcome,) = run(Counterpart(refusal(400, -4116, "ClientOrderId is duplicated.")), order("usdm"), market="usdm")
    words = unknown(outcome).refusal
    assert words is not None
    assert words.code == -4116


def test_an_order_that_the_server_has_not_read_yet_when_time_is_up_is_unknown() -> None:
    async def scene() -> Outcome:
        with socket.create_server(("127.0.0.1", 0)) as deaf:  # connections are made, and nobody reads them
            async with connections() as http:
                one = private(http, Clock(), f"http://127.0.0.1:{deaf.getsockname()[1]}", whole_s=0.15)
                return await one.send(order(priority=Priority.EXIT))

    outcome = unknown(asyncio.run(scene()))
    assert "may have been executed" in outcome.why


@pytest.mark.parametrize(
    ("market", "status", "code", "text", "action"),
    [
        ("usdm", 503, None, "Unknown error, please check your request or try again later.", Action.UNKNOWN),
        ("usdm", 503, None, "Service Unavailable.", Action.RETRY),
        ("usdm", 503, None, "Internal error; unable to process your request. Please try again.", Action.RETRY),
        ("usdm", 503, -1008, "Request throttled by system-level protection.", Action.RETRY),
        ("spot", 503, -1008, "Server is currently overloaded with other requests.", Action.RETRY),
        ("spot", 503, None, "Service Unavailable.", Action.UNKNOWN),
        ("spot", 500, None, "", Action.UNKNOWN),
    ],
)
def test_each_503_is_read_by_its_words_and_an_order_is_sent_once(
    market: MarketName, status: int, code: int | None, text: str, action: Action
) -> None:
    body = text if code is None else {"code": code, "msg": text}
    venue = Counterpart(reply(status, body))
    (outcome,) = run(venue, order(market), market=market)
    assert (Action.UNKNOWN if isinstance(outcome, Unknown) else refused(outcome).verdict.action) is action
    assert len(venue.received) == 1


def test_a_redirect_is_not_followed() -> None:
    async def scene() -> tuple[Outcome, Outcome]:
        async with Counterpart(OK).serving() as elsewhere:
            there = reply(307, "", Location=f"{elsewhere.base}/api/v3/order")
            async with trading(Counterpart(there)) as one:
                outcomes = await one.send(order()), await one.send(query())
            assert elsewhere.received == []
            return outcomes

    written, read = asyncio.run(scene())
    assert unknown(written).until == UNTIL
    assert refused(read).verdict.action is Action.REJECT


# What was surely not executed.


def test_without_a_connection_nothing_was_sent() -> None:
    async def scene() -> Outcome:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        async with connections() as http:
            return await private(http, Clock(), f"http://127.0.0.1:{port}").send(order())

    outcome = refused(asyncio.run(scene()))
    assert outcome.verdict.action is Action.RETRY
    assert outcome.refusal is None


def test_without_a_free_place_among_the_connections_nothing_was_sent() -> None:
    async def scene() -> tuple[Outcome, int]:
        venue = Counterpart(silence)
        async with venue.serving(), httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=1)) as http:
            one = private(http, Clock(), venue.base)
            first = asyncio.create_task(one.send(order(priority=Priority.EXIT)))
            await venue.has_received(1)
            second = await one.send(order(priority=Priority.EXIT))
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            return second, len(venue.received)

    outcome, received = asyncio.run(scene())
    assert refused(outcome).verdict.action is Action.RETRY
    assert received == 1


def test_entries_without_an_answer_do_not_occupy_the_connections_of_exits() -> None:
    async def scene() -> Outcome:
        venue = Counterpart(silence, OK)
        one_place = httpx.Limits(max_connections=1)
        async with venue.serving(), httpx.AsyncHTTPTransport(limits=one_place) as http, connections() as exits:
            one = private(http, Clock(), venue.base, exits=exits)
            entry = asyncio.create_task(one.send(order()))
            await venue.has_received(1)
            outcome = await one.send(order(priority=Priority.EXIT))
            entry.cancel()
            await asyncio.gather(entry, return_exceptions=True)
            return outcome

    assert isinstance(asyncio.run(scene()), Answered)


def test_a_connection_that_the_server_gave_up_while_idle_is_replaced_and_the_order_goes() -> None:
    given_up = asyncio.Event()

    async def answer_and_leave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()
        await writer.wait_closed()
        given_up.set()

    async def scene() -> list[Outcome]:
        async with trading(Counterpart(answer_and_leave)) as one:
            first = await one.send(order(priority=Priority.EXIT))
            await given_up.wait()
            return [first, await one.send(order(priority=Priority.EXIT))]

    assert all(isinstance(outcome, Answered) for outcome in asyncio.run(scene()))


def test_a_refusal_comes_with_its_words_and_its_verdict() -> None:
    venue = Counterpart(refusal(400, -1013, "Filter failure: LOT_SIZE"))
    (outcome,) = run(venue, order())
    words = refused(outcome).refusal
    assert words is not None
    assert (words.market, words.status, words.code, words.text) == ("spot", 400, -1013, "Filter failure: LOT_SIZE")
    assert refused(outcome).verdict.action is Action.REJECT


# The clock.


def test_an_order_out_of_its_window_is_sent_once_more_with_a_new_timestamp_and_the_same_id() -> None:
    venue = Counterpart(LATE, OK)

    async def scene() -> Outcome:
        async with trading(venue) as one:
            await one.sync()
            venue.server_ms += 7_000  # the server's clock was moved
            return await one.send(order())

    assert isinstance(asyncio.run(scene()), Answered)
    first, second = venue.received
    assert int(second.params["timestamp"]) - int(first.params["timestamp"]) == 7_000
    assert first.params["newClientOrderId"] == second.params["newClientOrderId"] == "tm-1"
    assert second.params["signature"] != first.params["signature"]


def test_an_order_out_of_its_window_twice_is_refused() -> None:
    venue = Counterpart(LATE)
    (outcome,) = run(venue, order())
    assert refused(outcome).verdict.action is Action.RESYNC
    assert len(venue.received) == 2


def test_an_order_out_of_its_window_is_not_sent_again_by_a_clock_that_could_not_be_measured() -> None:
    venue = Counterpart(LATE, times=[reply(500, "")] * 3)
    (outcome,) = run(venue, order(priority=Priority.EXIT), synced=False)
    assert refused(outcome).verdict.action is Action.RESYNC
    assert len(venue.received) == 1


def test_the_second_of_two_attempts_may_be_unknown() -> None:
    venue = Counterpart(LATE, hang_up)
    (outcome,) = run(venue, order())
    assert unknown(outcome).until == UNTIL
    assert len(venue.received) == 2


def test_many_refused_at_once_measure_the_clock_once() -> None:
    async def judge(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(LATE if int(request.params["timestamp"]) == STAMP else OK)

    venue = Counterpart(judge)

    async def scene() -> int:
        async with trading(venue) as one:
            await one.sync()
            venue.server_ms += 7_000
            before = venue.asked_the_time
            outcomes = await asyncio.gather(*(one.send(order()) for _ in range(8)))
            assert all(isinstance(outcome, Answered) for outcome in outcomes)
            return venue.asked_the_time - before

    assert asyncio.run(scene()) == 1


def test_an_entry_measures_the_clock_first_and_an_exit_goes_at_once() -> None:
    venue = Counterpart(OK)
    run(venue, order(priority=Priority.EXIT), synced=False)
    assert venue.asked_the_time == 0
    run(venue, order(), synced=False)
    assert venue.asked_the_time == 1


@pytest.mark.parametrize("priority", [Priority.ENTRY, Priority.EXIT])
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_machine_whose_clock_is_an_hour_off_trades_all_the_same(priority: Priority, hours: int) -> None:
    async def judge(request: Received, writer: asyncio.StreamWriter) -> None:
        late = abs(int(request.params["timestamp"]) - venue.server_ms) > 1000
        writer.write(LATE if late else OK)

    venue = Counterpart(judge, server_ms=int(NOW + hours * 3600) * 1000)
    (outcome,) = run(venue, order(priority=priority), synced=False)
    assert isinstance(outcome, Answered)


@pytest.mark.parametrize("body", ["", "[]", '{"serverTime": "soon"}', '{"serverTime": 5}', "[" * 3000])
def test_a_time_that_is_none_leaves_the_clock_as_it_was(body: str) -> None:
    async def scene() -> int:
        async with trading(Counterpart(OK, times=[reply(200, body)] * 3)) as one:
            assert not await one.sync()
            return one.clock.generation

    assert asyncio.run(scene()) == 0


# Limits.


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (refusal(429, -1003, "Too many requests.", Retry_After="30"), 30.0),
        (refusal(429, -1015, "Too many new orders.", Retry_After="30"), 30.0),
        (refusal(429, -1003, "Too many requests."), 50.05),  # ten seconds of the minute have passed, less 50 ms
        (refusal(400, -1003, "Way too much request weight used.", Retry_After="9"), 9.0),
        (refusal(418, -1003, f"IP banned until {int((NOW + 600) * 1000)}.", Retry_After="30"), 600.05),
        (reply(418, "", Retry_After="300"), 300.0),
        (reply(418, ""), 120.0),
    ],
    ids=["429", "429 orders", "429 without a time", "-1003", "418 until", "418", "418 without a time"],
)
def test_after_a_limit_or_a_ban_nothing_at_all_is_sent_until_it_ends(answer: bytes, pause: float) -> None:
    clock = Clock()
    venue = Counterpart(answer, OK)

    async def scene() -> None:
        async with trading(venue, clock) as one:
            limited = refused(await one.send(order()))
            assert limited.verdict.action is Action.WAIT
            assert limited.retry_after == pytest.approx(pause, abs=0.001)
            clock.now += pause - 0.5
            soon = one.clock.now() + timedelta(seconds=0.1)
            exit_ = order(priority=Priority.EXIT, deadline=soon)
            held = refused(await one.send(exit_))
            assert (held.verdict.action, held.refusal) == (Action.WAIT, None)
            assert not await one.sync()
            assert (len(venue.received), venue.asked_the_time) == (1, 1)
            clock.now += 0.6
            assert isinstance(await one.send(order(priority=Priority.EXIT)), Answered)

    asyncio.run(scene())


def test_too_many_orders_hold_orders_and_let_cancels_and_queries_go() -> None:
    venue = Counterpart(refusal(400, -1015, "Too many new orders; current limit is 50 orders per TEN_SECONDS."), OK)
    clock = Clock()

    async def scene() -> None:
        async with trading(venue, clock) as one:
            assert refused(await one.send(order())).verdict.action is Action.WAIT
            now = one.clock.now()
            assert refused(await one.send(order(priority=Priority.EXIT, deadline=now))).refusal is None
            assert isinstance(await one.send(cancel()), Answered)
            assert isinstance(await one.send(query()), Answered)
            # NOW is the begin of a window of ten seconds by the wall clock; ours is 50 ms behind, in the one before.
            assert clock.slept == []
            assert isinstance(await one.send(order()), Answered)
            assert clock.slept == [pytest.approx(0.05, abs=0.001)]

    asyncio.run(scene())


def test_with_the_soft_limit_used_up_an_entry_waits_and_an_exit_goes() -> None:
    clock = Clock()
    venue = Counterpart(reply(200, {}, X_MBX_USED_WEIGHT_1M="4800"), OK)  # 80 % of 6000

    async def scene() -> None:
        async with trading(venue, clock) as one:
            await one.send(query())
            deadline = one.clock.now() + timedelta(seconds=5)
            late = refused(await one.send(order(deadline=deadline)))
            assert (late.verdict.action, late.refusal) == (Action.WAIT, None)
            assert late.retry_after == pytest.approx(50.05, abs=0.001)
            assert len(venue.received) == 1
            assert isinstance(await one.send(order(priority=Priority.EXIT)), Answered)
            assert clock.slept == []
            patient = order(deadline=one.clock.now() + timedelta(minutes=1))
            assert isinstance(await one.send(patient), Answered)
            assert sum(clock.slept) == pytest.approx(50.05, abs=0.001)

    asyncio.run(scene())


def test_an_entry_past_its_deadline_is_not_sent() -> None:
    venue = Counterpart(OK)
    (outcome,) = run(venue, order(deadline=datetime(2023, 12, 31, tzinfo=UTC)))
    assert "deadline has passed" in refused(outcome).verdict.why
    assert venue.received == []


def test_a_request_that_was_called_off_gives_its_room_back() -> None:
    async def scene() -> int:
        venue = Counterpart(silence)
        async with trading(venue) as one:
            for sent in range(1, 4):
                task = asyncio.create_task(one.send(Call("GET", "/api/v3/x", priority=Priority.EXIT, asked="x")))
                await venue.has_received(sent)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            # Three were written, so three are counted; none is under way any more.
            return sum(use.spent for use in one.budget.uses() if use.header == "x-mbx-used-weight-1m")

    assert asyncio.run(scene()) == 3


# Reads.


@pytest.mark.parametrize(
    "trouble",
    [reply(503, "Service Unavailable."), hang_up, half_an_answer, reply(200, "<html>"), refusal(400, -1001, "")],
)
def test_a_read_is_asked_again_up_to_three_times(trouble: Step) -> None:
    clock = Clock()
    venue = Counterpart(trouble, trouble, OK)
    (outcome,) = run(venue, query(), clock=clock)
    assert isinstance(outcome, Answered)
    assert clock.slept == [0.2, 0.4]
    venue = Counterpart(trouble)
    (outcome,) = run(venue, query())
    assert refused(outcome).verdict.action is Action.RETRY
    assert len(venue.received) == 3


def test_a_read_that_was_told_to_wait_beyond_its_deadline_is_handed_back() -> None:
    venue = Counterpart(reply(503, "", Retry_After="60"))
    (outcome,) = run(venue, query())
    assert refused(outcome).retry_after == 60.0
    assert len(venue.received) == 1


# Laws.

CODES = [None, -1000, -1001, -1003, -1006, -1007, -1008, -1015, -1016, -1021, -1022, -2010, -2013, -2021, -4116, -5028]
ANSWERS = st.builds(
    lambda status, code, text: (
        httpx.Response(status, text=text) if code is None else httpx.Response(status, json={"code": code, "msg": text})
    ),
    st.sampled_from([200, 201, 301, 307, 400, 401, 403, 404, 408, 409, 418, 429, 451, 500, 502, 503, 504]),
    st.sampled_from(CODES),
    st.sampled_from(["", "Service Unavailable.", "Unknown error", "Duplicate order sent.", "<html>"]),
)
TROUBLES = st.sampled_from(
    [
        httpx.ReadTimeout,
        httpx.WriteTimeout,
        httpx.ReadError,
        httpx.WriteError,
        httpx.CloseError,
        httpx.RemoteProtocolError,
        httpx.DecodingError,
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        OSError,
        RuntimeError,
    ]
).map(lambda kind: kind("broken"))


@given(
    st.sampled_from(MARKETS),
    st.sampled_from(["POST", "PUT", "DELETE"]),
    st.sampled_from(Priority),
    st.lists(ANSWERS | TROUBLES, min_size=3, max_size=3),
)
def test_what_writes_is_sent_at_most_once_and_once_more_after_a_refused_timestamp_alone(
    market: MarketName, method: Method, priority: Priority, steps: list[httpx.Response | Exception]
) -> None:
    sent: list[httpx.Response | Exception] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/time"):
            return httpx.Response(200, json={"serverTime": int(NOW * 1000)})
        step = steps[len(sent)]
        sent.append(step)
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, content=step.content)

    async def scene() -> Outcome:
        one = private(httpx.MockTransport(handler), Clock(), "https://venue.test", market=market)
        return await one.send(Call(method, PATHS[market], {"symbol": "X"}, priority=priority, asked="write"))

    outcome = asyncio.run(scene())
    first = sent[0]
    late = isinstance(first, httpx.Response) and not first.is_success and b"-1021" in first.content
    late = late or (isinstance(first, httpx.Response) and not first.is_success and b"-5028" in first.content)
    limited = isinstance(first, httpx.Response) and first.status_code in {403, 418, 429, 451}
    assert len(sent) == (2 if late and not limited else 1)
    last = sent[-1]
    if isinstance(last, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        assert refused(outcome).verdict.action is Action.RETRY
    elif isinstance(last, Exception):
        assert isinstance(outcome, Unknown)
    assert isinstance(outcome, Answered) <= (isinstance(last, httpx.Response) and last.is_success)


# Secrets.


def everything_logged(records: list[logging.LogRecord]) -> str:
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in records)


def test_no_log_line_of_anything_beneath_holds_a_query_a_body_a_signature_or_a_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name)
    venue = Counterpart(OK, OK, refusal(400, -2011, "Unknown order sent."), hang_up)
    outcomes = run(venue, query(), order(), cancel(), order())
    assert len(venue.received) == 4
    text = everything_logged(caplog.records)
    assert "signed request" in text
    for request in venue.received:
        assert request.params["signature"] not in text
        assert request.params["signature"] not in repr(outcomes)
    assert "signature=" not in text
    assert "origClientOrderId" not in text
    assert SECRET not in text


def test_a_log_line_tells_market_path_purpose_status_code_and_latency(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="venues.binance.private")
    run(Counterpart(refusal(400, -1013, "Filter failure: LOT_SIZE")), order())
    (record,) = [record for record in caplog.records if record.getMessage() == "signed request"]
    told = vars(record)
    assert (told["market"], told["method"], told["path"]) == ("spot", "POST", "/api/v3/order")
    assert (told["asked"], told["status"], told["code"]) == ("entry of bracket b1", 400, -1013)
    assert told["latency_ms"] >= 0


def test_a_process_that_trades_loads_no_data_frames() -> None:
    source = (
        "import sys, venues.binance.private; "
        "print(sorted({'polars', 'pandas', 'dagster', 'pyarrow', 'numba', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


# Misuse.


@pytest.mark.parametrize("path", ["api/v3/order", "/api/v3/order?a=1", "/api v3", "/api%20v3", "/api/v3#x", "/é"])
def test_a_path_that_is_none_is_an_error_of_the_caller(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        Call("GET", path, priority=Priority.QUERY, asked="x")


@pytest.mark.parametrize("name", ["timestamp", "recvWindow", "signature"])
def test_what_is_added_when_sending_is_left_out_before(name: str) -> None:
    with pytest.raises(ValueError, match="added when sending"):
        Call("GET", "/x", {name: "1"}, priority=Priority.QUERY, asked="x")


def test_a_number_that_binance_does_not_read_and_a_deadline_without_zone_are_errors_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no number"):
        Call("POST", "/x", {"quantity": Decimal("NaN")}, priority=Priority.ENTRY, asked="x")
    with pytest.raises(ValueError, match="time zone"):
        Call("POST", "/x", priority=Priority.ENTRY, asked="x", deadline=datetime(2024, 1, 1))  # noqa: DTZ001 - the case


@pytest.mark.parametrize("window", [499, 5001, 0, -1])
def test_a_receive_window_out_of_its_range_is_refused(window: int) -> None:
    clock = Clock()
    server = ServerClock(ticks=clock, wall=clock)
    with pytest.raises(ValueError, match="choose 500 to 5000"):
        Private(
            httpx.MockTransport(lambda request: httpx.Response(200)),
            HMAC,
            market="spot",
            base="https://venue.test",
            clock=server,
            budget=TradingBudget(SPOT_LIMITS, clock=server.seconds),
            recv_window_ms=window,
        )


@pytest.mark.parametrize("base", ["", "venue.test", "ftp://venue.test", "https://venue.test/api", "https://v.test?a=1"])
def test_a_base_address_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match="no base address"):
        private(httpx.MockTransport(lambda request: httpx.Response(200)), Clock(), base)


def test_nothing_of_a_key_shows_in_what_holds_it() -> None:
    one = private(httpx.MockTransport(lambda request: httpx.Response(200)), Clock(), "https://venue.test")
    assert SECRET not in repr(one) + repr(vars(one))

"""Streams over real WebSockets, on a frozen clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.venues.simulator.conftest import Start
from tests.venues.simulator.ticks import Ticks
from venues.simulator import Fault, Simulator, SimulatorConfig, running
from venues.simulator.bars import Col, block_of
from venues.simulator.generator import SeededMarket

MIDNIGHT_MS = 1735689600000  # 2025-01-01T00:00:00Z
PATIENCE = 5.0
SILENCE = 0.15


@contextmanager
def opened(url: str) -> Iterator[ClientConnection]:
    with connect(url, open_timeout=PATIENCE, close_timeout=PATIENCE) as socket:
        yield socket


def receive(socket: ClientConnection) -> Any:  # noqa: ANN401 - any JSON document
    return json.loads(socket.recv(timeout=PATIENCE))


def ask(socket: ClientConnection, **message: Any) -> Any:  # noqa: ANN401
    socket.send(json.dumps(message))
    return receive(socket)


def closings(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The next `count` closing frames; frames of forming bars are passed over."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        event = receive(socket)
        event = event.get("data", event)
        if event["k"]["x"]:
            found.append(event)
    return found


def assert_silent(socket: ClientConnection) -> None:
    with pytest.raises(TimeoutError):
        socket.recv(timeout=SILENCE)


def drain(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=PATIENCE)


def code_of_close(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        drain(socket)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_combined_streams_come_in_the_envelope_and_raw_ones_bare(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:00:30Z")
    with opened(f"{simulator.spot_ws_url}/stream?streams=btcusdt@kline_1m/btcusdt@kline_5m") as socket:
        first, second = receive(socket), receive(socket)
    assert {first["stream"], second["stream"]} == {"btcusdt@kline_1m", "btcusdt@kline_5m"}
    assert set(first) == {"stream", "data"}
    with opened(f"{simulator.spot_ws_url}/ws/btcusdt@kline_1m") as socket:
        event = receive(socket)
    assert list(event) == ["e", "E", "s", "k"]
    assert (event["E"], event["k"]["x"], event["k"]["v"]) == (MIDNIGHT_MS + 30_000, False, "3.00000000")


def test_every_closing_frame_comes_once_in_order_of_time_then_timeframe_without_the_hole(start_at: Start) -> None:
    simulator = start_at("2024-12-31T23:55:10Z")
    with opened(f"{simulator.usdm_ws_url}/market/stream?streams=btcusdt@kline_5m/btcusdt@kline_1m") as socket:
        receive(socket)
        receive(socket)
        simulator.clock.advance(seconds=420)
        got = [
            (event["k"]["i"], event["k"]["t"] - MIDNIGHT_MS, event["E"] - MIDNIGHT_MS) for event in closings(socket, 7)
        ]
        assert got == [
            ("1m", -300_000, -240_000),
            ("1m", -240_000, -180_000),
            ("1m", -120_000, -60_000),
            ("1m", -60_000, 0),
            ("5m", -300_000, 0),
            ("1m", 0, 60_000),
            ("1m", 60_000, 120_000),
        ]
        forming = receive(socket)["data"]["k"]
        assert (forming["i"], forming["t"], forming["x"]) == ("5m", MIDNIGHT_MS, False)
        assert_silent(socket)


def test_a_closing_frame_says_what_rest_says(start_at: Start) -> None:
    simulator = start_at("2024-12-31T23:59:59Z")
    with opened(f"{simulator.usdm_ws_url}/market/ws/btcusdt@kline_1m") as socket:
        simulator.clock.advance(seconds=1)
        (event,) = closings(socket, 1)
    kline = event["k"]
    assert [kline[name] for name in "ohlcvqnVQ"] == [
        "105.0",
        "105.0",
        "98.5",
        "99.0",
        "7.375",
        "750.5",
        15,
        "0.000",
        "0.0",
    ]
    assert (kline["t"], kline["T"]) == (MIDNIGHT_MS - 60_000, MIDNIGHT_MS - 1)


def test_a_frame_comes_only_when_something_changed(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:01:10Z")  # a minute without trades
    with opened(f"{simulator.spot_ws_url}/ws/btcusdt@kline_1m") as socket:
        assert receive(socket)["k"]["n"] == 0
        simulator.clock.advance(seconds=10)
        assert_silent(socket)


def test_subscribing_is_acknowledged_before_data_and_ends_with_unsubscribing(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    with opened(f"{simulator.spot_ws_url}/stream") as socket:
        assert ask(socket, method="SUBSCRIBE", params=["btcusdt@kline_1m"], id="one") == {"result": None, "id": "one"}
        assert receive(socket)["stream"] == "btcusdt@kline_1m"
        assert ask(socket, method="SET_PROPERTY", params=["combined", False], id=2) == {"result": None, "id": 2}
        simulator.clock.advance(seconds=10)
        assert receive(socket)["e"] == "kline"
        assert ask(socket, method="UNSUBSCRIBE", params=["btcusdt@kline_1m"], id=3) == {"result": None, "id": 3}
        simulator.clock.advance(seconds=10)
        assert_silent(socket)


@pytest.mark.parametrize(
    "name", ["nope@kline_1m", "BTCUSDT@kline_1m", "btcusdt@kline_7m", "btcusdt@depth", "btcusdt@kline_1m@+08:00"]
)
def test_a_stream_that_does_not_exist_is_acknowledged_and_silent(start_at: Start, name: str) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    with opened(f"{simulator.spot_ws_url}/ws") as socket:
        assert ask(socket, method="SUBSCRIBE", params=[name], id=1) == {"result": None, "id": 1}
        simulator.clock.advance(seconds=60)
        assert_silent(socket)


@pytest.mark.parametrize("route", ["", "/public", "/private"])
def test_a_wrong_usdm_route_connects_and_acknowledges_but_stays_silent(start_at: Start, route: str) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    with opened(f"{simulator.usdm_ws_url}{route}/ws/btcusdt@kline_1m") as socket:
        assert ask(socket, method="SUBSCRIBE", params=["btcusdt@kline_5m"], id=1) == {"result": None, "id": 1}
        listed = ask(socket, method="LIST_SUBSCRIPTIONS", id=2)
        assert listed["result"] == ["btcusdt@kline_1m", "btcusdt@kline_5m"]
        simulator.clock.advance(seconds=60)
        assert_silent(socket)


def test_spot_times_can_be_microseconds_and_usdm_ones_cannot(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    with opened(f"{simulator.spot_ws_url}/ws/btcusdt@kline_1m?timeUnit=microsecond") as socket:
        assert receive(socket)["k"]["t"] == MIDNIGHT_MS * 1000
    with opened(f"{simulator.usdm_ws_url}/market/ws/btcusdt@kline_1m?timeUnit=MICROSECOND") as socket:
        assert receive(socket)["k"]["t"] == MIDNIGHT_MS


def test_the_closing_frame_can_be_late_and_the_next_bars_frames_then_come_before_it(start_at: Start) -> None:
    simulator = start_at("2024-12-31T23:58:50Z")
    simulator.faults.add(Fault(kind="late_close", venue="usdm", seconds=13))
    with opened(f"{simulator.usdm_ws_url}/market/ws/btcusdt@kline_1m") as socket:
        receive(socket)
        simulator.clock.advance(seconds=15)
        early = receive(socket)["k"]
        assert (early["t"], early["x"]) == (MIDNIGHT_MS - 60_000, False)
        simulator.clock.advance(seconds=8)
        late = receive(socket)
        assert (late["k"]["t"], late["k"]["x"], late["E"]) == (
            MIDNIGHT_MS - 120_000,
            True,
            MIDNIGHT_MS - 60_000 + 13_000,
        )


def test_too_many_messages_a_second_end_the_connection(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    for url, allowed in ((f"{simulator.spot_ws_url}/ws", 5), (f"{simulator.usdm_ws_url}/market/ws", 10)):
        with opened(url) as socket:
            for number in range(allowed):
                assert ask(socket, method="LIST_SUBSCRIPTIONS", id=number)["id"] == number
            socket.send('{"method":"LIST_SUBSCRIPTIONS","id":99}')
            assert code_of_close(socket) == 1008


def test_more_streams_than_a_connection_may_hold_end_it(bars_file: Path, ticks: Ticks) -> None:
    config = SimulatorConfig(bars=bars_file, speed=0, max_streams=2)
    with running(config, ticks=ticks) as simulator, opened(f"{simulator.spot_ws_url}/ws/a/b") as socket:
        assert ask(socket, method="LIST_SUBSCRIPTIONS", id=1)["result"] == ["a", "b"]
        socket.send('{"method":"SUBSCRIBE","params":["c"],"id":2}')
        assert code_of_close(socket) == 1008


def test_a_connection_ends_with_its_life(bars_file: Path, ticks: Ticks) -> None:
    config = SimulatorConfig(bars=bars_file, speed=0, socket_life=0.05)
    with running(config, ticks=ticks) as simulator, opened(f"{simulator.spot_ws_url}/ws") as socket:
        assert code_of_close(socket) == 1001


def test_all_sockets_of_one_market_can_be_dropped(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    with opened(f"{simulator.spot_ws_url}/ws") as dropped, opened(f"{simulator.usdm_ws_url}/market/ws") as kept:
        ask(dropped, method="LIST_SUBSCRIPTIONS", id=1)
        ask(kept, method="LIST_SUBSCRIPTIONS", id=1)
        simulator.faults.add(Fault(kind="drop_sockets", venue="spot"))
        assert code_of_close(dropped) == 1001
        assert ask(kept, method="LIST_SUBSCRIPTIONS", id=2)["id"] == 2


def test_spot_announces_its_shutdown_before_it_closes(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    with opened(f"{simulator.spot_ws_url}/stream") as combined, opened(f"{simulator.spot_ws_url}/ws") as raw:
        ask(combined, method="LIST_SUBSCRIPTIONS", id=1)
        ask(raw, method="LIST_SUBSCRIPTIONS", id=1)
        simulator.faults.add(Fault(kind="server_shutdown", venue="spot", seconds=0.05))
        notice = {"e": "serverShutdown", "E": MIDNIGHT_MS + 10_000}
        assert receive(combined) == {"stream": "!serverShutdown", "data": notice}
        assert receive(raw) == notice
        assert code_of_close(combined) == 1001


def test_at_ten_thousand_times_real_time_no_closing_frame_is_lost(seeded_fast: Simulator) -> None:
    with opened(f"{seeded_fast.usdm_ws_url}/market/ws/btcusdt@kline_1m") as socket:
        opens = [event["k"]["t"] for event in closings(socket, 300)]
    market = SeededMarket(7, ("BTCUSDT",), first_ms=0)
    block = block_of(opens[0])
    expected = market.minutes("BTCUSDT", block).window(opens[0], opens[-1] + 1)
    assert opens == expected[Col.OPEN_MS].tolist()


@pytest.fixture
def seeded_fast() -> Iterator[Simulator]:
    config = SimulatorConfig.model_validate({"symbols": ["BTCUSDT"], "start": "2025-03-14T00:00:30Z", "speed": 10_000})
    with running(config) as simulator:
        yield simulator


def test_a_ping_of_the_client_is_answered(start_at: Start) -> None:
    simulator = start_at("2025-01-01T00:00:10Z")
    with opened(f"{simulator.spot_ws_url}/ws") as socket:
        assert socket.ping().wait(timeout=PATIENCE)

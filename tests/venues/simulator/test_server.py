from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from venues.simulator import AddressInUse, BarsRejected, Simulator, SimulatorConfig, running


def test_in_an_event_loop_it_runs_while_it_is_entered(bars_file: Path) -> None:
    async def visit() -> tuple[int, str]:
        async with Simulator(SimulatorConfig(bars=bars_file, speed=0)) as simulator, httpx.AsyncClient() as client:
            return (await client.get(f"{simulator.usdm_url}/fapi/v1/ping")).status_code, simulator.usdm_url

    status, url = asyncio.run(visit())
    assert status == 200
    with httpx.Client() as client, pytest.raises(httpx.ConnectError):
        client.get(f"{url}/fapi/v1/ping")


def test_leaving_ends_open_sockets_and_the_thread(bars_file: Path) -> None:
    stack = ExitStack()
    simulator = stack.enter_context(running(SimulatorConfig(bars=bars_file, speed=0)))
    with stack, connect(f"{simulator.spot_ws_url}/ws") as client:
        stack.close()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
    assert "simulator" not in [thread.name for thread in threading.enumerate()]


def test_an_address_in_use_is_told_with_its_flag(bars_file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = SimulatorConfig(bars=bars_file, usdm_port=port)
        with pytest.raises(AddressInUse, match=f"usdm address 127.0.0.1:{port}.*choose another --usdm-port"):  # noqa: SIM117
            with running(config):
                pass


def test_a_file_that_cannot_be_served_fails_before_any_port_is_open(tmp_path: Path) -> None:
    with pytest.raises(BarsRejected, match="does not exist"):  # noqa: SIM117
        with running(SimulatorConfig(bars=tmp_path / "nowhere.csv")):
            pass

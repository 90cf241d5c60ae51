"""Three addresses in one process: spot, USD-M and archive (with the control endpoints), each a uvicorn server.

Ports are bound before anything starts, so an address in use is one clear error and port 0 is known at once. All three
share one event loop and one `Exchange`; leaving the context closes every socket within two seconds.

    async with Simulator(config) as simulator: ...          # in an event loop
    with running(config) as simulator: ...                  # from ordinary code: a thread of its own
    serve(config, started=print)                            # until SIGINT or SIGTERM
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from contracts import Rejected
from venues.simulator.archive import Archive
from venues.simulator.clock import SimClock
from venues.simulator.config import SimulatorConfig
from venues.simulator.control import Control
from venues.simulator.exchange import open_exchange
from venues.simulator.faults import FaultBoard
from venues.simulator.feed import Feed
from venues.simulator.profiles import SPOT, USDM
from venues.simulator.rest import Rest
from venues.simulator.sockets import Sockets

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

logger = logging.getLogger(__name__)

GRACE_SECONDS = 2
START_SECONDS = 30.0


class AddressInUse(Rejected):
    """A port cannot be listened on."""


class _Server(uvicorn.Server):
    """A server that leaves the signals of the process to `serve` and stops when it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Leave the main loop now."""
        self.should_exit = True
        self._stop.set()

    async def main_loop(self) -> None:
        """Refresh what uvicorn refreshes (the Date header) once a second, until stopped."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class Simulator:
    """A simulated exchange, running while it is entered; clock and faults may be used from any thread.

    Args:
        config: What to simulate.
        ticks: Real seconds, monotonic; what limits and cadences run on. Replaced in tests.

    Raises:
        BarsRejected: The file of bars cannot be used.
        AddressInUse: On entering: a port is taken.
    """

    def __init__(self, config: SimulatorConfig, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self._exchange = open_exchange(config, ticks=ticks)
        self._sockets: dict[str, socket.socket] = {}
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._feeds: list[Feed] = []

    @property
    def clock(self) -> SimClock:
        """Its time."""
        return self._exchange.clock

    @property
    def faults(self) -> FaultBoard:
        """What goes wrong on purpose."""
        return self._exchange.faults

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is listed, on spot and on USD-M alike."""
        return tuple(self._exchange.history.symbols)

    @property
    def spot_url(self) -> str:
        """Base of the spot REST address (`…/api/v3/klines`)."""
        return self._url("http", "spot")

    @property
    def usdm_url(self) -> str:
        """Base of the USD-M REST address (`…/fapi/v1/klines`)."""
        return self._url("http", "usdm")

    @property
    def archive_url(self) -> str:
        """Base of the archive (`…/data/spot/monthly/…`) and of the control endpoints (`…/sim/clock`)."""
        return self._url("http", "archive")

    @property
    def spot_ws_url(self) -> str:
        """Base of the spot streams (`…/stream?streams=`, `…/ws/…`)."""
        return self._url("ws", "spot")

    @property
    def usdm_ws_url(self) -> str:
        """Base of the USD-M streams (`…/market/stream?streams=`, `…/market/ws/…`)."""
        return self._url("ws", "usdm")

    async def __aenter__(self) -> Self:
        exchange, config = self._exchange, self.config
        try:
            for name in ("spot", "usdm", "archive"):
                self._sockets[name] = _bind(config.host, getattr(config, f"{name}_port"), name)
            for venue in (SPOT, USDM):
                feed = Feed(exchange, venue)
                self._feeds.append(feed)
                routes = [*Rest(exchange, venue).routes(), *Sockets(exchange, venue, feed).routes()]
                await self._listen(venue.name, routes, ping=venue.ping_seconds, pong=venue.pong_seconds)
            await self._listen("archive", [*Archive(exchange).routes(), *Control(exchange).routes()], ping=20, pong=60)
        except BaseException:
            await self._close()
            raise
        for feed in self._feeds:
            self._tasks.append(asyncio.create_task(feed.run()))
        logger.info("simulator started", extra={"spot": self.spot_url, "usdm": self.usdm_url})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _listen(self, name: str, routes: list[BaseRoute], *, ping: float, pong: float) -> None:
        app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})
        config = uvicorn.Config(
            app,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="websockets-sansio",
            ws_ping_interval=ping,
            ws_ping_timeout=pong,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[self._sockets[name]]))
        self._servers.append(server)
        self._tasks.append(task)
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn tells it by this flag alone
            await asyncio.sleep(0.005)

    async def _close(self) -> None:
        for feed in self._feeds:
            feed.close()
        for server in self._servers:
            server.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._sockets.values():
            sock.close()

    def _url(self, scheme: str, name: str) -> str:
        return f"{scheme}://{self.config.host}:{self._sockets[name].getsockname()[1]}"


@contextlib.contextmanager
def running(config: SimulatorConfig, *, ticks: Callable[[], float] = time.monotonic) -> Iterator[Simulator]:
    """A simulator on a thread of its own, for code without an event loop.

    Args:
        config: What to simulate.
        ticks: Real seconds, monotonic; what limits and cadences run on.

    Raises:
        BarsRejected: The file of bars cannot be used.
        AddressInUse: A port is taken.
    """
    started: Future[tuple[Simulator, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        stop = asyncio.Event()
        async with Simulator(config, ticks=ticks) as simulator:
            started.set_result((simulator, asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            if started.done():
                logger.exception("simulator failed")
            else:
                started.set_exception(error)

    thread = threading.Thread(target=run, name="simulator", daemon=True)
    thread.start()
    simulator, loop, stop = started.result(timeout=START_SECONDS)
    try:
        yield simulator
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=GRACE_SECONDS + 10)


def serve(config: SimulatorConfig, *, started: Callable[[Simulator], None]) -> None:
    """Run until SIGINT or SIGTERM; `started` is called once all addresses listen.

    Raises:
        BarsRejected: The file of bars cannot be used.
        AddressInUse: A port is taken.
    """

    async def live() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with Simulator(config) as simulator:
            started(simulator)
            await stop.wait()

    asyncio.run(live())


def _bind(host: str, port: int, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay (40 ms an answer) off only for sockets that name it.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        msg = f"the {name} address {host}:{port} cannot be listened on: {error.strerror}; choose another --{name}-port"
        raise AddressInUse(msg) from error
    return sock


async def _no_such_path(request: Request, error: Exception) -> Response:
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"code": -1000, "msg": f"no such endpoint (HTTP {status})"}, status_code=status)

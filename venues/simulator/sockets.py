"""WebSocket connections: paths, routes, control messages and limits of one market (binance-api §2.1, §2.2).

Spot serves `/stream?streams=a/b` (events in an envelope) and `/ws/a/b` (raw). USD-M serves the same under `/market`;
the same paths without a route, under `/public` and under `/private` accept and acknowledge everything and stay silent,
which is what the real exchange does to klines there. Protocol pings are the server's (uvicorn); ping and pong frames of
the client are answered below this layer and not counted in its message rate.

    Sockets(exchange, USDM, feed).routes()
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from venues.simulator.commands import Subscriptions, handle
from venues.simulator.feed import GOING_AWAY, Feed
from venues.simulator.limits import MessageRate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

    from venues.simulator.exchange import Exchange
    from venues.simulator.profiles import VenueProfile

POLICY_VIOLATION = 1008
# Frames a client may lag behind before it is dropped, as the exchange drops a client that does not read.
BACKLOG = 50_000


class Session:
    """One connection.

    Attributes:
        subscriptions: What it asked for.
        microseconds: Whether it wants times in microseconds.
        ending: Code and reason it is being closed with; None while it lives.
        accepted: Set once the handshake is done.
    """

    def __init__(self, subscriptions: Subscriptions, *, microseconds: bool) -> None:
        self.subscriptions = subscriptions
        self.microseconds = microseconds
        self.ending: tuple[int, str] | None = None
        self.accepted = asyncio.Event()
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()

    def send(self, name: str, data: str) -> None:
        """Queue one event, in the envelope if the client wants one."""
        self.answer(f'{{"stream":"{name}","data":{data}}}' if self.subscriptions.combined else data)

    def answer(self, text: str) -> None:
        """Queue one message as it is: control answers never come in the envelope."""
        if self.ending is None:
            self._outbox.put_nowait(text)
            if self._outbox.qsize() > BACKLOG:
                self.end(POLICY_VIOLATION, "the client does not read")

    def end(self, code: int, reason: str) -> None:
        """Close the connection once what is queued has left."""
        if self.ending is None:
            self.ending = (code, reason)
            self._outbox.put_nowait(None)

    async def write(self, websocket: WebSocket) -> None:
        """Send what is queued, from the end of the handshake to the end of the connection."""
        await self.accepted.wait()
        while (text := await self._outbox.get()) is not None:
            await websocket.send_text(text)
        if self.ending is not None:
            await websocket.close(*self.ending)


class Sockets:
    """WebSocket routes of one market."""

    def __init__(self, exchange: Exchange, venue: VenueProfile, feed: Feed) -> None:
        self._exchange = exchange
        self._venue = venue
        self._feed = feed

    def routes(self) -> list[BaseRoute]:
        """All paths: with klines on the right route, silent on the wrong ones."""
        if self._venue.name == "spot":
            return self._paths("", silent=False)
        silent = [route for prefix in ("", "/public", "/private") for route in self._paths(prefix, silent=True)]
        return [*self._paths("/market", silent=False), *silent]

    def _paths(self, prefix: str, *, silent: bool) -> list[BaseRoute]:
        combined = self._endpoint(silent=silent, combined=True)
        raw = self._endpoint(silent=silent, combined=False)
        return [
            WebSocketRoute(f"{prefix}/stream", combined),
            WebSocketRoute(f"{prefix}/stream/{{rest:path}}", combined),
            WebSocketRoute(f"{prefix}/ws", raw),
            WebSocketRoute(f"{prefix}/ws/{{names:path}}", raw),
        ]

    def _endpoint(self, *, silent: bool, combined: bool) -> Callable[[WebSocket], Awaitable[None]]:
        async def connected(websocket: WebSocket) -> None:
            unit = websocket.query_params.get("timeUnit", "").upper()
            listed = websocket.query_params.get("streams", "") if combined else websocket.path_params.get("names", "")
            subscriptions = Subscriptions(combined, dict.fromkeys(name for name in listed.split("/") if name))
            session = Session(subscriptions, microseconds=self._venue.microseconds and unit == "MICROSECOND")
            await self._serve(websocket, session, silent=silent)

        return connected

    async def _serve(self, websocket: WebSocket, session: Session, *, silent: bool) -> None:
        self._feed.connect(session)
        loop = asyncio.get_running_loop()
        writer = loop.create_task(session.write(websocket))
        life = loop.call_later(self._exchange.config.socket_life, session.end, GOING_AWAY, "connections live 24 hours")
        try:
            # The streams of the URL are followed before the handshake ends: whoever is connected misses nothing.
            await self._change(session, None, silent=silent)
            await websocket.accept()
            session.accepted.set()
            await self._read(websocket, session, silent=silent)
            if session.ending is not None:
                await writer
        finally:
            life.cancel()
            self._feed.disconnect(session)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await writer

    async def _read(self, websocket: WebSocket, session: Session, *, silent: bool) -> None:
        rate = MessageRate(self._venue.messages_per_second, ticks=self._exchange.ticks)
        while session.ending is None:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if not rate.allows():
                session.end(POLICY_VIOLATION, "too many messages")
                return
            text = message.get("text")
            if text is None:
                text = message["bytes"].decode(errors="replace")
            await self._change(session, handle(text, session.subscriptions), silent=silent)

    async def _change(self, session: Session, answer: str | None, *, silent: bool) -> None:
        """Answer a control message, then follow what is subscribed now."""
        names = tuple(session.subscriptions.names)
        if len(names) > self._exchange.config.max_streams:
            session.end(POLICY_VIOLATION, "too many streams")
            return
        if not silent:
            await self._feed.prepare(session, names)
        # Without a pause between the two: the answer is queued before any event, and it leaves after the subscription.
        if answer is not None:
            session.answer(answer)
        if not silent:
            self._feed.follow(session, names)

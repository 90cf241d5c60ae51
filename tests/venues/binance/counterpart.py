"""An HTTP server on loopback that keeps every byte it is sent and misbehaves as told."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl

from tests.venues.binance.fakes import NOW


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    head: str
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split("\r\n")[0]

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def path(self) -> str:
        return self.line.split(" ")[1].partition("?")[0]

    @property
    def query(self) -> str:
        return self.line.split(" ")[1].partition("?")[2]

    @property
    def headers(self) -> dict[str, str]:
        pairs = [line.partition(": ") for line in self.head.split("\r\n")[1:] if line]
        return {name.lower(): value for name, _, value in pairs}

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(self.query + self.body.decode()))


Step = bytes | Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def reply(status: int, body: object, **headers: str) -> bytes:
    """An answer; `bytes` and `str` as they are, everything else as JSON."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def refusal(status: int, code: int, text: str, **headers: str) -> bytes:
    """An answer in the form of Binance's errors."""
    return reply(status, {"code": code, "msg": text}, **headers)


async def silence(_: Received, writer: asyncio.StreamWriter) -> None:
    """Read the request and never answer."""
    await asyncio.sleep(3600)


async def hang_up(_: Received, writer: asyncio.StreamWriter) -> None:
    """Read the request and close the connection."""
    writer.close()


async def half_an_answer(_: Received, writer: asyncio.StreamWriter) -> None:
    """Announce more than is sent."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"orderId": 1')
    await writer.drain()
    writer.close()


async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
    """Answer for ever, a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.005)


class Counterpart:
    """Answers GET time by its own clock, everything else by the next step; the last one stays."""

    def __init__(self, *steps: Step, server_ms: int = int(NOW * 1000), times: list[bytes] | None = None) -> None:
        self.steps = deque(steps)
        self.server_ms = server_ms
        self.times = deque(times or [])
        self.received: list[Received] = []
        self.asked_the_time = 0
        self.base = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._came = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Counterpart]:
        """Listen while the block runs."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()
            self._tasks.clear()

    async def has_received(self, count: int) -> None:
        """Wait until so many requests came in."""
        while len(self.received) < count:
            self._came.clear()
            await self._came.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while not writer.is_closing():
                    await self._one(reader, writer)
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        length = Received(head, b"").headers.get("content-length", "0")
        request = Received(head, await reader.readexactly(int(length)))
        if request.path.endswith("/v3/time") or request.path.endswith("/v1/time"):
            self.asked_the_time += 1
            step: Step = self.times.popleft() if self.times else reply(200, {"serverTime": self.server_ms})
        else:
            self.received.append(request)
            self._came.set()
            step = self.steps.popleft() if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        else:
            await step(request, writer)

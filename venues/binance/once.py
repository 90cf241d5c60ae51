"""One HTTP exchange, made once: where httpx ends for everything that carries a signature.

It speaks to a transport of httpx and not to its client: a client follows redirects if asked to, adds what the
environment says of proxies, and logs every address with its query, signature included. A transport does none of it.

Invariants: a request is written at most once; the exchange is bounded in time and size; whatever breaks leaves as
`NotSent`, the connection was never made, or `NoAnswer`, it may have been executed.

    async with connections() as http:
        answer = await exchange(http, httpx.Request("POST", url, content=body), asked="entry of …")
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx

from contracts import Retryable
from venues.binance.errors import Answer

# Orders that were written to a connection at the instant at which Binance gave it up have an unknown outcome, so idle
# connections are not kept for long.
_IDLE_S: Final = 20.0
_MOST_CONNECTIONS: Final = 64


class NotSent(Retryable):
    """The connection was never made: nothing can have been executed."""


class NoAnswer(Retryable):
    """The request was on its way, and no readable answer came: it may have been executed."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how large one exchange may get.

    Attributes:
        connect_s: Seconds to wait for a connection: for a free place among them, and again for making one.
        whole_s: Seconds for all of it, however slowly bytes drip; Binance gives up an order of its own after 10.
        most_bytes: Size at which reading the answer stops.
    """

    connect_s: float = 2.0
    whole_s: float = 10.0
    most_bytes: int = 8 * 2**20

    @property
    def extensions(self) -> dict[str, dict[str, float]]:
        """The same as httpx wants it of a request."""
        wait, whole = self.connect_s, self.whole_s
        return {"timeout": {"pool": wait, "connect": wait, "read": whole, "write": whole}}


BOUNDS: Final = Bounds()


def connections() -> httpx.AsyncHTTPTransport:
    """Connections for signed requests: HTTP/1.1, no proxy of the environment, nothing twice; the caller closes them."""
    limits = httpx.Limits(
        max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_CONNECTIONS, keepalive_expiry=_IDLE_S
    )
    return httpx.AsyncHTTPTransport(limits=limits, retries=0)


async def exchange(
    http: httpx.AsyncBaseTransport, request: httpx.Request, *, asked: str, bounds: Bounds = BOUNDS
) -> Answer:
    """Send a request and read its answer to the end.

    Args:
        http: What carries it.
        request: What is sent, byte for byte; its own time limits are replaced.
        asked: What is attempted and with which key, for messages.
        bounds: How long and how large it may get.

    Raises:
        NotSent: The connection was never made.
        NoAnswer: It broke, took too long or answered too much after that.
    """
    request.extensions = {**request.extensions, **bounds.extensions}
    try:
        async with asyncio.timeout(bounds.whole_s):
            return await _read_all(http, request, most_bytes=bounds.most_bytes)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        msg = f"{asked}: no connection was made ({type(error).__name__}), so nothing was executed; try again"
        raise NotSent(msg) from error
    except TimeoutError as error:
        msg = f"{asked}: no complete answer within {bounds.whole_s:g} s; it may have been executed"
        raise NoAnswer(msg) from error
    except _TooLong as error:
        msg = f"{asked}: the answer exceeds {bounds.most_bytes} bytes; it may have been executed"
        raise NoAnswer(msg) from error
    except Exception as error:
        # Whatever it is, and not all of it is of httpx (a TLS record that cannot be read is of ssl), the request was
        # on its way.
        msg = f"{asked}: the answer did not arrive ({type(error).__name__}); it may have been executed"
        raise NoAnswer(msg) from error


class _TooLong(Exception):
    """The body passed its limit."""


async def _read_all(http: httpx.AsyncBaseTransport, request: httpx.Request, *, most_bytes: int) -> Answer:
    response = await http.handle_async_request(request)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most_bytes:
                raise _TooLong
    finally:
        await response.aclose()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, bytes(body))

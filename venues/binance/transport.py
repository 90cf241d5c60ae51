"""One GET, asked again while that can help: the boundary at which httpx ends and this room's errors begin.

Invariants: no exception of httpx leaves this module; every attempt is bounded in time and size; only Retryable
failures are repeated, with exponential back-off and full jitter, and a fixed number of times. It knows no format:
the caller's `read` turns an answer into a value or raises, and is part of the attempt (a proxy's page in the place of
JSON is asked again). Only GET and HEAD pass here; orders never will: repeating one may execute it twice.

    rows = await transport.send(Request("GET", url, asked="klines of …", weight=2), read)
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import httpx

from contracts.errors import Halt, Retryable
from venues.binance.errors import Answer, BadAnswer, RateLimited, RequestRefused, VenueUnavailable
from venues.binance.limits import LONGEST_PAUSE_S, Clock, Jitter, RequestPool, Sleep, WeightBudget

T = TypeVar("T")
Method = Literal["GET", "HEAD"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is repeated.

    Attributes:
        attempts: Tries in all, the first included; there is always one.
        first_wait_s: Upper bound of the first back-off in seconds; it doubles with every try.
        longest_wait_s: Upper bound of any back-off in seconds.
        attempt_timeout_s: Seconds one try may take as a whole, however slowly its bytes drip.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0
    attempt_timeout_s: float = 60.0

    def wait(self, tries: int, jitter: float) -> float:
        """Seconds to wait after `tries` failed tries: full jitter below a doubling bound."""
        return jitter * min(self.longest_wait_s, self.first_wait_s * 2.0 ** (tries - 1))


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: GET or HEAD.
        url: Absolute address without a query.
        asked: What is attempted and with which key, for messages and logs.
        params: The query.
        headers: Headers beside the client's own.
        weight: Request weight it costs.
        pool: What every try is taken from beside its weight; None = nothing.
        most_bytes: Size at which reading the body stops with an error.
    """

    method: Method
    url: str
    asked: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: int = 0
    pool: RequestPool | None = None
    most_bytes: int = 64 * 2**20


class Transport:
    """Sends requests to one host within its budget.

    Args:
        client: An open httpx client; it stays the caller's to close.
        budget: The host's weight budget; a host without weights gets one whose requests weigh nothing.
        policy: How often to repeat.
        clock: Seconds since the epoch.
        sleep: Waits.
        jitter: Numbers in [0, 1).
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        budget: WeightBudget,
        *,
        policy: RetryPolicy | None = None,
        clock: Clock = time.time,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = random.random,
    ) -> None:
        self.clock = clock
        self.budget = budget
        self._client = client
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._jitter = jitter

    async def send(self, request: Request, read: Callable[[Answer], T]) -> T:
        """Ask until `read` accepts an answer.

        Args:
            request: What to ask.
            read: Turns an answer into the value wanted, or raises an error of `venues.binance.errors`.

        Raises:
            Retryable: Every try failed, or the venue asked for a pause longer than `LONGEST_PAUSE_S`.
            Rejected: `read` found that asking again would not help, or the body exceeds its limit (BadAnswer).
            Halt: The venue refuses this address.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return await self._try(request, read)
            except Retryable as failure:
                if tries >= self._policy.attempts or (failure.retry_after or 0.0) > LONGEST_PAUSE_S:
                    raise _given_up(failure, tries) from failure
                wait = max(failure.retry_after or 0.0, self._policy.wait(tries, self._jitter()))
                _log.info("asking again", extra={"asked": request.asked, "tries": tries, "reason": str(failure)})
                await self._sleep(wait)

    async def _try(self, request: Request, read: Callable[[Answer], T]) -> T:
        if request.pool is not None:
            await request.pool.take()
        ticket = await self.budget.spend(request.weight)
        used: int | None = None
        try:
            answer = await self._exchange(request)
            used = answer.number("x-mbx-used-weight-1m")
        finally:
            self.budget.settle(ticket, used=used)
        try:
            return read(answer)
        except RateLimited as limited:
            # Which of the two it was is not said, and the next refusal may be a ban: both rest.
            self.budget.pause(limited.retry_after)
            if request.pool is not None:
                request.pool.pause(limited.retry_after)
            raise
        except Halt as halt:
            self.budget.halt(halt.retry_after or 0.0, why=str(halt))
            raise

    async def _exchange(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(self._policy.attempt_timeout_s):
                return await self._read_all(request)
        except TimeoutError as error:
            msg = (
                f"{request.asked}: no complete answer within {self._policy.attempt_timeout_s:.0f} s from {request.url}"
            )
            raise VenueUnavailable(msg) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            msg = f"{request.asked}: {request.url!r} is no address ({error}); correct it in the settings"
            raise RequestRefused(msg) from error
        except httpx.HTTPError as error:
            msg = f"{request.asked}: no answer from {request.url} ({type(error).__name__}: {error}); ask again later"
            raise VenueUnavailable(msg) from error

    async def _read_all(self, request: Request) -> Answer:
        async with self._client.stream(
            request.method, request.url, params=dict(request.params), headers=dict(request.headers)
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > request.most_bytes:
                    msg = f"{request.asked}: the answer exceeds {request.most_bytes} bytes; nothing of it was used"
                    raise BadAnswer(msg)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, bytes(body))


def _given_up(failure: Retryable, tries: int) -> Retryable:
    msg = f"{failure} (given up after {tries} tries)"
    return type(failure)(msg, retry_after=failure.retry_after)

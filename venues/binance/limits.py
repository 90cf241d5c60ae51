"""The request weight one process may use at one host, counted in the exchange's own minutes.

Invariant: within a minute no more weight is sent than the share of the limit allows, counting what the exchange says
others on the same address used; after a 429 nothing is sent before the time it named; after a ban every call is
refused at once with `Halt`. It holds no event-loop object, so one budget serves one `asyncio.run` after another.
Endpoints that share a pool of their own beside the weights (funding: 500 requests in 5 minutes) take from it first.
Minutes are those of the local clock: if it is off by some seconds, a minute's first calls may wait longer than needed.

    budget = WeightBudget("fapi.binance.com", 2400)
    ticket = await budget.spend(2)
    budget.settle(ticket, used=17)        # X-MBX-USED-WEIGHT-1M of the answer; None = no answer
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from venues.binance.errors import RateLimited, RequestRefused, VenueHalted

Clock = Callable[[], float]
"""Seconds since the epoch."""
Sleep = Callable[[float], Awaitable[None]]
"""Waits that many seconds."""
Jitter = Callable[[], float]
"""A number in [0, 1), so that several processes do not wake at the same instant."""

# A longer pause is the caller's to wait for: a Dagster step or a stream has better things to do meanwhile.
LONGEST_PAUSE_S = 120.0
# fundingRate and fundingInfo share this pool of requests an address (binance-api.md §9); no header states its use.
FUNDING_REQUESTS = 500
FUNDING_WINDOW_S = 300.0
_MINUTE = 60
_SPREAD_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ticket:
    """Weight taken for one request: how much, and in which minute since the epoch."""

    weight: int
    minute: int


class RequestPool:
    """Requests that one process may send in any stretch of a given length, whatever they weigh.

    The exchange states neither its windows nor their use, so the stretch slides: wherever its windows begin, none of
    them holds more than the share.

    Args:
        name: What the pool is for, in messages.
        requests: Requests that the exchange allows one address in the window.
        window_s: Length of the window in seconds.
        share: The part of it this process may use, in (0, 1].
        clock: Seconds since the epoch.
        sleep: Waits.
    """

    def __init__(self, name: str, requests: int, *, window_s: float, share: float, clock: Clock, sleep: Sleep) -> None:
        self._name = name
        self._allowed = max(1, int(requests * share))
        self._window_s = window_s
        self._clock = clock
        self._sleep = sleep
        self._sent: deque[float] = deque()
        self._paused_until = 0.0

    async def take(self) -> None:
        """Take one request, waiting until the window has room for it.

        Raises:
            RateLimited: That is further away than `LONGEST_PAUSE_S`.
        """
        while True:
            now = self._clock()
            while self._sent and self._sent[0] <= now - self._window_s:
                self._sent.popleft()
            free_at = self._sent[0] + self._window_s if len(self._sent) >= self._allowed else now
            wait = max(free_at, self._paused_until) - now
            if wait <= 0:
                self._sent.append(now)
                return
            if wait > LONGEST_PAUSE_S:
                msg = (
                    f"{self._name}: its pool of {self._allowed} requests in {self._window_s:.0f} s is used up for "
                    f"another {wait:.0f} s; call again then"
                )
                raise RateLimited(msg, retry_after=wait)
            await self._sleep(wait)

    def pause(self, seconds: float | None) -> None:
        """Send nothing for a while: as long as a 429 said, or for a whole window when it named no time."""
        wait = self._window_s if seconds is None else seconds
        self._paused_until = max(self._paused_until, self._clock() + wait)


class WeightBudget:
    """The weight budget of one host.

    Attributes:
        funding: The pool that the host's funding endpoints share.

    Args:
        host: What the budget is for, in messages.
        limit: Weight that the exchange allows one address in a minute.
        share: The part of it this process may use, in (0, 1].
        clock: Seconds since the epoch.
        sleep: Waits.
        jitter: Numbers in [0, 1).
    """

    def __init__(
        self,
        host: str,
        limit: int,
        *,
        share: float = 0.8,
        clock: Clock = time.time,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = random.random,
    ) -> None:
        self._host = host
        self._share = share
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._allowed = int(limit * share)
        self.funding = RequestPool(
            f"{host} funding", FUNDING_REQUESTS, window_s=FUNDING_WINDOW_S, share=share, clock=clock, sleep=sleep
        )
        self._minute = -1
        self._used = 0
        self._in_flight = 0
        self._paused_until = 0.0
        self._halted_until = 0.0
        self._halted_why = ""

    @property
    def left(self) -> int:
        """Weight that may still be sent in the current minute."""
        self._turn()
        return max(0, self._allowed - self._used)

    def limit_is(self, limit: int) -> None:
        """Follow the limit that the exchange states in its exchangeInfo (weight a minute)."""
        self._allowed = int(limit * self._share)

    async def spend(self, weight: int) -> Ticket:
        """Take weight for one request, waiting for the next minute or the end of a pause where needed.

        Raises:
            VenueHalted: The host banned this address and the ban has not run out.
            RateLimited: The pause it asked for is longer than `LONGEST_PAUSE_S`.
            RequestRefused: The request alone is heavier than the whole budget.
        """
        if weight > self._allowed:
            msg = f"{self._host}: a request of weight {weight} exceeds the budget of {self._allowed} a minute"
            raise RequestRefused(msg)
        while True:
            self.refuse_if_halted()
            self._turn()
            now = self._clock()
            if now < self._paused_until:
                await self._wait(self._paused_until - now)
            elif self._used + weight <= self._allowed:
                self._used += weight
                self._in_flight += weight
                return Ticket(weight, self._minute)
            else:
                _log.info("weight budget used up", extra={"host": self._host, "used": self._used})
                await self._wait(self._to_next_minute(now))

    def settle(self, ticket: Ticket, *, used: int | None) -> None:
        """Say that a request is over.

        Args:
            ticket: What `spend` returned for it.
            used: The used weight that the answer's header states; None = no header or no answer.
        """
        self._turn()
        if ticket.minute != self._minute:
            return  # the header speaks of a minute that is over
        self._in_flight -= ticket.weight
        if used is not None:
            # Requests still under way are not in the exchange's count yet.
            self._used = max(self._used, used + self._in_flight)

    def pause(self, seconds: float | None) -> None:
        """Send nothing for a while: as long as a 429 said, or to the next minute when it named no time."""
        now = self._clock()
        wait = self._to_next_minute(now) if seconds is None else seconds
        self._paused_until = max(self._paused_until, now + wait)
        _log.warning("rate limited", extra={"host": self._host, "seconds": round(wait, 1)})

    def halt(self, seconds: float, *, why: str) -> None:
        """Refuse every call for that long: the host banned this address."""
        self._halted_until = max(self._halted_until, self._clock() + seconds)
        self._halted_why = why
        _log.error("halted by the venue", extra={"host": self._host, "seconds": round(seconds, 1)})

    def refuse_if_halted(self) -> None:
        """Do nothing, or raise.

        Raises:
            VenueHalted: The host banned this address and the ban has not run out.
        """
        left = self._halted_until - self._clock()
        if left > 0:
            msg = f"{self._host}: nothing is sent for another {left:.0f} s, after: {self._halted_why}"
            raise VenueHalted(msg, retry_after=left)

    async def _wait(self, seconds: float) -> None:
        if seconds > LONGEST_PAUSE_S:
            msg = f"{self._host}: it asked for a pause that lasts another {seconds:.0f} s; call again then"
            raise RateLimited(msg, retry_after=seconds)
        await self._sleep(seconds)

    def _turn(self) -> None:
        minute = int(self._clock() // _MINUTE)
        if minute != self._minute:
            self._minute, self._used, self._in_flight = minute, 0, 0

    def _to_next_minute(self, now: float) -> float:
        return _MINUTE - now % _MINUTE + self._jitter() * _SPREAD_S

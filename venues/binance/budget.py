"""How much of the rate limits of one host and one account the router uses, with a part that only exits may use.

Counted are the request weight of the address and the orders of the account, each in the exchange's own windows and by
its own headers (binance-api.md §9). Entries and queries stop at a share of each limit; the rest is for exits, which
stop at the limit itself: a request more would be refused, and would bring a ban nearer.

Invariants: between two answers no more is sent than the share (for exits: the limit) allows, requests under way
included; during a pause that Binance asked for nothing is sent at all; who cannot be served before its deadline is told
so at once, with nothing sent. Waiting is not in turn: who asks first after a window has ended goes first.

    ticket = await budget.take(weight=1, orders=1, priority=Priority.ENTRY, deadline=clock.seconds() + 5)
    budget.settle(ticket, answer.headers)          # None = no answer
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from contracts import Retryable
from venues.binance.limits import Clock, Jitter, Sleep

_log = logging.getLogger(__name__)

_MINUTE: Final = 60
_SPREAD_S: Final = 1.0
# What is waited for may come sooner than expected: an answer can tell that less was used.
_LOOK_AGAIN_S: Final = 1.0
# Binance's longest ban; what names a longer pause is taken for this one.
_LONGEST_PAUSE_S: Final = 3 * 86_400.0


class Priority(Enum):
    """Whom a shortage hits first."""

    EXIT = "EXIT"  # stops, exits, cancels, and queries that these wait for
    ENTRY = "ENTRY"  # what raises exposure
    QUERY = "QUERY"  # what can be asked later


class OverBudget(Retryable):
    """There is no room before the deadline; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of the exchange.

    Attributes:
        header: Name of the header that tells its use, in lower case.
        window_s: Length of its window in seconds; windows follow one another from the epoch on.
        most: Weight or orders allowed in a window.
        counts_orders: It counts orders of the account, not weight of the address.
    """

    header: str
    window_s: int
    most: int
    counts_orders: bool = False


# As documented; the exchange's own exchangeInfo decides (`limit_is`).
SPOT_LIMITS: Final = (
    Limit("x-mbx-used-weight-1m", _MINUTE, 6000),
    Limit("x-mbx-order-count-10s", 10, 50, counts_orders=True),
    Limit("x-mbx-order-count-1d", 86_400, 160_000, counts_orders=True),
)
USDM_LIMITS: Final = (
    Limit("x-mbx-used-weight-1m", _MINUTE, 2400),
    Limit("x-mbx-order-count-10s", 10, 300, counts_orders=True),
    Limit("x-mbx-order-count-1m", _MINUTE, 1200, counts_orders=True),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """How much of a limit is used, for metrics.

    Attributes:
        header: Which limit.
        spent: Weight or orders of its present window, requests under way included.
        most: What it allows.
    """

    header: str
    spent: int
    most: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was taken for one request: its place in the order of sending, its costs, and the window of each limit."""

    number: int
    weight: int
    orders: int
    windows: tuple[int, ...]


class _Use:
    """How much of one limit is used in its present window."""

    def __init__(self, limit: Limit, share: float) -> None:
        self.limit = limit
        self.window = -1
        self._share = share
        self._used = 0
        self._under_way = 0
        self._heard = 0  # the latest request whose answer told the use

    def turn(self, now: float) -> None:
        window = int(now // self.limit.window_s)
        if window != self.window:
            self.window, self._used = window, 0

    def cost(self, weight: int, orders: int) -> int:
        return orders if self.limit.counts_orders else weight

    def has_room(self, cost: int, *, to_the_limit: bool) -> bool:
        allowed = self.limit.most if to_the_limit else int(self.limit.most * self._share)
        return cost == 0 or self.spent + cost <= allowed

    @property
    def spent(self) -> int:
        return self._used + self._under_way

    def ends_in(self, now: float) -> float:
        return self.limit.window_s - now % self.limit.window_s

    def take(self, cost: int) -> None:
        self._under_way += cost

    def settle(self, ticket: Ticket, window: int, told: int | None) -> None:
        cost = self.cost(ticket.weight, ticket.orders)
        self._under_way -= cost
        if window != self.window:
            return  # the header speaks of a window that is over, or may
        if told is None:
            self._used += cost
        elif ticket.number > self._heard:
            self._heard, self._used = ticket.number, told  # it may have fallen: orders that filled count no more
        else:
            self._used = max(self._used, told)


class TradingBudget:
    """The limits of one host and one account.

    Args:
        limits: The limits of the market.
        clock: Seconds since the epoch by the server's clock, which its windows follow.
        ticks: A steady clock in seconds, from any origin: pauses end by it, also when the other is set anew.
        share: The part of each limit that entries and queries may use, in (0, 1).
        sleep: Waits.
        jitter: Numbers in [0, 1).
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        *,
        clock: Clock,
        ticks: Clock = time.monotonic,
        share: float = 0.8,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = random.random,
    ) -> None:
        if not 0.0 < share < 1.0:
            msg = f"share is {share}: it has to leave something to exits, so between 0 and 1"
            raise ValueError(msg)
        self._share = share
        self._uses = [_Use(limit, share) for limit in limits]
        self._clock = clock
        self._ticks = ticks
        self._sleep = sleep
        self._jitter = jitter
        self._sent = 0
        self._paused_until = self._orders_held_until = ticks()

    @property
    def paused_s(self) -> float:
        """Seconds for which nothing at all is sent; 0 = no pause."""
        return max(0.0, self._paused_until - self._ticks())

    def uses(self) -> list[Spent]:
        """How much of each limit is used now."""
        now = self._clock()
        for use in self._uses:
            use.turn(now)
        return [Spent(use.limit.header, use.spent, use.limit.most) for use in self._uses]

    def limit_is(self, header: str, most: int) -> None:
        """Follow a limit that exchangeInfo states.

        Raises:
            ValueError: No limit of this market is told by that header.
        """
        for use in self._uses:
            if use.limit.header == header:
                use.limit = Limit(header, use.limit.window_s, most, use.limit.counts_orders)
                return
        msg = f"no limit is told by {header!r}: {', '.join(use.limit.header for use in self._uses)} are"
        raise ValueError(msg)

    async def take(self, *, weight: int, orders: int, priority: Priority, deadline: float) -> Ticket:
        """Take room for one request, waiting for it.

        Args:
            weight: Request weight it costs.
            orders: Orders it places.
            priority: Exits may use what others may not.
            deadline: Seconds since the epoch after which it is of no use.

        Raises:
            OverBudget: There will be no room by then, or it has passed. `retry_after` tells when there will be.
        """
        while True:
            now = self._clock()
            wait = self._wait(weight, orders, priority, now)
            if now + wait > deadline:
                why = f"there is no room for another {wait:.1f} s" if wait > 0.0 else "its deadline has passed"
                msg = f"a request of weight {weight} that places {orders} orders was not sent: {why}"
                raise OverBudget(msg, retry_after=wait)
            if wait <= 0.0:
                return self._ticket(weight, orders)
            await self._sleep(min(wait, _LOOK_AGAIN_S))

    def settle(self, ticket: Ticket, headers: Mapping[str, str] | None) -> None:
        """Say that a request is over.

        Args:
            ticket: What `take` returned for it.
            headers: Headers of the answer by lower-case name; None = no answer.
        """
        now = self._clock()
        for use, window in zip(self._uses, ticket.windows, strict=True):
            use.turn(now)
            use.settle(ticket, window, _number((headers or {}).get(use.limit.header)))

    def pause(self, seconds: float | None) -> float:
        """Send nothing at all for a while: as long as Binance said, or to the next minute when it named no time.

        Returns:
            Seconds until the pause ends.
        """
        now = self._clock()
        wait = _MINUTE - now % _MINUTE + self._jitter() * _SPREAD_S if seconds is None else seconds
        self._paused_until = max(self._paused_until, self._ticks() + min(wait, _LONGEST_PAUSE_S))
        _log.warning("nothing is sent for a while", extra={"seconds": round(self.paused_s, 1)})
        return self.paused_s

    def hold_orders(self, seconds: float | None) -> float:
        """Place no orders for a while: as long as Binance said, or to the end of the shortest window of orders.

        Returns:
            Seconds until orders may be placed again.
        """
        now = self._clock()
        wait = seconds
        if wait is None:
            wait = min((use.ends_in(now) for use in self._uses if use.limit.counts_orders), default=0.0)
        self._orders_held_until = max(self._orders_held_until, self._ticks() + min(wait, _LONGEST_PAUSE_S))
        return self._orders_held_until - self._ticks()

    def _wait(self, weight: int, orders: int, priority: Priority, now: float) -> float:
        waits = [self.paused_s]
        if orders:
            waits.append(self._orders_held_until - self._ticks())
        for use in self._uses:
            use.turn(now)
            if not use.has_room(use.cost(weight, orders), to_the_limit=priority is Priority.EXIT):
                waits.append(use.ends_in(now))
        return max(0.0, *waits)

    def _ticket(self, weight: int, orders: int) -> Ticket:
        self._sent += 1
        for use in self._uses:
            use.take(use.cost(weight, orders))
        return Ticket(self._sent, weight, orders, tuple(use.window for use in self._uses))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None

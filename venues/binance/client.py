"""Everything public that Binance offers the platform, opened and closed as one thing.

One connection pool serves all hosts; each host has its own weight budget. Budgets may be handed in, so that a process
which opens market data again and again (a Dagster step a time, each in its own `asyncio.run`) remembers a ban.

    async with open_market_data(hosts, budgets=budgets) as data:
        file = await data.archive("binance_spot").month(key, month)
        answer = await data.rest("binance_spot").klines(key, start, end)
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from venues.binance.archive import ArchiveReader
from venues.binance.hosts import DEFAULT_HOSTS, VenueHosts, market
from venues.binance.limits import Clock, Jitter, Sleep, WeightBudget
from venues.binance.rest import BinanceRest
from venues.binance.transport import RetryPolicy, Transport

TIMEOUT = httpx.Timeout(20.0, connect=5.0)
# A proxy named by the environment is for the world outside: a simulator on this machine is reached directly.
DIRECT = {"all://127.0.0.1": None, "all://localhost": None}
CONNECTIONS = httpx.Limits(max_connections=16, max_keepalive_connections=16)


@dataclass(frozen=True, slots=True)
class MarketData:
    """The readers of every configured venue; use it inside `open_market_data` only."""

    _archives: Mapping[str, ArchiveReader]
    _rests: Mapping[str, BinanceRest]

    def archive(self, venue: str) -> ArchiveReader:
        """The archive of a venue; KeyError if the venue was not configured."""
        return self._archives[venue]

    def rest(self, venue: str) -> BinanceRest:
        """The REST API of a venue; KeyError if the venue was not configured."""
        return self._rests[venue]


@asynccontextmanager
async def open_market_data(
    hosts: Mapping[str, VenueHosts] = DEFAULT_HOSTS,
    *,
    budgets: MutableMapping[str, WeightBudget] | None = None,
    policy: RetryPolicy | None = None,
    inner: httpx.AsyncBaseTransport | None = None,
    clock: Clock = time.time,
    sleep: Sleep = asyncio.sleep,
    jitter: Jitter = random.random,
) -> AsyncIterator[MarketData]:
    """Open the connection pool and the readers of `hosts`.

    Args:
        hosts: By venue name.
        budgets: By base address; missing ones are added to it and can be handed in again.
        policy: How often requests are repeated.
        inner: What carries the requests; None = the network.
        clock: Seconds since the epoch.
        sleep: Waits.
        jitter: Numbers in [0, 1).

    Raises:
        ValueError: A venue that Binance does not have.
    """
    known = budgets if budgets is not None else {}
    async with httpx.AsyncClient(
        transport=inner, mounts=DIRECT, timeout=TIMEOUT, limits=CONNECTIONS, headers={"User-Agent": "tidemark"}
    ) as client:

        def transport(address: str, venue: str, share: float) -> Transport:
            budget = known.get(address)
            if budget is None:
                limit = market(venue).weight_limit
                budget = WeightBudget(address, limit, share=share, clock=clock, sleep=sleep, jitter=jitter)
                known[address] = budget
            return Transport(client, budget, policy=policy, clock=clock, sleep=sleep, jitter=jitter)

        archives = {
            venue: ArchiveReader(transport(one.archive, venue, one.weight_share), one.archive)
            for venue, one in hosts.items()
        }
        rests = {
            venue: BinanceRest(transport(one.rest, venue, one.weight_share), venue, one.rest)
            for venue, one in hosts.items()
        }
        yield MarketData(archives, rests)

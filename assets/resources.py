"""What assets are given: the database and the exchange, as Dagster resources.

Frames go to the database by COPY and are read back by window, in the asset's own body: an IO manager would hide the
window, the key and the transaction. Both resources are plain configuration; they open nothing until they are used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import dagster as dg
import psycopg

from assets import progress
from contracts import InstrumentKey
from store.connections import connect
from store.locks import instrument_lock
from venues.binance.client import MarketData, open_market_data
from venues.binance.hosts import VenueHosts
from venues.binance.limits import WeightBudget

# A ban outlives the step that met it: every step of this process shares the budgets.
_BUDGETS: dict[str, WeightBudget] = {}


class Postgres(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The platform's database, as the role `tidemark_batch`.

    Attributes:
        url: Where it is, password included; given by the environment, never by the code.
    """

    url: str

    def connect(self) -> psycopg.Connection:
        """Open a connection; the caller closes it.

        Raises:
            DatabaseUnavailable: The server cannot be reached now.
        """
        return connect(self.url, application_name="tidemark batch")


@contextmanager
def alone(conn: psycopg.Connection, instrument: InstrumentKey, *, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the instrument's lock; a run that has to wait for another one says so, where a person sees it."""
    label = f"waiting for another run on {instrument}"
    waited = False

    def on_wait() -> None:
        nonlocal waited
        waited = True
        say(label)
        progress.report(label, done=0, total=1)

    with instrument_lock(conn, instrument, on_wait=on_wait):
        if waited:
            progress.report(label, done=1, total=1)
        yield


class Exchange(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Public market data of every venue.

    Attributes:
        rest: Base address of the REST API by venue.
        archive: Base address of the archive by venue.
        weight_share: Share of the venue's request-weight limit that this process may use, by venue.
    """

    rest: Mapping[str, str]
    archive: Mapping[str, str]
    weight_share: Mapping[str, float]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[MarketData]:
        """The clients of all venues, sharing one connection pool for the length of the block."""
        hosts = {
            venue: VenueHosts(address, self.archive[venue], self.weight_share[venue])
            for venue, address in self.rest.items()
        }
        async with open_market_data(hosts, budgets=_BUDGETS) as data:
            yield data

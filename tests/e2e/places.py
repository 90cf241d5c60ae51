"""Where an end-to-end test works: an installation with databases of its own, and the variables that describe it.

All places of a session share one server, as installations of one machine may: the embedded one in the session's
folder, or the one named by TIDEMARK_TEST_DATABASE_URL. Their databases are theirs and are dropped at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql

from store.connections import connect
from tests.e2e.commands import Ended, environment, run
from tidemark.installation import BATCH, DAGSTER, Installation
from tidemark.settings import load_settings
from venues.simulator import Simulator

CANDLES = """
    SELECT open_time, open, high, low, close, volume FROM market.candles
    WHERE (venue, symbol, tf) = (%s, %s, %s) ORDER BY open_time
"""

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Place:
    """One installation of the session's server.

    Attributes:
        variables: What describes it to a command.
        installation: The same, for this process.
        embedded: Whether the session runs its server itself.
    """

    variables: Mapping[str, str]
    installation: Installation
    embedded: bool

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Place:
        """The place that these variables describe."""
        with environment(variables):
            installation = Installation(load_settings())
        return cls(variables, installation, installation.embedded)

    def seeing(self, simulator: Simulator) -> dict[str, str]:
        """The variables, with the simulator as the exchange."""
        return {
            **self.variables,
            "TIDEMARK_BINANCE_SPOT__REST": simulator.spot_url,
            "TIDEMARK_BINANCE_USDM__REST": simulator.usdm_url,
            "TIDEMARK_BINANCE_SPOT__ARCHIVE": simulator.archive_url,
            "TIDEMARK_BINANCE_USDM__ARCHIVE": simulator.archive_url,
        }

    def run(self, *arguments: str, simulator: Simulator, more: Mapping[str, str] = NOTHING) -> Ended:
        """Run a command here, in this process, with more variables where they are given."""
        return run(*arguments, variables={**self.seeing(simulator), **more})

    def query(self, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
        """The rows of one statement, as the role that loads."""
        with connect(self.installation.url(BATCH)) as conn:
            return conn.execute(statement.encode(), values).fetchall()

    def candles(self, key: str) -> dict[Any, tuple[Decimal, ...]]:
        """What is stored of a series: open time → open, high, low, close, volume."""
        return {row[0]: row[1:] for row in self.query(CANDLES, *key.split(":"))}

    @contextlib.contextmanager
    def dagster(self) -> Iterator[dg.DagsterInstance]:
        """The Dagster instance of this place."""
        with environment({**self.variables, **self.installation.dagster_environment()}):
            instance = dg.DagsterInstance.get()
        with instance:
            yield instance

    def terminate(self) -> int:
        """End every connection of the loading role and of Dagster to this place's databases; how many there were."""
        names = [self.installation.settings.database, self.installation.settings.dagster_database]
        with connect(self.installation.admin_url("postgres")) as conn:
            return conn.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = ANY(%s) AND usename = ANY(%s)",
                [names, [BATCH, DAGSTER]],
            ).rowcount

    def drop(self) -> None:
        """Drop the databases of this place."""
        for name in (self.installation.settings.database, self.installation.settings.dagster_database):
            with (
                connect(self.installation.admin_url("postgres")) as conn,
                contextlib.suppress(psycopg.OperationalError),
            ):
                conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

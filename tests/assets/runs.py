"""Running what is tested on a test's own database: loads without Dagster, jobs with an instance of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
import psycopg
from psycopg import sql

from assets.analysis import TABLES, analysis
from assets.bots import PluginBots
from assets.candle_run import Job, RunReport, run_candles
from assets.checks.data_docs import DataDocs
from assets.checks.market import candle_checks
from assets.holes import Run
from assets.market import FAR_FUTURE, candles, exchange_rules
from assets.partitions import Month, partition_key
from assets.resources import Exchange, Postgres
from contracts import InstrumentKey, SeriesKey, Timeframe
from orchestration.jobs import backfill
from store import gaps
from store.candle_reads import stored_digest
from store.candles import merge_candles
from store.catalog import Instrument, SeriesSetting, upsert_instrument, upsert_series
from store.ledger import rechain_instrument, write_digest
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, KEY, T0, FakeVenue, hours, with_close
from tests.databases import Database
from venues.binance.archive import ArchiveReader
from venues.binance.client import MarketData
from venues.binance.rest import BinanceRest

LISTED = datetime(2017, 8, 17, 4, tzinfo=UTC)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def months(first: str, last: str | None = None) -> tuple[Month, ...]:
    """The months from `first` to `last`, both included."""
    found, end = [Month.parse(first)], Month.parse(last or first)
    while found[-1] < end:
        found.append(found[-1].following)
    return tuple(found)


def job_for(
    venue: FakeVenue, wanted: Sequence[Month], *, listed: datetime = LISTED, delisted: datetime = FAR_FUTURE
) -> Job:
    """What a run of all series of the venue is asked for now."""
    series = sorted(venue.tape)
    return Job(series[0].instrument, series, wanted, Run(listed, delisted), venue.clock())


def load(conn: psycopg.Connection, venue: FakeVenue, wanted: Sequence[Month], **listing: datetime) -> RunReport:
    """Load those months of every series of the venue."""
    return asyncio.run(run_candles(job_for(venue, wanted, **listing), conn, venue.effects()))


def load_without_confirming(conn: psycopg.Connection, venue: FakeVenue, wanted: Sequence[Month]) -> RunReport:
    """The same, but holes are not asked about a second time."""
    return asyncio.run(run_candles(job_for(venue, wanted), conn, venue.effects(), confirm_holes=False))


def keep(
    conn: psycopg.Connection, *keys: SeriesKey, listed: datetime | None = LISTED, sub_tf: Timeframe | None = None
) -> None:
    """Enter series, all with this sub-timeframe, and their instrument into the catalogue."""
    for key in keys:
        upsert_series(conn, SeriesSetting(key, sub_tf=sub_tf))
        upsert_instrument(conn, Instrument(key.instrument, "SPOT", "BTC", "USDT", "TRADING", listed_at=listed))


def revise(conn: psycopg.Connection, venue: FakeVenue, opened: datetime, close: str, *, key: SeriesKey = KEY) -> None:
    """Store another version of one candle, and bring the digest of its month and the chain up to date."""
    venue.tape[key] = with_close(venue.tape[key], opened, close)
    changed = venue.tape[key].filter(venue.tape[key]["open_time"] == opened)
    month = Month.of(opened)
    merge_candles(conn, key, changed, "archive", seen_at=venue.clock())
    rows, sha256 = stored_digest(conn, key, month.start, month.end)
    write_digest(conn, key, month.start.date(), rows=rows, sha256=sha256, computed_at=venue.clock())
    rechain_instrument(conn, key.instrument)


def exchange_of(*venues: FakeVenue, after: Callable[[], None] = lambda: None) -> Exchange:
    """The exchange resource that leads to fakes; `after` is called whenever a step is done with it."""
    by_name = {next(iter(venue.tape)).venue: venue for venue in venues}

    class Given(Exchange):
        @asynccontextmanager
        async def open(self) -> AsyncIterator[MarketData]:
            archives = {name: cast(ArchiveReader, venue) for name, venue in by_name.items()}
            yield MarketData(archives, {name: cast(BinanceRest, venue) for name, venue in by_name.items()})
            after()

    return Given(rest={}, archive={}, weight_share={})


@dataclass(frozen=True, slots=True)
class World:
    """A database, an exchange, and a Dagster instance that forgets."""

    database: Database
    exchange: Exchange
    instance: dg.DagsterInstance
    bots: PluginBots = field(default_factory=PluginBots)
    docs: DataDocs = field(default_factory=DataDocs)
    checks: Sequence[dg.AssetChecksDefinition] = (candle_checks,)

    def run(
        self,
        wanted: Sequence[Month],
        *,
        until: InstrumentKey = INSTRUMENT,
        selection: Sequence[str] | None = None,
        ops: dict[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One run of the backfill job over those months, of `INSTRUMENT` to `until`; its failure is in the result."""
        keys = [str(INSTRUMENT), str(until)]
        self.instance.add_dynamic_partitions("instruments", sorted(set(keys)))
        definitions = dg.Definitions(
            assets=[exchange_rules, candles, analysis],
            asset_checks=self.checks,
            jobs=[backfill],
            resources={
                "database": Postgres(url=self.database.dsn(BATCH)),
                "exchange": self.exchange,
                "bots": self.bots,
                "data_docs": self.docs,
            },
            executor=dg.in_process_executor,
        )
        return definitions.resolve_job_def("backfill").execute_in_process(
            instance=self.instance,
            tags={
                "dagster/asset_partition_range_start": str(partition_key(INSTRUMENT, wanted[0])),
                "dagster/asset_partition_range_end": str(partition_key(until, wanted[-1])),
            },
            run_config={**QUIET, "ops": ops or {}},
            asset_selection=None if selection is None else [dg.AssetKey(name) for name in selection],
            raise_on_error=False,
        )

    def analyse(self, wanted: Sequence[Month], *, recompute: bool = False) -> dg.ExecuteInProcessResult:
        """One run of the analysis alone."""
        return self.run(wanted, selection=[*TABLES], ops={"analysis": {"config": {"recompute": recompute}}})


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the first failed step's body raised, with its class."""
    for event in result.all_events:
        if event.is_step_failure:
            wrapper = event.step_failure_data.error
            error = wrapper.cause if wrapper is not None and wrapper.cause is not None else wrapper
            return f"{error.cls_name}: {error.message}" if error else ""
    return ""


def stored(conn: psycopg.Connection) -> dict[str, list[str]]:
    """Every row of what a load writes, as sorted text."""
    tables = ("candles", "candle_gaps", "candle_digests", "archive_files", "candle_revisions", "quarantine")
    rows = {
        table: conn.execute(
            sql.SQL("SELECT to_jsonb(t) - 'id' FROM {} AS t").format(sql.Identifier("market", table))
        ).fetchall()
        for table in tables
    }
    return {table: sorted(str(row) for (row,) in found) for table, found in rows.items()}


def ledger_of(conn: psycopg.Connection, key: SeriesKey = KEY) -> list[tuple[str, int, int]]:
    """The hole ledger of a series: cause, first slot and end as indices after 2022-01-01."""
    found = gaps.holes(conn, key, T0 - 99 * hours(24), T0 + 999 * hours(24))
    return [(hole.cause, (hole.start - T0) // key.tf.duration, (hole.end - T0) // key.tf.duration) for hole in found]

"""Assets of what the exchange said: `exchange_rules`, `candles`, `candle_gaps`.

`candles` and `candle_gaps` are one step (docs/adr/0005): it loads every month of its run, writes each in one
transaction with its digest and its holes, and at the end asks the second time for the holes that are still pending.
A month that is complete already costs one look and no request.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
import psycopg
from pydantic import Field

from assets.candle_run import Effects, Job, RunReport, run_candles
from assets.columns import columns_of
from assets.holes import Run
from assets.partitions import Metadata, Task, instrument_months, metadata_of_run, tasks_of
from assets.plots import sparkline
from assets.reactions import reacting
from assets.resources import Exchange, Postgres, alone
from assets.versions import Versions
from assets.waiting import run_interruptibly
from contracts import InstrumentKey, Rejected, SeriesKey
from store import gaps
from store.candle_reads import read_bars, source_counts
from store.catalog import Instrument, list_instruments, list_series, record_rules, upsert_instrument
from store.statistics import gather_statistics
from venues.binance.client import MarketData
from venues.binance.errors import UnknownSymbol
from venues.binance.rest import BinanceRest
from venues.binance.rules import ExchangeInfo, rules_sha256

FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


class SeriesSelection(dg.Config):
    """Which series of the partition's instrument a run works on.

    Attributes:
        timeframes: Their timeframes; empty = every enabled series of the instrument.
    """

    timeframes: list[str] = Field(default_factory=list)

    def of(self, conn: psycopg.Connection, instrument: InstrumentKey) -> list[SeriesKey]:
        """The selected series, sorted by duration.

        Raises:
            Rejected: The instrument has none of them.
        """
        kept = [setting.key for setting in list_series(conn, instrument, enabled_only=True)]
        found = [key for key in kept if not self.timeframes or str(key.tf) in self.timeframes]
        if not found:
            msg = (
                f"{instrument} has no enabled series{' of ' + ', '.join(self.timeframes) if self.timeframes else ''}: "
                f"`tidemark backfill` adds series, market.series lists them"
            )
            raise Rejected(msg)
        return found


class CandlesConfig(SeriesSelection):
    """What a run of `candles` is asked for.

    Attributes:
        confirm_holes: Wait until pending holes of the run may be asked about again, 30 s after the first answer, and
            ask; else they stay pending for the next run.
    """

    confirm_holes: bool = True


@dg.asset(
    group_name="market",
    kinds={"postgres"},
    owners=["team:data"],
    pool="exchange",
    description="Trading rules of every instrument we keep, one row each time the exchange changed them.",
    metadata=columns_of("market.exchange_rules"),
)
@reacting
def exchange_rules(
    context: dg.AssetExecutionContext, database: Postgres, exchange: Exchange
) -> dg.MaterializeResult[None]:
    """Snapshot the rules of all instruments of `market.series`, and note when each was listed."""
    with database.connect() as conn:
        wanted = sorted({setting.key.instrument for setting in list_series(conn)})

        async def learn() -> int:
            async with exchange.open() as data:
                return await _learn(conn, data, wanted)

        changed = run_interruptibly(learn())
    context.log.info(f"rules of {len(wanted)} instruments read, {changed} changed")
    return dg.MaterializeResult(metadata={"instruments": len(wanted), "changed": changed})


async def _listed(rest: BinanceRest, instruments: Sequence[InstrumentKey]) -> dict[InstrumentKey, ExchangeInfo]:
    """What the venue says of each instrument that it lists.

    Spot refuses a question for many symbols when it does not know one of them: then each is asked for alone.

    Raises:
        UnknownSymbol: It lists none of them.
    """
    try:
        info = await rest.exchange_info([instrument.symbol for instrument in instruments])
    except UnknownSymbol:
        if len(instruments) == 1:
            raise
        found: dict[InstrumentKey, ExchangeInfo] = {}
        for instrument in instruments:
            with contextlib.suppress(UnknownSymbol):
                found |= await _listed(rest, [instrument])
        return found
    return dict.fromkeys(instruments, info)


async def _learn(conn: psycopg.Connection, data: MarketData, wanted: Sequence[InstrumentKey]) -> int:
    """Store what the exchange says of `wanted` now, and when each was listed; returns how many rules changed.

    What it does not list (any more) keeps the rules it had.
    """
    known = {instrument.key: instrument.listed_at for instrument in list_instruments(conn)}
    by_venue: dict[str, list[InstrumentKey]] = defaultdict(list)
    for instrument in wanted:
        by_venue[instrument.venue].append(instrument)
    changed = 0
    for venue, instruments in by_venue.items():
        for instrument, info in (await _listed(data.rest(venue), instruments)).items():
            found = info.symbols[instrument.symbol]
            # The first candle, not the stated date: spot states none, and trading may begin later than stated.
            listed_at = known.get(instrument) or await data.rest(venue).first_open_time(instrument.series("1m"))
            row = Instrument(
                key=instrument,
                contract_type=found.rules.contract_type,
                base=found.rules.base,
                quote=found.rules.quote,
                status=found.rules.status,
                listed_at=listed_at,
                delisted_at=found.delisted_at,
            )
            upsert_instrument(conn, row)
            changed += record_rules(conn, found.rules, sha256=rules_sha256(found.rules), seen_at=info.seen_at)
    return changed


@dg.multi_asset(
    name="candles",
    specs=[
        dg.AssetSpec(
            "candles",
            group_name="market",
            kinds={"postgres", "polars"},
            owners=["team:data"],
            description="Closed candles of every timeframe, exactly as the exchange gave them, each with its source.",
            metadata=columns_of("market.candles"),
        ),
        dg.AssetSpec(
            "candle_gaps",
            deps=["candles"],
            group_name="market",
            kinds={"postgres"},
            owners=["team:data"],
            description="Every missing candle with its cause; analysis runs up to the first pending one.",
            metadata=columns_of("market.candle_gaps"),
        ),
    ],
    partitions_def=instrument_months,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="exchange",
)
@reacting
def candles(
    context: dg.AssetExecutionContext, config: CandlesConfig, database: Postgres, exchange: Exchange
) -> Iterator[dg.MaterializeResult[None]]:
    """Load the months of each instrument of the run, under the instrument's lock."""
    loaded: list[tuple[Task, Metadata]] = []
    holes: list[tuple[Task, Metadata]] = []
    versions = Versions()
    for task in tasks_of(context.partition_keys):
        with database.connect() as conn, alone(conn, task.instrument, say=context.log.info):
            series = config.of(conn, task.instrument)
            report = run_interruptibly(_load(context, conn, exchange, task, series, config))
            gather_statistics(conn)
            loaded.append((task, _candle_metadata(conn, task, series, report)))
            holes.append((task, _gap_metadata(conn, task, series, report)))
            versions.add(conn, task)
    yield dg.MaterializeResult(asset_key="candles", metadata=metadata_of_run(loaded), data_version=versions.of_candles)
    yield dg.MaterializeResult(asset_key="candle_gaps", metadata=metadata_of_run(holes), data_version=versions.of_gaps)


async def _load(
    context: dg.AssetExecutionContext,
    conn: psycopg.Connection,
    exchange: Exchange,
    task: Task,
    series: Sequence[SeriesKey],
    config: CandlesConfig,
) -> RunReport:
    async with exchange.open() as data:
        job = await job_of(conn, data, task, series)
        venue = task.instrument.venue
        effects = Effects(archive=data.archive(venue), rest=data.rest(venue), say=context.log.info)
        report = await run_candles(job, conn, effects, confirm_holes=config.confirm_holes)
    context.log.info(
        f"{task.instrument}: {report.loaded} months of a series loaded, {report.complete} were complete; "
        f"{report.counts}; {report.quarantined} rows quarantined, {report.pending} holes pending"
    )
    return report


async def job_of(conn: psycopg.Connection, data: MarketData, task: Task, series: Sequence[SeriesKey]) -> Job:
    """What a run of `task` is asked for, as of the venue's time now; an instrument not met before is learnt first.

    Raises:
        Rejected: The venue does not list the instrument, or has no candle of it.
    """
    row = _stored(conn, task.instrument)
    if row is None or row.listed_at is None:
        await _learn(conn, data, [task.instrument])
        row = _stored(conn, task.instrument)
    if row is None or row.listed_at is None:
        msg = f"{task.instrument}: the venue has no candle of it yet; ask again when trading has begun"
        raise Rejected(msg)
    now = await data.rest(task.instrument.venue).server_time()
    return Job(
        instrument=task.instrument,
        series=series,
        months=task.months,
        listed=Run(row.listed_at, row.delisted_at or FAR_FUTURE),
        now=now,
    )


def _stored(conn: psycopg.Connection, key: InstrumentKey) -> Instrument | None:
    return next((found for found in list_instruments(conn) if found.key == key), None)


def _candle_metadata(conn: psycopg.Connection, task: Task, series: Sequence[SeriesKey], report: RunReport) -> Metadata:
    lines = ["| series | archive | rest | ws |", "|---|---:|---:|---:|"]
    total = 0
    for key in series:
        counts = source_counts(conn, key, task.start, task.end)
        total += sum(counts.values())
        lines.append(f"| {key} | {counts.get('archive', 0)} | {counts.get('rest', 0)} | {counts.get('ws', 0)} |")
    closes = read_bars(conn, series[-1], task.start, task.end)["close"].to_list()
    return {
        "dagster/row_count": dg.MetadataValue.int(total),
        "sources": dg.MetadataValue.md("\n".join(lines)),
        "inserted": dg.MetadataValue.int(report.counts.inserted),
        "revised": dg.MetadataValue.int(report.counts.revised),
        "lost": dg.MetadataValue.int(report.counts.lost),
        "quarantined": dg.MetadataValue.int(report.quarantined),
        "complete before": dg.MetadataValue.int(report.complete),
        "seconds": dg.MetadataValue.json({name: round(value, 3) for name, value in report.seconds.items()}),
        "close": dg.MetadataValue.md(sparkline(closes, title=f"close of {series[-1]}")),
    }


def _gap_metadata(conn: psycopg.Connection, task: Task, series: Sequence[SeriesKey], report: RunReport) -> Metadata:
    by_cause: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for key in series:
        for hole in gaps.holes(conn, key, task.start, task.end):
            by_cause[hole.cause][0] += 1
            by_cause[hole.cause][1] += key.tf.bars_in(hole.start, hole.end)
    lines = ["| cause | holes | bars |", "|---|---:|---:|"]
    lines += [f"| {cause} | {holes} | {bars} |" for cause, (holes, bars) in sorted(by_cause.items())]
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(holes for holes, _ in by_cause.values())),
        "holes by cause": dg.MetadataValue.md("\n".join(lines)),
        "pending": dg.MetadataValue.int(report.pending),
    }

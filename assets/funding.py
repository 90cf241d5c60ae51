"""The asset `funding_rates`: what perpetuals settled, month by month from the archive, the rest by REST.

A month's archive file is read once it is published and looked at again by its ETag whenever the month is run; REST is
asked for months whose file is new, changed or not there yet, in one question a run, because it alone states the mark
price and which settlement was special. Where the two disagree about a rate the archive stands and both are kept
(`store.funding`). Spot settles no funding: its partitions stay empty and say so.

    report = await load_funding(conn, task, archive, rest, now=now, at=at)
"""

import itertools
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import UTC, date, datetime
from typing import Protocol

import dagster as dg
import polars as pl
import psycopg

from assets.columns import columns_of
from assets.partitions import Metadata, Month, Task, instrument_months, metadata_of_run, tasks_of
from assets.plots import sparkline
from assets.reactions import reacting
from assets.resources import Exchange, Postgres, alone
from assets.waiting import run_interruptibly
from contracts import DataRejected, InstrumentKey
from store import ledger
from store.candles import Source
from store.connections import translated
from store.funding import FundingCounts, merge_funding, read_funding
from venues.binance.archive import FundingFile, KnownFile
from venues.binance.archive_files import ArchiveName, FundingName
from venues.binance.funding import REGULAR, SPECIAL, FundingAnswer
from venues.binance.hosts import market


class FundingArchive(Protocol):
    """What is asked of the archive reader."""

    def url(self, name: ArchiveName | FundingName) -> str:
        """Address of a file."""
        ...

    async def funding_month(self, instrument: InstrumentKey, month: date) -> FundingFile | None:
        """The file of a month; None = not published."""
        ...

    async def unchanged(self, known: KnownFile) -> bool:
        """Whether the archive still serves the file that was read."""
        ...


class FundingRest(Protocol):
    """What is asked of the REST client."""

    async def funding_rates(self, instrument: InstrumentKey, start: datetime, end: datetime) -> FundingAnswer:
        """The settlements of [start, end)."""
        ...


@dataclass(slots=True)
class FundingReport:
    """What one load did.

    Attributes:
        counts: What became of the settlements that arrived, archive and REST.
        quarantined: Rows that were refused.
        files: Archive files read.
        verified: Archive files that were still the ones read before.
        rejected: Archive files that contradict themselves; nothing of them was stored, their months have what REST
            says.
    """

    counts: FundingCounts = field(default_factory=FundingCounts)
    quarantined: int = 0
    files: int = 0
    verified: int = 0
    rejected: list[DataRejected] = field(default_factory=list)

    def add(self, counts: FundingCounts) -> None:
        """Count one merge in."""
        self.counts = FundingCounts(*map(sum, zip(astuple(self.counts), astuple(counts), strict=True)))


@dataclass(slots=True)
class _Fetched:
    files: list[FundingFile] = field(default_factory=list)
    verified: list[ledger.ArchiveFileRecord] = field(default_factory=list)
    answers: list[tuple[Month, FundingAnswer]] = field(default_factory=list)
    rejected: list[DataRejected] = field(default_factory=list)


@dg.multi_asset(
    name="funding_rates",
    specs=[
        dg.AssetSpec(
            "funding_rates",
            group_name="market",
            kinds={"postgres"},
            owners=["team:data"],
            metadata=columns_of("market.funding_rates"),
            description="Settled funding of USD-M perpetuals with the realised interval; spot has none.",
        )
    ],
    partitions_def=instrument_months,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="exchange",
)
@reacting
def funding_rates(
    context: dg.AssetExecutionContext, database: Postgres, exchange: Exchange
) -> dg.MaterializeResult[None]:
    """Load the settlements of each instrument of the run."""
    found: list[tuple[Task, Metadata]] = []
    rejected: list[DataRejected] = []
    for task in tasks_of(context.partition_keys):
        if not market(task.instrument.venue).has_funding:
            found.append(
                (task, {"dagster/row_count": dg.MetadataValue.int(0), "note": dg.MetadataValue.text("spot has none")})
            )
            continue
        with database.connect() as conn, alone(conn, task.instrument, say=context.log.info):
            report = run_interruptibly(_load(conn, exchange, task))
            context.log.info(f"{task.instrument}: {report.counts}, {report.quarantined} rows quarantined")
            found.append((task, _metadata(conn, task, report)))
            rejected += report.rejected
    if rejected:
        raise DataRejected("; ".join(map(str, rejected))) from rejected[0]
    return dg.MaterializeResult(metadata=metadata_of_run(found))


async def _load(conn: psycopg.Connection, exchange: Exchange, task: Task) -> FundingReport:
    async with exchange.open() as data:
        rest = data.rest(task.instrument.venue)
        now = await rest.server_time()
        return await load_funding(conn, task, data.archive(task.instrument.venue), rest, now=now, at=datetime.now(UTC))


async def load_funding(
    conn: psycopg.Connection, task: Task, archive: FundingArchive, rest: FundingRest, *, now: datetime, at: datetime
) -> FundingReport:
    """Bring the settlements of `task` up to date, all that arrived or none of it.

    Args:
        conn: A connection in autocommit mode.
        task: A perpetual and its months.
        archive: The venue's archive.
        rest: The venue's REST API.
        now: The venue's time.
        at: When this is; stored as the time of arrival.

    Raises:
        TidemarkError: A source or the database failed; nothing was stored.
    """
    fetched = await _fetch(conn, task, archive, rest, now=now)
    report = FundingReport(files=len(fetched.files), verified=len(fetched.verified), rejected=fetched.rejected)
    with translated("write funding", key=task.instrument), conn.transaction():
        for record in fetched.verified:
            ledger.record_archive_file(conn, _seen_again(record, at))
        special = _special_times([answer for _, answer in fetched.answers])
        for file in fetched.files:
            rates = _with_kinds(file.parsed.rates, special)
            report.add(merge_funding(conn, task.instrument, rates, source="archive", at=at))
            report.quarantined += _quarantine(conn, task, file.parsed.quarantined, origin=file.url, at=at)
            ledger.record_archive_file(
                conn, ledger.ArchiveFileRecord(file.url, file.etag, file.sha256, rates.height, at)
            )
        for first, answer in fetched.answers:
            report.add(merge_funding(conn, task.instrument, answer.rows, source="rest", at=at))
            # The month, as a file's address ends with it, places a row whose time cannot be read.
            origin = f"{task.instrument.venue} fundingRate {first}"
            report.quarantined += _quarantine(conn, task, answer.quarantined, origin=origin, at=at)
    return report


async def _fetch(
    conn: psycopg.Connection, task: Task, archive: FundingArchive, rest: FundingRest, *, now: datetime
) -> _Fetched:
    """What the archive has of the months, and what REST says of those whose file as it is now was not read before."""
    fetched = _Fetched()
    unread: list[Month] = []
    for month in task.months:
        if month.start >= now:
            continue
        url = archive.url(FundingName.of_month(task.instrument, month.start.date()))
        known = ledger.archive_files(conn, [url]).get(url)
        if known is not None and await archive.unchanged(KnownFile(known.url, known.etag, known.sha256)):
            fetched.verified.append(known)
            continue
        unread.append(month)
        if month.end > now:
            continue
        try:
            file = await archive.funding_month(task.instrument, month.start.date())
        except DataRejected as error:
            fetched.rejected.append(error)
            continue
        if file is not None:
            fetched.files.append(file)
    for first, last in _stretches(unread):
        answer = await rest.funding_rates(task.instrument, first.start, min(last.end, now))
        fetched.answers.append((first, answer))
    return fetched


def _stretches(months: Sequence[Month]) -> list[tuple[Month, Month]]:
    """First and last of each run of months that follow each other: REST is asked once for it."""
    found: list[tuple[Month, Month]] = []
    for month in months:
        if found and found[-1][1].following == month:
            found[-1] = found[-1][0], month
        else:
            found.append((month, month))
    return found


def _special_times(answers: Sequence[FundingAnswer]) -> pl.Series:
    """The instants at which REST knows a special settlement and no regular one."""
    rows = pl.concat([answer.rows for answer in answers]) if answers else None
    if rows is None:
        return pl.Series(dtype=pl.Datetime("us", "UTC"))
    regular = rows.filter(pl.col("rate_type") == REGULAR)
    return rows.filter(pl.col("rate_type") == SPECIAL).join(regular, on="funding_time", how="anti")["funding_time"]


def _with_kinds(rates: pl.DataFrame, special: pl.Series) -> pl.DataFrame:
    """The archive's rows, which do not say what kind they are, with the kind that REST states for their instant."""
    kind = pl.when(pl.col("funding_time").is_in(special.implode())).then(pl.lit(SPECIAL)).otherwise("rate_type")
    return rates.with_columns(rate_type=kind)


def _seen_again(record: ledger.ArchiveFileRecord, at: datetime) -> ledger.ArchiveFileRecord:
    return ledger.ArchiveFileRecord(record.url, record.etag, record.sha256, record.rows, at)


def _quarantine(conn: psycopg.Connection, task: Task, refused: pl.DataFrame, *, origin: str, at: datetime) -> int:
    source: Source = "archive" if origin.startswith("http") else "rest"
    ledger.quarantine(conn, task.instrument, refused, source, origin=origin, seen_at=at)
    return refused.height


def interval_changes(rates: pl.DataFrame) -> list[str]:
    """Where the realised interval between regular settlements became another one, one sentence each."""
    known = rates.filter((pl.col("rate_type") == REGULAR) & pl.col("interval_hours").is_not_null())
    rows = known.select("funding_time", "interval_hours").iter_rows()
    return [
        f"{when:%Y-%m-%d %H:%M}: {before} h became {hours} h"
        for (_, before), (when, hours) in itertools.pairwise(rows)
        if before != hours
    ]


def _metadata(conn: psycopg.Connection, task: Task, report: FundingReport) -> Metadata:
    rates = read_funding(conn, task.instrument, task.start, task.end)
    changes = interval_changes(rates)
    values = rates["rate"].cast(pl.Float64).to_list()
    return {
        "dagster/row_count": dg.MetadataValue.int(rates.height),
        "inserted": dg.MetadataValue.int(report.counts.inserted),
        "revised": dg.MetadataValue.int(report.counts.revised),
        "lost": dg.MetadataValue.int(report.counts.lost),
        "quarantined": dg.MetadataValue.int(report.quarantined),
        "files read": dg.MetadataValue.int(report.files),
        "files unchanged": dg.MetadataValue.int(report.verified),
        "interval changes": dg.MetadataValue.md("\n".join(f"- {change}" for change in changes) or "none"),
        "rate": dg.MetadataValue.md(sparkline(values, title=f"funding of {task.instrument}")),
    }

"""The asset `candle_verification`: is what we stored still what the exchange says?

How a month is verified: `assets.verification_run`. Which months have to be computed again is told in the metadata of
the materialization (`RUN_AGAIN`): from the first one whose analysis was made from another chain than is stored now, or
whose chain moved just now, to the last stored one. What the analysis was made from is stored with it, so nothing is
lost by a verification that failed half-way, was retried or was killed: the next one tells of it. A file of the archive
that contradicts itself stops nothing: the check tells of it.

    for rerun in reruns_of(materialization.metadata):
        yield dg.RunRequest(run_key=rerun.run_key, tags=rerun.tags)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
import psycopg

from assets.columns import columns_of
from assets.market import SeriesSelection, job_of
from assets.partitions import Metadata, Month, Task, instrument_months, metadata_of_run, partition_key, tasks_of
from assets.reactions import reacting
from assets.resources import Exchange, Postgres, alone
from assets.verification_run import Sources, Verification, verify
from assets.waiting import run_interruptibly
from contracts import DataRejected, InstrumentKey, SeriesKey
from store import ledger, snapshots
from store.catalog import list_series

RUN_AGAIN = "to run again"
"""Name of the metadata that holds what has to be computed again."""
READABLE_CHECK = "archive_files_are_readable"


@dataclass(frozen=True, slots=True)
class Rerun:
    """Months of an instrument that have to be computed again.

    Attributes:
        instrument: The instrument.
        first: The first month whose chain moved.
        last: The last stored month.
        found_by: Id of the run that found it.
    """

    instrument: InstrumentKey
    first: Month
    last: Month
    found_by: str

    @property
    def tags(self) -> dict[str, str]:
        """Tags by which a run takes exactly these partitions."""
        return {
            "dagster/asset_partition_range_start": str(partition_key(self.instrument, self.first)),
            "dagster/asset_partition_range_end": str(partition_key(self.instrument, self.last)),
        }

    @property
    def run_key(self) -> str:
        """The same for the same finding: however often it is read, it asks for one run."""
        return f"{self.instrument}|{self.first}|{self.last}|{self.found_by}"

    def told(self) -> dict[str, str]:
        """What stands in the metadata."""
        return {
            "instrument": str(self.instrument),
            "first": str(self.first),
            "last": str(self.last),
            "found_by": self.found_by,
        }


def reruns_of(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[Rerun]:
    """What a materialization of `candle_verification` says has to be computed again; pure, for a sensor."""
    value = metadata.get(RUN_AGAIN)
    entries = cast("list[dict[str, str]]", value.value) if isinstance(value, dg.JsonMetadataValue) else []
    return [
        Rerun(
            InstrumentKey.parse(entry["instrument"]),
            Month.parse(entry["first"]),
            Month.parse(entry["last"]),
            entry["found_by"],
        )
        for entry in entries
    ]


@dg.multi_asset(
    name="candle_verification",
    specs=[
        dg.AssetSpec(
            "candle_verification",
            deps=["candles"],
            group_name="market",
            kinds={"postgres", "polars"},
            owners=["team:data"],
            metadata=columns_of("market.archive_files"),
            description="Whether stored candles are still what archive and REST say; what differs is merged and filed.",
        )
    ],
    partitions_def=instrument_months,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="exchange",
    check_specs=[
        dg.AssetCheckSpec(
            READABLE_CHECK,
            asset="candle_verification",
            description="Every archive file that was published anew has the hash that its CHECKSUM file states.",
        )
    ],
)
@reacting
def candle_verification(
    context: dg.AssetExecutionContext, config: SeriesSelection, database: Postgres, exchange: Exchange
) -> dg.MaterializeResult[None]:
    """Verify the months of each instrument of the run, under the instrument's lock."""
    found: list[tuple[Task, Metadata]] = []
    reruns: list[Rerun] = []
    rejected: list[DataRejected] = []
    files = 0
    for task in tasks_of(context.partition_keys):
        with database.connect() as conn, alone(conn, task.instrument, say=context.log.info):
            report = run_interruptibly(_verify(conn, exchange, task, config.of(conn, task.instrument)))
            found.append((task, _metadata(report)))
            rejected += report.rejected
            files += report.unchanged + len(report.published) + len(report.replaced)
            rerun = rerun_of(conn, task.instrument, report, found_by=context.run.run_id)
            if rerun is not None:
                reruns.append(rerun)
                context.log.info(f"{task.instrument}: {rerun.first} to {rerun.last} have to be computed again")
    for error in rejected:
        context.log.warning(str(error))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": dg.MetadataValue.int(files),
            RUN_AGAIN: dg.MetadataValue.json([rerun.told() for rerun in reruns]),
            **metadata_of_run(found),
        },
        check_results=[_readable(rejected)],
    )


def rerun_of(
    conn: psycopg.Connection, instrument: InstrumentKey, report: Verification, *, found_by: str
) -> Rerun | None:
    """What has to be computed again after a verification; None = everything was made from what is stored.

    Args:
        conn: A connection.
        instrument: The instrument.
        report: What the verification moved: of a month that has no analysis, nothing else tells.
        found_by: Id of the run.
    """
    kept = [setting.key for setting in list_series(conn, instrument, enabled_only=True)]
    outdated = [month for key in kept if (month := snapshots.first_outdated(conn, key)) is not None]
    found = [Month(month.year, month.month) for month in outdated]
    if report.first_moved is not None:
        found.append(report.first_moved)
    if not found:
        return None
    last = max(entry.month for key in kept for entry in ledger.digests(conn, key))
    return Rerun(instrument, min(found), Month(last.year, last.month), found_by)


async def _verify(
    conn: psycopg.Connection, exchange: Exchange, task: Task, series: Sequence[SeriesKey]
) -> Verification:
    async with exchange.open() as data:
        job = await job_of(conn, data, task, series)
        venue = task.instrument.venue
        return await verify(job, conn, Sources(data.archive(venue), data.rest(venue), lambda: datetime.now(UTC)))


def _readable(rejected: Sequence[DataRejected]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=READABLE_CHECK,
        passed=not rejected,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(map(str, rejected)) or None,
        metadata={"rejected": dg.MetadataValue.int(len(rejected))},
    )


def _metadata(report: Verification) -> Metadata:
    moved = [f"- {key}: {', '.join(map(str, sorted(months)))}" for key, months in sorted(report.moved.items())]
    counts = report.merged.counts
    return {
        "months looked at": dg.MetadataValue.int(report.months),
        "files unchanged": dg.MetadataValue.int(report.unchanged),
        "files read for the first time": _listed(report.published),
        "files published anew": _listed(report.replaced),
        "files that are gone": _listed(report.vanished),
        "inserted": dg.MetadataValue.int(counts.inserted),
        "revised": dg.MetadataValue.int(counts.revised),
        "lost": dg.MetadataValue.int(counts.lost),
        "quarantined": dg.MetadataValue.int(report.merged.quarantined),
        "slots asked for again": dg.MetadataValue.int(report.asked_again),
        "months whose chain moved": dg.MetadataValue.md("\n".join(moved) or "none"),
    }


def _listed(urls: Sequence[str]) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.md("\n".join(f"- {url.rsplit('/', 1)[-1]}" for url in urls) or "none")

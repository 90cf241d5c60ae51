"""Which runs a schedule or sensor asks for: one an instrument, over a range of months.

An instrument that still has an unfinished run of the job is passed over: what that run brings is what the new one
would, and a queue that is longer than the schedule's interval must not grow.

    with database.connect() as conn:
        wanted = enabled_instruments(conn)
    yield from run_requests(context.instance, "tail", {one: (first, last) for one in wanted}, key="2024-03-01T10")
"""

from collections.abc import Mapping

import dagster as dg
import psycopg

from assets.partitions import Month, instruments, know, partition_key
from contracts import InstrumentKey
from store.candle_reads import extent
from store.catalog import list_series
from store.ledger import digests

INSTRUMENT_TAG = "tidemark/instrument"
_FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
_UNFINISHED = [status for status in dg.DagsterRunStatus if status not in _FINISHED]

Months = tuple[Month, Month]
"""The first and the last month of a run."""


def enabled_instruments(conn: psycopg.Connection) -> list[InstrumentKey]:
    """Instruments with an enabled series."""
    return sorted({setting.key.instrument for setting in list_series(conn, enabled_only=True)})


def first_month(conn: psycopg.Connection, instrument: InstrumentKey) -> Month | None:
    """The first month of which a series of the instrument is stored; None = nothing is."""
    known = [digests(conn, setting.key) for setting in list_series(conn, instrument, enabled_only=True)]
    return min((Month(found[0].month.year, found[0].month.month) for found in known if found), default=None)


def last_month(conn: psycopg.Connection, instrument: InstrumentKey) -> Month | None:
    """The month of the last stored bar of the series that ends first; None = nothing is stored."""
    known = [extent(conn, setting.key) for setting in list_series(conn, instrument, enabled_only=True)]
    return min((Month.of(one.last) for one in known if one is not None), default=None)


def run_requests(
    instance: dg.DagsterInstance, job: str, wanted: Mapping[InstrumentKey, Months], *, key: str
) -> list[dg.RunRequest]:
    """One run of `job` for each instrument that has none unfinished.

    Args:
        instance: Told of instruments that it does not know as partitions yet, and asked for unfinished runs.
        job: Name of a job that is cut by instrument and month.
        wanted: The months by instrument.
        key: What the request answers to, in the run key: the same is never asked for twice.
    """
    know(instance, instruments, map(str, wanted))
    unfinished = instance.get_runs(dg.RunsFilter(job_name=job, statuses=_UNFINISHED))
    busy = {run.tags.get(INSTRUMENT_TAG) for run in unfinished}
    return [
        dg.RunRequest(
            run_key=f"{job} {one} {key}",
            job_name=job,
            tags={
                INSTRUMENT_TAG: str(one),
                "dagster/asset_partition_range_start": str(partition_key(one, first)),
                "dagster/asset_partition_range_end": str(partition_key(one, last)),
            },
        )
        for one, (first, last) in sorted(wanted.items())
        if str(one) not in busy
    ]

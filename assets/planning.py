"""Which months still need a run, told from the ledger alone: no candle is read and nobody is asked.

A month is due when a series of it has slots that are neither stored nor explained, or when its analysis was not made
from exactly the candles that are stored now. The command line asks before it starts a run, so that a second backfill
of the same months starts none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from assets.analysis_plan import PassReport, kept_series, plan
from assets.candle_run import Job
from assets.partitions import Month
from contracts import SeriesKey
from engine import EngineParams
from store import gaps, ledger


@dataclass(frozen=True, slots=True)
class Due:
    """What is left to do.

    Attributes:
        months: The months that a run would change, oldest first.
        reasons: Why a series ends before the last month asked for whatever is run, one sentence each.
    """

    months: Sequence[Month]
    reasons: Sequence[str]


def months_due(conn: psycopg.Connection, job: Job, params: EngineParams, *, bots: Mapping[str, str]) -> Due:
    """What a run of `job` would change.

    Args:
        conn: A connection.
        job: The months asked for.
        params: Parameters of the engine.
        bots: Name → version of the plug-in bots.
    """
    report = PassReport()
    due: set[Month] = set()
    for key in job.series:
        due |= {month for month in job.months if not _candles_complete(conn, job, key, month)}
    for group in plan(conn, kept_series(conn, job.series), params, report, versions=bots):
        todo = {stretch.month for one in group.plans for stretch in one.todo}
        # The pass goes on to the last stored month: what is left behind the months asked for is done by their last.
        due |= {min(month, job.months[-1]) for month in todo}
    return Due(sorted(month for month in job.months if month in due), report.stopped)


def _candles_complete(conn: psycopg.Connection, job: Job, key: SeriesKey, month: Month) -> bool:
    window = job.window(key, month)
    if window.start >= window.end:
        return True
    stored = next((entry for entry in ledger.digests(conn, key) if entry.month == month.start.date()), None)
    if stored is None:
        return False
    explained = sum(
        key.tf.bars_in(max(hole.start, window.start), min(hole.end, window.end))
        for hole in gaps.holes(conn, key, window.start, window.end)
        if hole.cause not in {gaps.PENDING, gaps.FILLED_ELSEWHERE}
    )
    # A stream may have stored newer bars than the window asks for: more than enough is complete too.
    return stored.rows + explained >= key.tf.bars_in(window.start, window.end)

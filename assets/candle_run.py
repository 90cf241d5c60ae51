"""One run of the candles step for one instrument: which months are wanted, fetched ahead, written in order.

Fetching runs one month ahead of writing, so that the exchange and the database work at the same time; each
month is written in one transaction with its archive files, refused rows, holes, digest and chain. What is complete is
told apart first: a month whose every slot is stored or explained costs one look and no request.

    report = await run_candles(job, conn, Effects(archive, rest, say=context.log.info))
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np
import psycopg

from assets import progress
from assets.holes import Run, missing_runs, open_times
from assets.ledger import CONFIRM_AFTER, Evidence, write_holes
from assets.loading import Archive, Fetched, Rest, Wanted, ask_rest, days_of, fetch
from assets.partitions import Month, months_between
from contracts import DataRejected, InstrumentKey, SeriesKey
from contracts.candles import digest
from store import gaps, ledger
from store.candle_reads import missing_ranges, stored_digest
from store.candles import MergeCounts, merge_candles
from store.connections import translated
from venues.binance.archive_files import ArchiveName

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Job:
    """What one run is asked for.

    Attributes:
        instrument: The instrument.
        series: Its series to load, sorted by duration.
        months: The months to load, oldest first.
        listed: When the instrument can have candles: from its first one to its delisting.
        now: The venue's time at the start of the run.
    """

    instrument: InstrumentKey
    series: Sequence[SeriesKey]
    months: Sequence[Month]
    listed: Run
    now: datetime

    def window(self, key: SeriesKey, month: Month) -> Run:
        """Open times of the bars of a month that are closed by now and that a listed instrument can have."""
        closed = Run(month.start, min(month.end, key.tf.floor(self.now)))
        return closed.within(Run(key.tf.floor(self.listed.start), self.listed.end))


@dataclass(slots=True)
class RunReport:
    """What one run did.

    Attributes:
        counts: What became of the candles that arrived.
        by_source: Candles that arrived, by source.
        quarantined: Rows that were refused.
        complete: Months of a series that were complete before.
        loaded: Months of a series that were written, repeated answers about holes included.
        pending: Holes whose cause is still not known at the end.
        seconds: Time spent by activity; fetching and writing overlap.
    """

    counts: MergeCounts = field(default_factory=MergeCounts)
    by_source: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    complete: int = 0
    loaded: int = 0
    pending: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, fetched: Fetched, counts: MergeCounts) -> None:
        """Count one month in."""
        self.counts += counts
        self.loaded += 1
        arrived = {"archive": sum(file.parsed.candles.height for _, file in fetched.files), "rest": fetched.rest.height}
        for source, rows in arrived.items():
            self.by_source[source] = self.by_source.get(source, 0) + rows
        self.quarantined += sum(frame.height for frame in fetched.refused())

    def spend(self, activity: str, begun: float) -> None:
        """Count the time since `begun` (of the performance counter) in."""
        self.seconds[activity] = self.seconds.get(activity, 0.0) + time.perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Effects:
    """What a run does to the world beside its database connection.

    Attributes:
        archive: The venue's archive.
        rest: The venue's REST API.
        say: Tells a person what happens.
        clock: Wall clock.
        sleep: Waits.
    """

    archive: Archive
    rest: Rest
    say: Callable[[str], None]
    clock: Clock = field(default=lambda: datetime.now(UTC))
    sleep: Sleep = asyncio.sleep


async def run_candles(job: Job, conn: psycopg.Connection, effects: Effects, *, confirm_holes: bool = True) -> RunReport:
    """Load every series and month of `job` and settle its holes.

    Args:
        job: What is asked for.
        conn: A connection.
        effects: What the run does to the world.
        confirm_holes: Wait for the second answer about pending holes; else they stay pending.

    Raises:
        DataRejected: Something that arrived for a month contradicts itself: that month is left as it was, the others
            are loaded, and the message names every such month.
        TidemarkError: A source or the database failed; the months written so far stay, the failed one left nothing.
    """
    report = RunReport()
    rejected: list[DataRejected] = []
    due = [wanted for month in job.months for key in job.series if (wanted := _wanted(conn, job, key, month, effects))]
    report.complete = len(job.months) * len(job.series) - len(due)
    label = f"candles {job.instrument}"
    ahead: asyncio.Task[Fetched] | None = None
    try:
        for done, wanted in enumerate(due):
            progress.report(label, done=done, total=len(due))
            current = ahead or asyncio.create_task(_fetched(wanted, effects, report))
            ahead = None
            await asyncio.wait([current])
            if done + 1 < len(due):
                ahead = asyncio.create_task(_fetched(due[done + 1], effects, report))
            try:
                fetched = await current
            except DataRejected as error:
                rejected.append(error)
                continue
            await asyncio.to_thread(write_month, conn, job, wanted, fetched, report, effects.clock())
    finally:
        if ahead is not None:
            ahead.cancel()
    if due:
        progress.report(label, done=len(due), total=len(due))
    if confirm_holes:
        await _confirm_holes(job, conn, effects, report)
    report.pending = len(_pending(job, conn))
    ledger.rechain_instrument(conn, job.instrument)
    if len(rejected) > 1:
        raise DataRejected("; ".join(map(str, rejected))) from rejected[0]
    if rejected:
        raise rejected[0]
    return report


def _wanted(conn: psycopg.Connection, job: Job, key: SeriesKey, month: Month, effects: Effects) -> Wanted | None:
    """What is wanted of one series and month; None where nothing is."""
    window = job.window(key, month)
    if window.start >= window.end:
        return None
    explained = [
        Run(hole.start, hole.end).slots(key.tf)
        for hole in gaps.holes(conn, key, window.start, window.end)
        if hole.cause not in {gaps.PENDING, gaps.FILLED_ELSEWHERE}
    ]
    empty = [Run(*found) for found in missing_ranges(conn, key, window.start, window.end)]
    missing = [part for run in empty for part in missing_runs(explained, run, key.tf)]
    if not missing:
        stored = key.tf.bars_in(window.start, window.end) - sum(run.slots(key.tf).size for run in empty)
        known = {entry.month: entry.rows for entry in ledger.digests(conn, key)}
        if known.get(month.start.date()) == stored:
            return None
    return Wanted(key, window, missing, _read_before(conn, effects.archive, key, month, missing), job.now)


def _read_before(
    conn: psycopg.Connection, archive: Archive, key: SeriesKey, month: Month, runs: Sequence[Run]
) -> frozenset[ArchiveName]:
    """The archive files of a month, and of the days that `runs` touch, that were merged before."""
    names = [ArchiveName.of_month(key, month.start.date()), *(ArchiveName.of_day(key, day) for day in days_of(runs))]
    known = ledger.archive_files(conn, [archive.url(name) for name in names])
    return frozenset(name for name in names if archive.url(name) in known)


async def _fetched(wanted: Wanted, effects: Effects, report: RunReport) -> Fetched:
    begun = time.perf_counter()
    found = await fetch(wanted, effects.archive, effects.rest)
    report.spend("fetching", begun)
    return found


def write_month(
    conn: psycopg.Connection, job: Job, wanted: Wanted, fetched: Fetched, report: RunReport, at: datetime
) -> dict[SeriesKey, list[date]]:
    """Write what was fetched for a window of one month, all of it or nothing, and bring digest and chain up to date.

    Returns:
        The months whose chain is another now, by series.
    """
    begun = time.perf_counter()
    key, window = wanted.key, wanted.window
    month = Month.of(window.start)
    with translated("write a month of candles", key=f"{key} {month}"), conn.transaction():
        # Before the archive, which has the last word. What a file held before is none of REST's business.
        counts = merge_candles(conn, key, fetched.rest, "rest", seen_at=at, held=_held(conn, wanted))
        for refused in fetched.rest_quarantined:
            ledger.quarantine(conn, key, refused, "rest", origin=f"{key.venue} klines {month}", seen_at=at)
        for _, file in fetched.files:
            counts += merge_candles(conn, key, file.parsed.candles, "archive", seen_at=at)
            ledger.quarantine(conn, key, file.parsed.quarantined, "archive", origin=file.url, seen_at=at)
            record = ledger.ArchiveFileRecord(file.url, file.etag, file.sha256, file.parsed.candles.height, at)
            ledger.record_archive_file(conn, record)
        listed = job.window(key, month).start
        if month.start < listed:
            gaps.record_hole(conn, key, month.start, listed, cause="unlisted", first_seen=at)
        write_holes(conn, key, window, _evidence(wanted, fetched, at))
        rows, sha256 = _digest(conn, wanted, month, fetched, counts)
        ledger.write_digest(conn, key, month.start.date(), rows=rows, sha256=sha256, computed_at=at)
        moved = ledger.rechain_instrument(conn, job.instrument)
    report.add(fetched, counts)
    report.spend("writing", begun)
    return moved


def _held(conn: psycopg.Connection, wanted: Wanted) -> list[tuple[datetime, datetime]]:
    """The windows whose stored candles the archive files that were read before hold."""
    key, window = wanted.key, wanted.window
    lacked = [
        Run(hole.start, hole.end).slots(key.tf)
        for hole in gaps.holes(conn, key, window.start, window.end)
        if hole.cause == gaps.FILLED_ELSEWHERE
    ]
    periods = [Run(name.start, name.end).within(window) for name in wanted.read_files]
    return [(run.start, run.end) for period in periods for run in missing_runs(lacked, period, key.tf)]


def _evidence(wanted: Wanted, fetched: Fetched, at: datetime) -> Evidence:
    key, window = wanted.key, wanted.window
    refused = [open_times(frame.drop_nulls("open_time")) for frame in fetched.refused()]
    return Evidence(
        files=[(period, open_times(file.parsed.candles)) for period, file in fetched.files],
        read_before=[Run(name.start, name.end) for name in wanted.read_files],
        refused=np.intersect1d(np.concatenate([np.empty(0, np.int64), *refused]), window.slots(key.tf)),
        absences=fetched.absences,
        at=at,
    )


def _digest(
    conn: psycopg.Connection, wanted: Wanted, month: Month, fetched: Fetched, counts: MergeCounts
) -> tuple[int, str]:
    """Rows and digest of the stored month; from the file itself where all of the month came from that one file."""
    key, whole = wanted.key, [Run(month.start, month.end)]
    # Nothing of the month may have been stored before: the file can lack a candle that is.
    if wanted.missing == whole and fetched.rest.is_empty() and len(fetched.files) == 1:
        candles = fetched.files[0][1].parsed.candles
        if counts.inserted == candles.height:
            return counts.inserted, digest(candles)
    return stored_digest(conn, key, month.start, month.end)


async def _wait(due: datetime, label: str, effects: Effects) -> None:
    """Sleep until `due`, a second at a time, so that a person sees what is waited for."""
    total = math.ceil((due - effects.clock()).total_seconds())
    if total > 0:
        effects.say(f"{label} {total} s")
    for second in range(max(0, total)):
        progress.report(f"{label} {total} s", done=second, total=total)
        await effects.sleep(1.0)
    if total > 0:
        progress.report(f"{label} {total} s", done=total, total=total)


async def _confirm_holes(job: Job, conn: psycopg.Connection, effects: Effects, report: RunReport) -> None:
    """Ask a second time for every pending hole of the run, 30 s after it was first seen."""
    begun = time.perf_counter()
    waiting = _pending(job, conn)
    if waiting:
        due = max(hole.first_seen for _, hole in waiting) + CONFIRM_AFTER
        await _wait(due, f"{len(waiting)} holes of {job.instrument}: asking again in", effects)
    label = f"holes {job.instrument}"
    for done, (key, hole) in enumerate(waiting, start=1):
        for month in months_between(hole.start, hole.end):
            run = Run(hole.start, hole.end).within(job.window(key, month))
            if run.start < run.end:
                answer = await ask_rest(effects.rest, key, run, now=job.now)
                fetched = Fetched(rest=answer.candles, rest_quarantined=[answer.quarantined], absences=answer.absences)
                read = _read_before(conn, effects.archive, key, month, [run])
                wanted = Wanted(key, run, [run], read, job.now)
                await asyncio.to_thread(write_month, conn, job, wanted, fetched, report, effects.clock())
        progress.report(label, done=done, total=len(waiting))
    report.spend("confirming", begun)


def _pending(job: Job, conn: psycopg.Connection) -> list[tuple[SeriesKey, gaps.Hole]]:
    start, end = job.months[0].start, job.months[-1].end
    return [(key, hole) for key in job.series for hole in gaps.pending(conn, key, start, end)]

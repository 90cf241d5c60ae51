"""One verification of one instrument: what was stored is compared with what archive and REST say now.

For each month that holds candles:

* its archive file is compared by ETag or hash, and read again where it was published anew, or for the first time (a
  month that REST kept while it ran); until the monthly file is there the same goes for the daily ones;
* slots that REST alone settled (holes of the exchange, refused rows, pending ones) are asked for again;
* of the last days everything is.

What differs goes through the merge of candles: archive over REST (also where REST brought first what a file holds), the
later of one source over the earlier, all versions kept in `candle_revisions`. A month that did not change costs one
small request and writes nothing but `verified_at`. No series is made longer by REST than it is: that would leave a hole
nobody accounts for.

    found = await verify(job, conn, Sources(archive, rest))
    found.moved                                   # the months whose chain is another now
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import polars as pl
import psycopg

from assets import progress
from assets.candle_run import Clock, Job, RunReport, write_month
from assets.holes import OpenTimes, Run, runs_of
from assets.loading import DAILY_REQUESTS, Absence, Archive, Fetched, Rest, Wanted, ask_rest, days_of
from assets.partitions import Month
from contracts import DataRejected, SeriesKey
from store import gaps, ledger
from store.candle_reads import extent, missing_ranges
from venues.binance.archive import ArchiveFile, KnownFile
from venues.binance.archive_files import ArchiveName

REFETCHED = timedelta(days=3)
"""How far back from now REST is asked again for what it once gave."""
# Slots this near to each other are asked for in one question: a page of REST holds more.
_JOINED_BARS = 500
_NONE: OpenTimes = np.empty(0, np.int64)


class VerifiedArchive(Archive, Protocol):
    """What is asked of the archive reader."""

    async def unchanged(self, known: KnownFile) -> bool:
        """Whether the archive still serves the file that was read."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom a verification asks.

    Attributes:
        archive: The venue's archive.
        rest: The venue's REST API.
        clock: Wall clock.
    """

    archive: VerifiedArchive
    rest: Rest
    clock: Clock = field(default=lambda: datetime.now(UTC))


@dataclass(slots=True)
class Verification:
    """What one verification found.

    Attributes:
        merged: What became of the candles that were fetched again.
        months: Months of a series that hold candles: those that were looked at.
        unchanged: Archive files that are still the ones that were read.
        published: Addresses of archive files that were read for the first time.
        replaced: Addresses of archive files that were published anew.
        vanished: Addresses of archive files that were read and are not there any more; what they held stays.
        asked_again: Slots that REST alone had settled.
        moved: Months whose chain is another now, by series.
        rejected: Archive files that contradict themselves; what is stored of their months stays.
    """

    merged: RunReport = field(default_factory=RunReport)
    months: int = 0
    unchanged: int = 0
    published: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    asked_again: int = 0
    moved: dict[SeriesKey, set[Month]] = field(default_factory=dict)
    rejected: list[DataRejected] = field(default_factory=list)

    @property
    def first_moved(self) -> Month | None:
        """The first month whose chain moved, of any series; None = none did."""
        return min((month for months in self.moved.values() for month in months), default=None)


@dataclass(frozen=True, slots=True)
class _Place:
    """One month of one series.

    Attributes:
        key: The series.
        month: The month.
        window: Open times of the month that can hold closed bars.
        stored: Its part up to the last stored bar of the series.
    """

    key: SeriesKey
    month: Month
    window: Run
    stored: Run


async def verify(job: Job, conn: psycopg.Connection, sources: Sources) -> Verification:
    """Verify the stored months of `job`; each is written in one transaction as it is found to differ.

    Raises:
        TidemarkError: A source or the database failed; the months written so far stay, the failed one left nothing.
    """
    report = Verification()
    places = _places(conn, job)
    report.months = len(places)
    label = f"verification {job.instrument}"
    for done, place in enumerate(places):
        progress.report(label, done=done, total=len(places))
        fetched, verified = Fetched(), dict[str, ledger.ArchiveFileRecord]()
        read = await _compare_files(conn, job, place, sources, fetched, verified, report)
        await _ask_again(conn, job, place, sources, fetched, report)
        at = sources.clock()
        for record in verified.values():
            ledger.record_archive_file(conn, replace(record, verified_at=at))
        refused = any(frame.height for frame in fetched.rest_quarantined)
        if fetched.files or fetched.rest.height or fetched.absences or refused:
            wanted = Wanted(place.key, place.window, (), read, job.now)
            moved = await asyncio.to_thread(write_month, conn, job, wanted, fetched, report.merged, at)
            for key, months in moved.items():
                report.moved.setdefault(key, set()).update(Month(one.year, one.month) for one in months)
    if places:
        progress.report(label, done=len(places), total=len(places))
    return report


def _places(conn: psycopg.Connection, job: Job) -> list[_Place]:
    """The months that hold candles, oldest first."""
    found: list[_Place] = []
    for key in job.series:
        held = {entry.month for entry in ledger.digests(conn, key)}
        known = extent(conn, key)
        if known is None:
            continue
        until = known.last + key.tf.duration
        for month in job.months:
            window = job.window(key, month)
            if month.start.date() in held and window.start < window.end:
                found.append(_Place(key, month, window, window.within(Run(window.start, until))))
    return sorted(found, key=lambda place: (place.month, place.key))


async def _compare_files(
    conn: psycopg.Connection,
    job: Job,
    place: _Place,
    sources: Sources,
    fetched: Fetched,
    verified: dict[str, ledger.ArchiveFileRecord],
    report: Verification,
) -> frozenset[ArchiveName]:
    """Compare the month's file with what the archive serves, or its daily ones until it is there.

    Returns:
        The files that had been read before.
    """
    monthly = ArchiveName.of_month(place.key, place.month.start.date())
    days = [ArchiveName.of_day(place.key, day) for day in days_of([place.stored])]
    known = ledger.archive_files(conn, [sources.archive.url(name) for name in (monthly, *days)])
    read = frozenset(name for name in (monthly, *days) if sources.archive.url(name) in known)

    async def look(name: ArchiveName) -> bool:
        """Whether the archive has the file (what cannot be read counts as there)."""
        url = sources.archive.url(name)
        record = known.get(url)
        if record is not None and await sources.archive.unchanged(KnownFile(url, record.etag, record.sha256)):
            verified[url] = record
            report.unchanged += 1
            return True
        try:
            file = await _read(sources.archive, name)
        except DataRejected as error:
            report.rejected.append(error)
            return True
        if file is None:
            if record is not None:
                report.vanished.append(url)
            return record is not None
        (report.published if record is None else report.replaced).append(url)
        fetched.files.append((Run(name.start, name.end), file))
        return True

    if monthly.end <= job.now and await look(monthly):
        return read
    gate = asyncio.Semaphore(DAILY_REQUESTS)

    async def one(name: ArchiveName) -> None:
        async with gate:
            await look(name)

    asked = [asyncio.create_task(one(name)) for name in days if name.end <= job.now]
    try:
        await asyncio.gather(*asked)
    finally:
        for task in asked:  # the first failure ends the look: nobody waits for the others
            task.cancel()
    fetched.files.sort(key=lambda found: found[0])
    return read


async def _read(archive: Archive, name: ArchiveName) -> ArchiveFile | None:
    start = name.start.date()
    return await (archive.month(name.key, start) if name.grain == "monthly" else archive.day(name.key, start))


async def _ask_again(
    conn: psycopg.Connection, job: Job, place: _Place, sources: Sources, fetched: Fetched, report: Verification
) -> None:
    """Ask REST for what it alone settled, and for the last days."""
    key, stored = place.key, place.stored
    settled = [
        Run(hole.start, hole.end).within(stored).slots(key.tf)
        for hole in gaps.holes(conn, key, stored.start, stored.end)
        if hole.cause in {"exchange", "quarantined", gaps.PENDING}
    ]
    recent = Run(max(stored.start, key.tf.ceil(job.now - REFETCHED)), stored.end)
    slots = np.unique(np.concatenate([_NONE, *settled, recent.slots(key.tf)]))
    report.asked_again += sum(one.size for one in settled)
    if slots.size == 0:
        return
    missing = [Run(*empty) for empty in missing_ranges(conn, key, stored.start, stored.end)]
    answers = [await ask_rest(sources.rest, key, run, now=job.now) for run in _joined(runs_of(slots, key.tf), key)]
    fetched.rest = pl.concat([answer.candles for answer in answers])
    fetched.rest_quarantined = [answer.quarantined for answer in answers]
    # Of a slot that is stored REST may have nothing any more: that makes no hole of it.
    fetched.absences = [
        Absence(part, absence.asked_at)
        for answer in answers
        for absence in answer.absences
        for part in (absence.run.within(empty) for empty in missing)
        if part.start < part.end
    ]


def _joined(runs: Sequence[Run], key: SeriesKey) -> list[Run]:
    """Runs that lie near to each other made one question; what is stored between them is compared as well."""
    found: list[Run] = []
    for run in runs:
        if found and run.start - found[-1].end <= _JOINED_BARS * key.tf.duration:
            found[-1] = Run(found[-1].start, run.end)
        else:
            found.append(run)
    return found

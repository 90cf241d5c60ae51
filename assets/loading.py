"""Fetching what a month of one series lacks, from the best source that has it.

The order of sources is fixed: a closed month from its monthly archive file, what that lacks from daily files, the
rest by REST. Nothing here touches the database: `fetch` is told which candles are stored and returns what should be,
with a finding for every slot that stayed empty. The caller (`assets.market`) writes it in one transaction.

What REST does not have, although it holds later bars, may be a hole of the exchange; one answer does not prove it
(`Absence`). A slot that no source has and after which nothing follows yet is no hole: it is the end of the tape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import polars as pl

from assets.holes import Run, missing_runs, open_times
from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA
from venues.binance.archive import ArchiveFile
from venues.binance.archive_files import ArchiveName
from venues.binance.rest import KlinesAnswer

# Daily files of one month that are asked for at the same time.
DAILY_REQUESTS = 4
# How far beyond a run REST is first asked for a later bar; four times as far with every further question.
LATER_BARS = 60


class Archive(Protocol):
    """What is asked of the archive reader (`venues.binance.archive.ArchiveReader`)."""

    def url(self, name: ArchiveName) -> str:
        """Address of a file."""
        ...

    async def month(self, key: SeriesKey, month: date) -> ArchiveFile | None:
        """The file of a month; None = not published."""
        ...

    async def day(self, key: SeriesKey, day: date) -> ArchiveFile | None:
        """The file of a day; None = not published."""
        ...


class Rest(Protocol):
    """What is asked of the REST client (`venues.binance.rest.BinanceRest`)."""

    async def klines(self, key: SeriesKey, start: datetime, end: datetime) -> KlinesAnswer:
        """The closed candles that open in [start, end)."""
        ...


@dataclass(frozen=True, slots=True)
class Absence:
    """REST holds bars after `run` and none in it, as asked at `asked_at`."""

    run: Run
    asked_at: datetime


@dataclass(slots=True)
class Fetched:
    """What one fetch of one series and window brought.

    Attributes:
        files: Archive files read, each with the period it covers, in the order in which they are to be merged.
        rest: Candles that came by REST (`CANDLE_SCHEMA`).
        rest_quarantined: Rows of REST that were refused.
        absences: Runs that REST does not have either.
    """

    files: list[tuple[Run, ArchiveFile]] = field(default_factory=list)
    rest: pl.DataFrame = field(default_factory=CANDLE_SCHEMA.to_frame)
    rest_quarantined: list[pl.DataFrame] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)

    def refused(self) -> list[pl.DataFrame]:
        """The refused rows of every source (`QUARANTINE_SCHEMA`)."""
        return [*(file.parsed.quarantined for _, file in self.files), *self.rest_quarantined]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one series.

    Attributes:
        key: The series.
        window: Open times wanted: the part of one month that can hold closed bars at `now`.
        missing: Runs of the window that are neither stored nor explained, oldest first.
        read_files: The archive files of the window that were merged before; they are not fetched again, and the candles
            they hold give way to the archive alone.
        now: The venue's time.
    """

    key: SeriesKey
    window: Run
    missing: Sequence[Run]
    read_files: frozenset[ArchiveName]
    now: datetime


async def fetch(wanted: Wanted, archive: Archive, rest: Rest) -> Fetched:
    """Bring what `wanted.window` lacks.

    Raises:
        TidemarkError: As the archive reader and the REST client raise it; nothing was stored.
    """
    found = Fetched()
    lacking = _lacking(wanted, found)
    if lacking:
        await _from_monthly_file(wanted, found, archive)
        lacking = _lacking(wanted, found)
    if lacking:
        await _from_daily_files(wanted, found, archive, lacking)
        lacking = _lacking(wanted, found)
    for run in lacking:
        await _from_rest(wanted, found, rest, run)
    return found


def _lacking(wanted: Wanted, found: Fetched) -> list[Run]:
    fetched = [open_times(found.rest), *(open_times(file.parsed.candles) for _, file in found.files)]
    return [part for run in wanted.missing for part in missing_runs(fetched, run, wanted.key.tf)]


async def _from_monthly_file(wanted: Wanted, found: Fetched, archive: Archive) -> None:
    name = ArchiveName.of_month(wanted.key, wanted.window.start.date())
    if name.end > wanted.now or name in wanted.read_files:
        return
    file = await archive.month(wanted.key, name.start.date())
    if file is not None:
        found.files.append((Run(name.start, name.end), file))


async def _from_daily_files(wanted: Wanted, found: Fetched, archive: Archive, lacking: Iterable[Run]) -> None:
    names = [ArchiveName.of_day(wanted.key, day) for day in days_of(lacking)]
    due = [name for name in names if name.end <= wanted.now and name not in wanted.read_files]
    gate = asyncio.Semaphore(DAILY_REQUESTS)

    async def one(name: ArchiveName) -> ArchiveFile | None:
        async with gate:
            return await archive.day(wanted.key, name.start.date())

    asked = [asyncio.create_task(one(name)) for name in due]
    try:
        files = await asyncio.gather(*asked)
    finally:
        for task in asked:  # the first failure ends the fetch: nobody waits for the others
            task.cancel()
    for name, file in zip(due, files, strict=True):
        if file is not None:
            found.files.append((Run(name.start, name.end), file))


async def _from_rest(wanted: Wanted, found: Fetched, rest: Rest, run: Run) -> None:
    answer = await ask_rest(rest, wanted.key, run, now=wanted.now)
    found.rest = pl.concat([found.rest, answer.candles])
    found.rest_quarantined.append(answer.quarantined)
    found.absences.extend(answer.absences)


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """What REST said about one run.

    Attributes:
        candles: The candles of the run that it has.
        quarantined: The rows of the run that it has and that were refused (`QUARANTINE_SCHEMA`).
        absences: The parts of the run that it does not have although it holds a later bar, in the run or after it.
    """

    candles: pl.DataFrame
    quarantined: pl.DataFrame
    absences: list[Absence]


async def ask_rest(rest: Rest, key: SeriesKey, run: Run, *, now: datetime) -> RestAnswer:
    """Ask for the candles of `run`, and where it seems to end empty, for any bar after it.

    Args:
        rest: The venue's REST client.
        key: The series.
        run: Open times asked for.
        now: The venue's time: nothing is looked for after it.
    """
    reach = LATER_BARS * key.tf.duration
    answer = await rest.klines(key, run.start, run.end + reach)
    latest: datetime | None = answer.candles["open_time"].max()  # type: ignore[assignment]  # polars types it wider
    missing = missing_runs([open_times(answer.candles)], run, key.tf)
    probe = run.end + reach
    while missing and (latest is None or latest < missing[-1].end) and probe < now:
        reach *= 4
        later = (await rest.klines(key, probe, probe + reach)).candles
        latest = later["open_time"][0] if not later.is_empty() else latest
        probe += reach
    inside = pl.col("open_time") < run.end
    # A refused row whose open time cannot be read may belong anywhere: it is kept.
    refused = answer.quarantined.filter(inside | pl.col("open_time").is_null())
    proven = [Absence(part, answer.asked_at) for part in missing if latest is not None and part.end <= latest]
    return RestAnswer(answer.candles.filter(inside), refused, proven)


def days_of(runs: Iterable[Run]) -> list[date]:
    """The UTC days that the runs touch, each once, oldest first."""
    found: set[date] = set()
    for run in runs:
        day = run.start.astimezone(UTC).date()
        while datetime(day.year, day.month, day.day, tzinfo=UTC) < run.end:
            found.add(day)
            day += timedelta(days=1)
    return sorted(found)

"""A backfill as the command line runs it: through the Dagster instance, one run an instrument, in this process.

The runs show in the Dagster UI like any other and may be stopped at any point: whole months stay, the next backfill
goes on behind them. Months that are complete are told apart first, and an instrument without any other starts no run.
Of several instruments the candles come first, in runs of their own: a hole of the exchange is proven by a second answer
30 s after the first, and what the one waits for the others have then waited for, too.

    outcomes = run_backfill(installation, [Request("binance_spot", ("BTCUSDT",), ("1m",), start)], say=print)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
import psycopg

from assets import partitions, progress
from assets.market import job_of
from assets.parameters import reported_profiles
from assets.partitions import Month, Task, know, months, months_between, partition_key
from assets.planning import Due, months_due
from contracts import InstrumentKey, Rejected, SeriesKey
from engine import TABLES, EngineParams
from orchestration.resources import bots_of, exchange_of
from store.catalog import list_instruments
from store.connections import connect
from tidemark.dagster_runs import Ran, RunFailed, execute, opened
from tidemark.installation import BATCH, Installation
from tidemark.keeping import keep
from tidemark.settings import Settings

_WITHOUT_MARTS = [dg.AssetKey(name) for name in ("candles", "candle_gaps", *TABLES)]


@dataclass(frozen=True, slots=True)
class Request:
    """What to backfill.

    Attributes:
        venue: Venue of all symbols.
        symbols: Symbols as the venue writes them.
        timeframes: Timeframes to keep from now on.
        start: First instant wanted; its whole month is loaded.
        end: First instant not wanted; None = the venue's time now.
        recompute: Take the analysis over from another engine version or parameter set.
        marts: Build the marts behind it; else they stay as they are, and the next run that builds them catches up.
    """

    venue: str
    symbols: tuple[str, ...]
    timeframes: tuple[str, ...]
    start: datetime
    end: datetime | None = None
    recompute: bool = False
    marts: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instrument.

    Attributes:
        instrument: The instrument.
        months: Months asked for.
        due: Months that were not complete; empty = no run was needed.
        run_id: The Dagster run; None where none was needed.
        failure: Why the run failed; None = it succeeded, or none was needed.
        seconds: Wall-clock time.
    """

    instrument: InstrumentKey
    months: Sequence[Month]
    due: Sequence[Month]
    run_id: str | None
    failure: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Work:
    """What is asked for of one instrument.

    Attributes:
        request: The request that names it.
        task: The instrument, and every month asked for.
    """

    request: Request
    task: Task

    @property
    def series(self) -> list[SeriesKey]:
        """The series asked for, sorted by duration."""
        return sorted(self.task.instrument.series(tf) for tf in self.request.timeframes)


def run_backfill(
    installation: Installation, requests: Sequence[Request], *, listener: progress.Listener, say: Callable[[str], None]
) -> list[Outcome]:
    """Load, check and analyse what is missing.

    Args:
        installation: Its database must be running and upgraded.
        requests: What to backfill; nothing is stored where one of them is refused.
        listener: Receives the progress of the runs.
        say: Tells a person what happens.

    Raises:
        Rejected: A symbol is unknown, the period lies in the future or before the first month that exists, or a
            series' sub-timeframe is not kept.
        TidemarkError: Venue or database could not be used.
    """
    installation.enter_dagster()
    works = [work for request in requests for work in _works(installation.settings, request)]
    instruments = [work.task.instrument for work in works]
    with (
        connect(installation.url(BATCH), application_name="tidemark backfill") as conn,
        opened() as instance,
        progress.listening(listener),
    ):
        with conn.transaction():  # a symbol that is refused must not leave the others kept
            for work in works:
                keep(
                    conn,
                    work.task.instrument,
                    work.request.timeframes,
                    sub_timeframes=installation.settings.sub_timeframes,
                    say=say,
                )
        know(instance, partitions.instruments, map(str, instruments))
        know(instance, partitions.profiles, reported_profiles(conn))  # so that a report can be asked for
        known = {row.key for row in list_instruments(conn) if row.listed_at is not None}
        if not known.issuperset(instruments):
            say("reading the exchange's rules")
            failure = execute(instance, "refresh_rules", tags={}, config={}).failure
            if failure is not None:
                raise RunFailed(failure)
        bots = bots_of(installation.settings).versions(say=say)
        plans = [(work, _plan(conn, installation.settings, work, bots, say)) for work in works]
        loaded = _load_candles(instance, plans, say) if sum(bool(due) for _, due in plans) > 1 else {}
        return [_backfill(instance, work, due, loaded.get(work.task.instrument)) for work, due in plans]


def _works(settings: Settings, request: Request) -> list[_Work]:
    wanted = tuple(_months(request, asyncio.run(_venue_time(settings, request))))
    return [_Work(request, Task(InstrumentKey(request.venue, symbol), wanted)) for symbol in request.symbols]


async def _venue_time(settings: Settings, request: Request) -> datetime:
    """The venue's time; on the way its symbols are checked, before anything is stored."""
    async with exchange_of(settings).open() as data:
        rest = data.rest(request.venue)
        await rest.exchange_info(request.symbols)
        return await rest.server_time()


def _months(request: Request, now: datetime) -> list[Month]:
    end = request.end or now
    if request.start >= now:
        msg = f"--from {request.start:%Y-%m-%d} lies in the future: {request.venue}'s clock reads {now:%Y-%m-%d %H:%M}"
        raise Rejected(msg)
    if end > now:
        msg = f"--to {end:%Y-%m-%d} lies in the future: leave it out to load up to now ({now:%Y-%m-%d %H:%M})"
        raise Rejected(msg)
    if end <= request.start:
        msg = f"--from {request.start:%Y-%m-%d} is not before --to {end:%Y-%m-%d}: nothing lies between them"
        raise Rejected(msg)
    wanted = months_between(request.start, end)
    first = Month.parse(months.get_partition_keys()[0])
    if wanted[0] < first:
        msg = f"there is no month {wanted[0]}: Binance's first candle is of {first}"
        raise Rejected(msg)
    return wanted


def _plan(
    conn: psycopg.Connection, settings: Settings, work: _Work, bots: Mapping[str, str], say: Callable[[str], None]
) -> Sequence[Month]:
    """The months that a run would change."""
    instrument, asked = work.task.instrument, work.task.months

    async def planned() -> Due:
        async with exchange_of(settings).open() as data:
            job = await job_of(conn, data, work.task, work.series)
        return Due(asked, ()) if work.request.recompute else months_due(conn, job, EngineParams(), bots=bots)

    found = asyncio.run(planned())
    due = found.months
    if due:
        say(f"{instrument}: {len(due)} of {len(asked)} months to load, {due[0]} to {due[-1]}")
        return due
    for reason in found.reasons:
        say(f"{reason}; a run would not change that")
    say(f"{instrument}: nothing to do, the candles of all {len(asked)} months are complete")
    return due


@dataclass(frozen=True, slots=True)
class _Loaded:
    ran: Ran
    seconds: float


def _load_candles(
    instance: dg.DagsterInstance, plans: Sequence[tuple[_Work, Sequence[Month]]], say: Callable[[str], None]
) -> dict[InstrumentKey, _Loaded]:
    """Load the candles of every instrument that has due months, and wait for no second answer about a hole."""
    say("the candles of all instruments first")
    found = {}
    for work, due in plans:
        if due:
            begun = time.perf_counter()
            config = {"candles": {"config": {"timeframes": _timeframes(work), "confirm_holes": False}}}
            ran = execute(instance, "load_candles", tags=_tags(work, due), config=config)
            found[work.task.instrument] = _Loaded(ran, time.perf_counter() - begun)
    return found


def _backfill(instance: dg.DagsterInstance, work: _Work, due: Sequence[Month], loaded: _Loaded | None) -> Outcome:
    instrument, asked = work.task.instrument, work.task.months
    if not due:
        return Outcome(instrument, asked, due, None, None, 0.0)
    spent = 0.0 if loaded is None else loaded.seconds
    if loaded is not None and loaded.ran.failure is not None:
        return Outcome(instrument, asked, due, loaded.ran.run_id, loaded.ran.failure, spent)
    begun = time.perf_counter()
    config = {
        "candles": {"config": {"timeframes": _timeframes(work)}},
        "analysis": {"config": {"timeframes": _timeframes(work), "recompute": work.request.recompute}},
    }
    only = None if work.request.marts else _WITHOUT_MARTS
    done = execute(instance, "backfill", tags=_tags(work, due), config=config, only=only)
    return Outcome(instrument, asked, due, done.run_id, done.failure, spent + time.perf_counter() - begun)


def _timeframes(work: _Work) -> list[str]:
    return [str(key.tf) for key in work.series]


def _tags(work: _Work, due: Sequence[Month]) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": str(partition_key(work.task.instrument, due[0])),
        "dagster/asset_partition_range_end": str(partition_key(work.task.instrument, due[-1])),
    }

"""A backfill as the command line runs it: through the Dagster instance, one run an instrument, in this process.

The runs show in the Dagster UI like any other and may be stopped at any point: whole months stay, the next backfill
goes on behind them. Months that are complete are told apart first, and an instrument without any other starts no run.

    outcomes = run_backfill(installation, Request("binance_spot", ("BTCUSDT",), ("1m",), start, end), say=print)
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
import psycopg
import structlog
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import DBAPIError

from assets import progress
from assets.market import job_of
from assets.partitions import Month, Task, months, months_between, partition_key
from assets.planning import Due, months_due
from contracts import InstrumentKey, Rejected, Retryable
from engine import TABLES, EngineParams
from orchestration.definitions import defs
from orchestration.resources import bots_of, exchange_of
from store.catalog import list_instruments
from store.connections import connect
from tidemark.installation import BATCH, Installation
from tidemark.keeping import keep
from tidemark.settings import Settings

# Which process of which machine executes a run; Dagster itself knows that only of runs it launched.
PROCESS_TAG = "tidemark/process"
TRACE_TAG = "tidemark/trace_id"
_WITHOUT_MARTS = [dg.AssetKey(name) for name in ("candles", "candle_gaps", *TABLES)]
# Dagster's own storage: how long one of its statements may take, and what it may keep open beside one connection each.
_STATEMENT_MS = 60_000
_RECYCLE_SECONDS = 3_600
_MORE_CONNECTIONS = 20
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(Retryable):
    """A Dagster run failed; the message carries the error of its first failed step."""


class DagsterUnavailable(Retryable):
    """Dagster's own storage could not be used; what the run had stored by then stays."""


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


def run_backfill(
    installation: Installation, request: Request, *, listener: progress.Listener, say: Callable[[str], None]
) -> list[Outcome]:
    """Load, check and analyse what is missing.

    Args:
        installation: Its database must be running and upgraded.
        request: What to backfill.
        listener: Receives the progress of the runs.
        say: Tells a person what happens.

    Raises:
        Rejected: A symbol is unknown, the period lies in the future or before the first month that exists, or a
            series' sub-timeframe is not kept.
        TidemarkError: Venue or database could not be used.
    """
    installation.enter_dagster()
    instruments = [InstrumentKey(request.venue, symbol) for symbol in request.symbols]
    now = asyncio.run(_venue_time(installation.settings, request))
    wanted = _months(request, now)
    with (
        connect(installation.url(BATCH), application_name="tidemark backfill") as conn,
        _dagster_translated(),
        dg.DagsterInstance.get() as instance,
        progress.listening(listener),
    ):
        # The webserver's way is to keep connections; the default opens one for each event, 12 ms each.
        instance.optimize_for_webserver(
            statement_timeout=_STATEMENT_MS, pool_recycle=_RECYCLE_SECONDS, max_overflow=_MORE_CONNECTIONS
        )
        _close_abandoned(instance)
        with conn.transaction():  # a symbol that is refused must not leave the others kept
            for instrument in instruments:
                keep(
                    conn,
                    instrument,
                    request.timeframes,
                    sub_timeframes=installation.settings.sub_timeframes,
                    say=say,
                )
        instance.add_dynamic_partitions("instruments", [str(instrument) for instrument in instruments])
        known = {row.key for row in list_instruments(conn) if row.listed_at is not None}
        if not known.issuperset(instruments):
            say("reading the exchange's rules")
            failure = _run(instance, "refresh_rules", tags={}, config={}).failure
            if failure is not None:
                raise RunFailed(failure)
        bots = bots_of(installation.settings).versions(say=say)
        tasks = [Task(instrument, tuple(wanted)) for instrument in instruments]
        return [_backfill(conn, instance, installation, request, task, bots, say) for task in tasks]


def _close_abandoned(instance: dg.DagsterInstance) -> None:
    """End the runs of commands that were killed: they would show as running, and keep a place in Dagster's queue."""
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])):
        host, _, pid = run.tags.get(PROCESS_TAG, "").partition(":")
        # A run that Dagster launched again from the UI carries the tag of the first one, and a place to load code from.
        ours = run.remote_job_origin is None and host == socket.gethostname()
        if ours and not _lives(int(pid)):
            instance.report_run_failed(run, "the command that executed this run was killed; what it stored stays")
            # Its place in the pool of the exchange: without a daemon nobody else gives it back.
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _dagster_translated() -> Iterator[None]:
    """The boundary behind which the exceptions of Dagster's storage become ours."""
    try:
        yield
    except (DagsterPostgresException, DBAPIError) as error:
        msg = (
            f"backfill: Dagster's storage could not be used ({str(error).splitlines()[0]}); the months that were "
            f"written stay, run the same command again when the database answers"
        )
        raise DagsterUnavailable(msg) from error


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


def _backfill(
    conn: psycopg.Connection,
    instance: dg.DagsterInstance,
    installation: Installation,
    request: Request,
    task: Task,
    bots: Mapping[str, str],
    say: Callable[[str], None],
) -> Outcome:
    begun = time.perf_counter()
    series = sorted(task.instrument.series(tf) for tf in request.timeframes)

    async def planned() -> Due:
        async with exchange_of(installation.settings).open() as data:
            job = await job_of(conn, data, task, series)
        return Due(task.months, ()) if request.recompute else months_due(conn, job, EngineParams(), bots=bots)

    found = asyncio.run(planned())
    due = found.months
    if not due:
        for reason in found.reasons:
            say(f"{reason}; a run would not change that")
        say(f"{task.instrument}: nothing to do, the candles of all {len(task.months)} months are complete")
        return Outcome(task.instrument, task.months, due, None, None, time.perf_counter() - begun)
    say(f"{task.instrument}: {len(due)} of {len(task.months)} months to load, {due[0]} to {due[-1]}")
    timeframes = [str(key.tf) for key in series]
    config = {
        "candles": {"config": {"timeframes": timeframes}},
        "analysis": {"config": {"timeframes": timeframes, "recompute": request.recompute}},
    }
    tags = {
        "dagster/asset_partition_range_start": str(partition_key(task.instrument, due[0])),
        "dagster/asset_partition_range_end": str(partition_key(task.instrument, due[-1])),
    }
    done = _run(instance, "backfill", tags=tags, config=config, only=None if request.marts else _WITHOUT_MARTS)
    return Outcome(task.instrument, task.months, due, done.run_id, done.failure, time.perf_counter() - begun)


@dataclass(frozen=True, slots=True)
class _Run:
    run_id: str
    failure: str | None


def _run(
    instance: dg.DagsterInstance,
    job: str,
    *,
    tags: dict[str, str],
    config: dict[str, object],
    only: Sequence[dg.AssetKey] | None = None,
) -> _Run:
    trace_id = structlog.contextvars.get_contextvars().get("trace_id", "")
    tags = {**tags, PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}", TRACE_TAG: trace_id}
    result = (
        defs()
        .resolve_job_def(job)
        .execute_in_process(
            instance=instance,
            tags=tags,
            run_config={**QUIET, "ops": config},
            raise_on_error=False,
            asset_selection=only,
        )
    )
    if any(_interrupted(event) for event in result.all_events):
        raise KeyboardInterrupt
    return _Run(result.run_id, None if result.success else "; ".join(_failures(result)))


def _interrupted(event: dg.DagsterEvent) -> bool:
    """Whether the step ended because a person stopped the command; Dagster keeps that to itself."""
    error = event.step_failure_data.error if event.is_step_failure else None
    while error is not None:
        if error.cls_name == "DagsterExecutionInterruptedError":
            return True
        error = error.cause
    return False


def _failures(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in result.all_events:
        if event.is_step_failure:
            # Dagster wraps what the body raised once; what that was raised from is detail, and stays in the UI.
            wrapper = event.step_failure_data.error
            error = wrapper.cause if wrapper is not None and wrapper.cause is not None else wrapper
            yield f"{event.step_key}: {error.message.strip() if error else 'no message'}"
    for check in result.get_asset_check_evaluations():
        if not check.passed:
            yield f"check {check.check_name}: {check.description or 'failed'}"

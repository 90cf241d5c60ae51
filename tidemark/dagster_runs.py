"""Dagster runs in this very process: the instance, how a run is started in it, and what came of one.

The runs show in the Dagster UI like any other. Those of a command that was killed are ended by the next.

    with opened() as instance:
        ran = execute(instance, "backfill", tags=tags, config=config)
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
import structlog
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import DBAPIError

from contracts import Retryable
from orchestration.definitions import defs

# Which process of which machine executes a run; Dagster itself knows that only of runs it launched.
PROCESS_TAG = "tidemark/process"
TRACE_TAG = "tidemark/trace_id"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(Retryable):
    """A Dagster run failed; the message carries the error of its first failed step."""


class DagsterUnavailable(Retryable):
    """Dagster's own storage could not be used; what the run had stored by then stays."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run.

    Attributes:
        run_id: The run.
        failure: Why it failed; None = it succeeded.
    """

    run_id: str
    failure: str | None


@contextmanager
def opened() -> Iterator[dg.DagsterInstance]:
    """The instance that the environment names, rid of the runs of commands that were killed.

    Raises:
        DagsterUnavailable: Its storage could not be used, here or inside the block.
    """
    with _translated(), dg.DagsterInstance.get() as instance:
        _close_abandoned(instance)
        yield instance


def execute(
    instance: dg.DagsterInstance,
    job: str,
    *,
    tags: Mapping[str, str],
    config: Mapping[str, object],
    only: Sequence[dg.AssetKey] | None = None,
) -> Ran:
    """Execute a job of `orchestration.jobs`, or those assets of it alone, with their checks.

    Raises:
        KeyboardInterrupt: A person stopped it.
    """
    trace_id = structlog.contextvars.get_contextvars().get("trace_id", "")
    tags = {**tags, PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}", TRACE_TAG: trace_id}
    result = (
        defs()
        .resolve_job_def(job)
        .execute_in_process(
            instance=instance,
            tags=tags,
            run_config={**_QUIET, "ops": config},
            raise_on_error=False,
            asset_selection=only,
        )
    )
    if any(_interrupted(event) for event in result.all_events):
        raise KeyboardInterrupt
    return Ran(result.run_id, None if result.success else "; ".join(_failures(result)))


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
def _translated() -> Iterator[None]:
    """The boundary behind which the exceptions of Dagster's storage become ours."""
    try:
        yield
    except (DagsterPostgresException, DBAPIError) as error:
        msg = (
            f"backfill: Dagster's storage could not be used ({str(error).splitlines()[0]}); the months that were "
            f"written stay, run the same command again when the database answers"
        )
        raise DagsterUnavailable(msg) from error


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

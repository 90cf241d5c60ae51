"""What Dagster does about what it notices: months whose chain moved are computed again, failed runs are explained.

A condition cannot say the first: a verification changes candles of months that no run materializes, and only its own
result names them. The second needs no table yet: what failed, why and what to do stand in the log of the process and,
as an event, in the run itself.
"""

import logging
from collections.abc import Iterator

import dagster as dg

from assets.reactions import REACTION
from assets.verification import reruns_of
from orchestration import jobs
from orchestration.requests import INSTRUMENT_TAG

_log = logging.getLogger(__name__)

# Materializations read in one look; a verification leaves one for each of its months.
_PAGE = 1_000

WHAT_TO_DO = {
    "Retryable": "the step tried again until it gave up; the next scheduled run does the same work, look at the "
    "counterpart it names if that fails too",
    "Rejected": "the same run would fail again: change what the message names first",
    "DataRejected": "what arrived contradicts itself and was not stored: the next run asks again, "
    "market.quarantine holds refused rows",
    "Halt": "nothing may be asked of this counterpart for now: wait until the deadline it named, or for a person",
    "check": "a blocking check failed and what follows was not computed: its places are listed with the check, "
    "correct the data and run the same months again",
    "unknown": "this is no failure the platform knows: read the traceback of the step",
}
"""Reaction (`assets.reactions`) → what a person does about it."""


@dg.sensor(
    job_name=jobs.recompute.name,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Computes again the months whose chain a verification found moved, from the first of them on.",
)
def moved_chains(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run an instrument and change, however many months its verification looked at."""
    since = dg.AssetRecordsFilter(
        asset_key=dg.AssetKey("candle_verification"), after_storage_id=int(context.cursor or 0)
    )
    records = context.instance.fetch_materializations(since, limit=_PAGE, ascending=True).records
    found = {
        rerun.run_key: rerun
        for record in records
        if record.asset_materialization is not None
        for rerun in reruns_of(record.asset_materialization.metadata)
    }
    for run_key, rerun in found.items():
        yield dg.RunRequest(run_key=run_key, tags={**rerun.tags, INSTRUMENT_TAG: str(rerun.instrument)})
    if not found:
        yield dg.SkipReason("no chain moved")
    if records:
        context.update_cursor(str(records[-1].storage_id))


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of every failed run: which step, why, and what to do about it.",
)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    """Write what failed into the log and into the run's own events."""
    run = context.dagster_run
    for event in context.get_step_failure_events():
        reaction, why = _read(event)
        advice = WHAT_TO_DO[reaction]
        _log.error(
            "a run failed",
            extra={"job": run.job_name, "run_id": run.run_id, "step": event.step_key, "why": why, "to_do": advice},
        )
        context.instance.report_engine_event(f"{event.step_key}: {why}; what to do: {advice}", run)


def _read(event: dg.DagsterEvent) -> tuple[str, str]:
    """The reaction that a failed step asks for (a key of `WHAT_TO_DO`), and why it failed."""
    failure = event.step_failure_data
    stated = failure.user_failure_data.metadata.get(REACTION) if failure.user_failure_data is not None else None
    error = failure.error
    why = "no message" if error is None else (error.cause or error).message.strip()
    if stated is not None and str(stated.value) in WHAT_TO_DO:
        return str(stated.value), why
    if error is not None and error.cls_name == "DagsterAssetCheckFailedError":
        return "check", why
    return "unknown", why


SENSORS = [moved_chains, failed_runs]

"""What a run plans, stored together, against the same stored by dagster-postgres one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    StepMaterializationData,
)
from dagster._core.storage.event_log.base import EventLogStorage
from dagster_postgres.event_log import PostgresEventLogStorage

from orchestration.storage import PlansAtOnce
from store.roles import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database

ONE, TWO = dg.AssetKey("one"), dg.AssetKey(["group", "two"])
CHECK = dg.AssetCheckKey(ONE, "looks right")
NOW = datetime(2024, 7, 1, tzinfo=UTC).timestamp()


class Seen(NamedTuple):
    """What a storage answers about a run."""

    events: list[tuple[str, str, str | None]]
    last_runs: list[str | None]
    checks: list[tuple[str, str]]


def event(run: str, told: DagsterEvent) -> dg.EventLogEntry:
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]
        None, 10, "", run, NOW, step_key=told.step_key, job_name="job", dagster_event=told
    )


def materialization(run: str, key: dg.AssetKey, month: str | None) -> dg.EventLogEntry:
    data = AssetMaterializationPlannedData(asset_key=key, partition=month)
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    return event(run, DagsterEvent(kind.value, "job", step_key="step", event_specific_data=data))


def check(run: str) -> dg.EventLogEntry:
    data = AssetCheckEvaluationPlanned(asset_key=CHECK.asset_key, check_name=CHECK.name)
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
    return event(run, DagsterEvent(kind.value, "job", step_key="step", event_specific_data=data))


def plans(run: str) -> list[dg.EventLogEntry]:
    months = ("2024-05", "2024-06")
    return [
        *(materialization(run, TWO, month) for month in months),
        check(run),
        *(materialization(run, ONE, month) for month in months),
        materialization(run, TWO, None),
    ]


def seen(storage: EventLogStorage, run: str) -> Seen:
    entries = [entry.get_dagster_event() for entry in storage.get_logs_for_run(run)]
    return Seen(
        [(one.event_type_value, str(one.asset_key), one.partition) for one in entries],
        [record.asset_entry.last_run_id for record in storage.get_asset_records([ONE, TWO])],
        [
            (execution.status.value, execution.run_id)
            for execution in storage.get_asset_check_execution_history(CHECK, limit=9)
            if execution.run_id == run
        ],
    )


@pytest.fixture(name="storages")
def both_storages(database: Database) -> Iterator[tuple[EventLogStorage, EventLogStorage]]:
    """Dagster's own storage and ours, on the same tables."""
    url = database.server.url(OWNER, database.name, scheme="postgresql+psycopg2")
    plain, ours = PostgresEventLogStorage(url), PlansAtOnce(url)
    try:
        yield plain, ours
    finally:
        plain.dispose()
        ours.dispose()


def test_plans_stored_together_read_as_those_stored_one_by_one(
    storages: tuple[EventLogStorage, EventLogStorage],
) -> None:
    plain, ours = storages
    plain.store_event_batch(plans("first"))
    expected = seen(plain, "first")
    assert [len(part) for part in expected] == [6, 2, 1]
    ours.store_event_batch(plans("other"))
    got = seen(plain, "other")
    assert got.events == expected.events
    assert (expected.last_runs, got.last_runs) == (["first"] * 2, ["other"] * 2)
    assert [(status, "first") for status, _ in got.checks] == expected.checks


def test_other_events_and_none_go_the_way_of_dagster(storages: tuple[EventLogStorage, EventLogStorage]) -> None:
    _, ours = storages
    ours.store_event_batch([])
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    data = dg.AssetMaterialization(ONE, partition="2024-05")
    told = DagsterEvent(kind.value, "job", step_key="step", event_specific_data=StepMaterializationData(data))
    ours.store_event_batch([event("run", told)])
    [record] = ours.get_asset_records([ONE])
    assert record.asset_entry.last_materialization is not None

"""Making reports on a test's own database: three months of one instrument, and runs of the assets one by one.

desk = Desk(database, instance, tmp_path / "reports")
result = desk.run(backtest_report, "default", "2022-03", surrogates=3)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql

from assets.partitions import Month, ReportTask, know, profiles
from assets.reports import Reports
from assets.resources import Postgres
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, KEY, FakeVenue, venue_of
from tests.assets.runs import QUIET, keep, load, months
from tests.databases import Database

QUARTERS = INSTRUMENT.series("15m")
MINUTES = INSTRUMENT.series("1m")
HOURS = 744 + 672 + 744
"""Of January to March 2022."""
LATER = datetime(2022, 4, 10, tzinfo=UTC)
TABLES = ("backtest_runs", "backtest_trades", "backtest_equity", "trials", "walk_forwards", "walk_forward_folds")


def fill(conn: psycopg.Connection, *, hours: int = HOURS) -> FakeVenue:
    """Keep and load hours and quarters of an hour from January 2022 on."""
    venue = venue_of({KEY: hours, QUARTERS: 4 * hours}, now=LATER)
    keep(conn, KEY, QUARTERS)
    load(conn, venue, months("2022-01", "2022-03"))
    return venue


def rows(conn: psycopg.Connection) -> dict[str, int]:
    """How many rows each table of results has, those that have none left out."""
    counted = {}
    for table in TABLES:
        found = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("research", table))).fetchone()
        counted[table] = 0 if found is None else int(found[0])
    return {table: count for table, count in counted.items() if count}


@dataclass(frozen=True, slots=True)
class Desk:
    """Where reports are made."""

    database: Database
    instance: dg.DagsterInstance
    folder: Path

    @property
    def resources(self) -> dict[str, Any]:
        """What the assets are given."""
        return {"database": Postgres(url=self.database.dsn(BATCH)), "reports": Reports(folder=str(self.folder))}

    def run(
        self,
        asset: dg.AssetsDefinition,
        profile: str = "default",
        month: str = "2022-03",
        **config: Any,  # noqa: ANN401 - the asset's own
    ) -> dg.ExecuteInProcessResult:
        """Materialize one partition of one asset; its failure is in the result."""
        know(self.instance, profiles, [profile])
        return dg.materialize(
            [asset],
            instance=self.instance,
            partition_key=str(ReportTask(profile, Month.parse(month)).key),
            resources=self.resources,
            run_config={**QUIET, "ops": {asset.op.name: {"config": config}}},
            raise_on_error=False,
        )


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of the one materialization of a run."""
    [event] = [event for event in result.all_events if event.is_step_materialization]
    return {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}


def version(result: dg.ExecuteInProcessResult) -> str | None:
    """The data version of the one materialization of a run."""
    [event] = [event for event in result.all_events if event.is_step_materialization]
    tags = event.step_materialization_data.materialization.tags or {}
    return tags.get("dagster/data_version")

"""Assets of what the engine makes of candles, written by one pass: from `indicators` to `signals_raw`.

The pass has no self-dependency (docs/adr/0004). For each series it goes on where the stored rows stop matching the
stored candles (`assets.analysis_plan`) and writes month by month to the last stored one (`assets.analysis_pass`),
whichever months the run was started for. A month whose chain still matches is not written again. Series that a
sub-timeframe ties together, and plug-in bots: docs/adr/0008.
"""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

import dagster as dg
import psycopg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from assets import progress
from assets.analysis_pass import Pass, take_over
from assets.analysis_plan import PassReport, kept_series, plan
from assets.analysis_shown import shown_of
from assets.bots import PluginBots
from assets.columns import columns_of
from assets.market import SeriesSelection
from assets.partitions import Metadata, Task, instrument_months, metadata_of_run, partition_key, tasks_of
from assets.reactions import reacting
from assets.resources import Postgres, alone
from bots.runner import BotRunner
from contracts import SeriesKey
from engine import ENGINE_VERSION, EngineParams
from store.analysis import count_rows
from store.frames import AnalysisTable
from store.statistics import gather_statistics

TABLES = {
    "indicators": "Indicators of every closed bar, null until defined; the same code runs live.",
    "regimes": "What kind of market each bar belonged to: shock, trend or range.",
    "swings": "Turning points, each with the instant it became known and the bar where it is drawn.",
    "smc_events": "Breaks of structure: the trend goes on (BOS) or turns (CHOCH).",
    "liquidity_events": "Equal highs and lows, and levels that were run and given back (sweeps).",
    "zone_events": "What happened to each zone and inversion, append-only: created, touched, ended.",
    "zones": "Order blocks and fair value gaps in their last state, derived from their events.",
    "inversions": "Zones of the other side that mitigated zones became, in their last state.",
    "signals_raw": "What the retest and the plug-in bots suggest, before any guard has seen it.",
}
_STORED: Sequence[AnalysisTable] = get_args(AnalysisTable)


class AnalysisConfig(SeriesSelection):
    """What a run of the pass may be told.

    Attributes:
        recompute: Take the analysis tables over from another engine version or parameter set: they are emptied and
            filled again.
    """

    recompute: bool = False


@dg.multi_asset(
    name="analysis",
    specs=[
        dg.AssetSpec(
            table,
            deps=["candles", "candle_gaps"],
            group_name="analysis",
            kinds={"postgres", "numba"},
            owners=["team:quant"],
            description=description,
            metadata=columns_of(f"analysis.{table}"),
        )
        for table, description in TABLES.items()
    ],
    partitions_def=instrument_months,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
@reacting
def analysis(
    context: dg.AssetExecutionContext, config: AnalysisConfig, database: Postgres, bots: PluginBots
) -> Iterator[dg.MaterializeResult[None]]:
    """Run the engine over the months of each instrument of the run, under the instrument's lock."""
    found: dict[str, list[tuple[Task, Metadata]]] = {table: [] for table in TABLES}
    with bots.running(say=context.log.warning) as runner:
        for task in tasks_of(context.partition_keys):
            with (
                database.connect() as conn,
                database.connect() as another,
                alone(conn, task.instrument, say=context.log.info),
            ):
                series, report = config.of(conn, task.instrument), PassReport()
                try:
                    _analyse([conn, another], task, series, runner, report, recompute=config.recompute)
                finally:
                    _tell_others(context, task, report)
                gather_statistics(conn)
                for reason in (*report.stopped, *report.quarantined, *report.removed):
                    context.log.warning(reason)
                context.log.info(f"{task.instrument}: {report.rows} rows written, {report.unchanged} months unchanged")
                for table, metadata in _metadata(conn, task, series, report).items():
                    found[table].append((task, metadata))
    for table, by_task in found.items():
        yield dg.MaterializeResult(asset_key=table, metadata=metadata_of_run(by_task))


def _tell_others(context: dg.AssetExecutionContext, task: Task, report: PassReport) -> None:
    """Tell of months that were written although nobody asked for them, also where the pass ended half-way.

    Each is a version of its own, as those of the run's months are: what follows them looks for a change of version.
    """
    for month in sorted({month for _, month in report.written}.difference(task.months)):
        for table in TABLES:
            partition = str(partition_key(task.instrument, month))
            tags = {DATA_VERSION_TAG: context.run.run_id}
            context.log_event(dg.AssetMaterialization(asset_key=table, partition=partition, tags=tags))


def _analyse(
    conns: Sequence[psycopg.Connection],
    task: Task,
    series: Sequence[SeriesKey],
    runner: BotRunner,
    report: PassReport,
    *,
    recompute: bool,
) -> None:
    conn, params = conns[0], EngineParams()
    settings = kept_series(conn, series)
    take_over(conn, params, [setting.key for setting in settings], recompute=recompute)
    groups = plan(conn, settings, params, report, versions=runner.versions)
    total, done = sum(group.series_in(month) for group in groups for month in group.months), 0
    for group in groups:
        for month in Pass(conns, group, runner, report).run():
            done += group.series_in(month)
            progress.report(f"analysis {task.instrument}", done=done, total=total)


def _metadata(
    conn: psycopg.Connection, task: Task, series: Sequence[SeriesKey], report: PassReport
) -> dict[str, Metadata]:
    shown = shown_of(conn, series[-1], task.start, task.end)
    shared: dict[str, dg.MetadataValue[Any]] = {
        "months written": dg.MetadataValue.md(
            ", ".join(f"{key.tf} {month}" for key, month in report.written) or "none: every chain still matched"
        ),
        "months unchanged": dg.MetadataValue.int(report.unchanged),
        "stops": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in report.stopped) or "nowhere"),
        "seconds": dg.MetadataValue.json({name: round(value, 3) for name, value in report.seconds.items()}),
        "engine version": dg.MetadataValue.int(ENGINE_VERSION),
    }
    failed = dg.MetadataValue.md("\n".join(f"- {one}" for one in report.quarantined) or "none")
    own: dict[str, dict[str, dg.MetadataValue[Any]]] = {"signals_raw": {"quarantined bots": failed}}
    return {
        table: {
            "dagster/row_count": dg.MetadataValue.int(
                sum(count_rows(conn, table, key, task.start, task.end) for key in series)
            ),
            "rows written": dg.MetadataValue.int(report.rows[table]),
            **shown[table],
            **shared,
            **own.get(table, {}),
        }
        for table in _STORED
    }

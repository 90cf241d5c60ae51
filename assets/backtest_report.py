"""The asset `backtest_report`: what a risk profile would have made of the stored markets, and what that is worth.

A partition is the report of one profile and month: a backtest over the enabled series up to the end of that month
(`assets.report_inputs`), looked at from every side (`backtest.examination`), as a page and as rows in `research`. Page
and rows come together or not at all. The same inputs give the same run: nothing is stored twice then, and whatever
follows learns from the data version that nothing changed. A running month is reported again as it grows, each time as
a run of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from pydantic import Field

from assets import progress, report_pages
from assets.backtests import record, run_id_of
from assets.columns import columns_of
from assets.parameters import names_of, profile_named
from assets.partitions import Metadata, ReportTask, profile_months
from assets.plots import sparkline
from assets.reactions import reacting
from assets.report_inputs import DEPS, ReportConfig, read_report_inputs
from assets.reports import Reports
from assets.resources import Postgres
from backtest import BacktestResult, run_backtest
from backtest.examination import examine
from backtest.report import NullPlace, Report

# What is shown beside the page; the rest stands on it.
_SHOWN = (
    "trades",
    "net_pnl",
    "total_return",
    "max_drawdown",
    "sharpe",
    "win_rate",
    "profit_factor",
    "expectancy_r",
    "exposure",
    "ambiguous_share",
)


class BacktestReportConfig(ReportConfig):
    """What a run of `backtest_report` may be told.

    Attributes:
        surrogates: How many markets with nothing to win the result is held against; 0 = none, which the page warns of.
        processes: How many processes trade them.
    """

    surrogates: int = Field(default=100, ge=0, le=10_000)
    processes: int = Field(default=1, ge=1, le=256)


@dg.asset(
    deps=DEPS,
    partitions_def=profile_months,
    # Without a backfill policy each report is a run: a run has one set of metadata.
    group_name="research",
    kinds={"postgres", "numba"},
    owners=["team:quant"],
    description="Backtest of a risk profile over the year up to a month, with what speaks against it, and its page.",
    metadata=columns_of("research.backtest_runs"),
)
@reacting
def backtest_report(
    context: dg.AssetExecutionContext, config: BacktestReportConfig, database: Postgres, reports: Reports
) -> dg.MaterializeResult[None]:
    """Make the report of one profile and month."""
    task, at = ReportTask.of(context.partition_key), datetime.now(UTC)
    with database.connect() as conn:
        inputs = read_report_inputs(conn, task.month, config, at=at)
        asked = inputs.config(profile_named(conn, task.profile), capital=config.exact_capital)
        result = run_backtest(inputs.bars, asked)
        found = examine(
            inputs.bars,
            result,
            surrogates=config.surrogates,
            processes=config.processes,
            told=progress.counter(f"surrogate markets for {task}"),
        )
        report = found.report(inputs.bars, versions=names_of(conn))
        folder = reports.of(run_id_of(result))
        is_new = keep(conn, task, result, report, folder, at=at)
    warn(context, report)
    context.log.info(f"{task}: run {run_id_of(result)}, {'new' if is_new else 'on record already'}")
    return dg.MaterializeResult(
        metadata={
            **report_pages.shown(report.page(folder)),
            **shown_of(result, report.json["warnings"], found.null),
            "new": dg.MetadataValue.bool(is_new),
        },
        data_version=dg.DataVersion(result.fingerprint),
    )


def keep(
    conn: psycopg.Connection, task: ReportTask, result: BacktestResult, report: Report, folder: Path, *, at: datetime
) -> bool:
    """Write rows and page of a report, both or neither.

    Args:
        conn: A connection.
        task: Whose report it is.
        result: The run.
        report: Its page and its numbers.
        folder: Where they go.
        at: Now.

    Returns:
        Whether the run is new; one that is on record stays as it is.

    Raises:
        store.errors.ResearchRefused: Another result stands under the name of this run; its page is left as it is.
        backtest.report.ReportUnwritable: The folder cannot be written; no row was.
    """
    page, month = str(report.page(folder)), task.month.start.date()
    return report_pages.keep(
        conn, report, folder, of=task, rows=lambda: record(conn, result, at=at, report_path=page, month=month)
    )


def shown_of(result: BacktestResult, warnings: list[Mapping[str, Any]], null: NullPlace | None) -> Metadata:
    """The metadata of a report, but for its page.

    Args:
        result: The run.
        warnings: Of the report, in its order.
        null: The place among markets in which there is nothing to win; None = it was not looked for.
    """
    metrics = result.metrics.to_dict()
    series = sorted(key for key in result.written.keys if result.config.trade and str(key.tf) in result.config.trade)
    curve = sparkline(result.equity["equity"].to_list(), title=f"equity of {result.config.profile.name}")
    return {
        "equity": dg.MetadataValue.md(curve),
        "findings": findings(warnings),
        "null market": dg.MetadataValue.text("not looked for" if null is None else null.verdict),
        **{name: number(metrics[name]) for name in _SHOWN},
        "from": dg.MetadataValue.text(result.start.isoformat()),
        "to": dg.MetadataValue.text(result.until.isoformat()),
        "series": dg.MetadataValue.md("\n".join(f"- {key}" for key in series)),
        "run": dg.MetadataValue.text(run_id_of(result)),
        "fingerprint": dg.MetadataValue.text(result.fingerprint),
        "dataset": dg.MetadataValue.text(result.config.dataset_id or "not recorded"),
        "profile": dg.MetadataValue.text(f"{result.config.profile.name} {result.config.profile.hash}"),
        # Of the table whose columns are told, `research.backtest_runs`: the run.
        "dagster/row_count": dg.MetadataValue.int(1),
    }


def warn(context: dg.AssetExecutionContext, report: Report) -> None:
    """Tell the log of a run what is severe."""
    for one in report.json["warnings"]:
        if one["severity"] == "severe":
            context.log.warning(one["text"])


def findings(warnings: Sequence[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """What speaks against a result as metadata, in its order."""
    return dg.MetadataValue.md("\n".join(f"- **{one['severity']}** {one['text']}" for one in warnings) or "none")


def number(value: float | None) -> dg.MetadataValue[Any]:
    """A metric as metadata, which Dagster plots over time; null = not defined."""
    if value is None:
        return dg.MetadataValue.null()
    return dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.float(value)

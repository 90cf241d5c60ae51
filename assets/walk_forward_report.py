"""The asset `walk_forward_report`: what choosing by the past would have made of the time that came next.

A partition is the walk-forward of one profile up to the end of a month, over the same inputs as `backtest_report`. Its
trials are on record as they end, under a study that is named by the run: one that was killed goes on where it stopped.
The walk-forward itself is on record with all of its folds and its page, or not at all.

By default little is searched: the profile's own numbers and a stricter or a looser one for how much a trade must be
worth and how well it must be confirmed. Every further set costs a backtest a fold, and makes luck more likely to win.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
from pydantic import Field

from assets import progress, report_pages
from assets.backtest_report import findings, number, warn
from assets.columns import columns_of
from assets.parameters import profile_named
from assets.partitions import Metadata, Month, ReportTask, profile_months
from assets.plots import sparkline
from assets.reactions import reacting
from assets.report_inputs import DEPS, ReportConfig, read_report_inputs, traded_series
from assets.reports import Reports
from assets.resources import Postgres
from assets.walk_forwards import Asked, Kept, default_space, keep
from backtest.sweep import Space
from backtest.walk_forward import Scheme, WalkForward
from contracts import Rejected
from store.candle_reads import extent, last_open_time


class WalkForwardReportConfig(ReportConfig):
    """What a run of `walk_forward_report` may be told.

    Attributes:
        train_days: Length of a training window; of an anchored one the least.
        test_days: Length of a test window.
        anchored: Whether every training window begins with the first bar.
        purge_hours: What is cut off the end of a training window.
        embargo_hours: Time between a training window and its test window.
        space: Values of each parameter by its name (`profile.reward: [2.0, 3.0]`); empty = `default_space`.
    """

    train_days: int = 120
    test_days: int = 30
    anchored: bool = False
    purge_hours: int = 24
    embargo_hours: int = 0
    space: dict[str, Any] = Field(default_factory=dict)

    @property
    def scheme(self) -> Scheme:
        """How time is cut.

        Raises:
            backtest.BacktestRefused: A length makes no sense.
        """
        return Scheme(
            train=timedelta(days=self.train_days),
            test=timedelta(days=self.test_days),
            anchored=self.anchored,
            purge=timedelta(hours=self.purge_hours),
            embargo=timedelta(hours=self.embargo_hours),
        )


@dg.asset(
    deps=DEPS,
    partitions_def=profile_months,
    group_name="research",
    kinds={"postgres", "numba"},
    owners=["team:quant"],
    description="Walk-forward of a profile over the year up to a month: chosen on the past, tried on what came then.",
    metadata=columns_of("research.walk_forwards"),
)
@reacting
def walk_forward_report(
    context: dg.AssetExecutionContext, config: WalkForwardReportConfig, database: Postgres, reports: Reports
) -> dg.MaterializeResult[None]:
    """Make the walk-forward of one profile and month."""
    task, at = ReportTask.of(context.partition_key), datetime.now(UTC)
    with database.connect() as conn:
        profile = profile_named(conn, task.profile)
        inputs = read_report_inputs(conn, task.month, config, at=at)
        asked = Asked.of(
            inputs,
            inputs.config(profile, capital=config.exact_capital),
            _listed(config.space) or default_space(profile),
            scheme=config.scheme,
        )
        found = asked.walked(conn, told=progress.counter(f"folds of {task}"))
        kept = keep(conn, asked, found, reports.of(asked.run_id), at=at, month=task.month.start.date())
    warn(context, kept.report)
    context.log.info(f"{task}: run {kept.walk.run_id}, {kept.walk.verdict}")
    return dg.MaterializeResult(
        metadata={
            **report_pages.shown(kept.page),
            **shown_of(asked, found, kept),
            "new": dg.MetadataValue.bool(kept.is_new),
        },
        data_version=dg.DataVersion(kept.walk.fingerprint),
    )


def has_a_fold(conn: psycopg.Connection, month: Month, config: WalkForwardReportConfig) -> bool:
    """Whether what is stored up to the end of a month is long enough for a fold: one that is not would be refused."""
    start = month.before(config.lookback_months).start
    keys = traded_series(conn, start, month.end, timeframes=config.timeframes)
    begins = [one.first for key in keys if (one := extent(conn, key)) is not None]
    ends = [key.tf.known_at(last) for key in keys if (last := last_open_time(conn, key, start, month.end)) is not None]
    return bool(begins and ends) and bool(config.scheme.windows(max(min(begins), start), max(ends)))


def shown_of(asked: Asked, found: WalkForward, kept: Kept) -> Metadata:
    """The metadata of a walk-forward, but for its page."""
    walk, curve = kept.walk, found.curve["equity"].to_list()
    title = f"equity of the test windows of {walk.profile}"
    return {
        "verdict": dg.MetadataValue.text(walk.verdict),
        "passed": dg.MetadataValue.bool(walk.passed),
        "equity": dg.MetadataValue.md(sparkline(curve, title=title)),
        "findings": findings(kept.report.json["warnings"]),
        "folds by time": dg.MetadataValue.md(_table(found)),
        **{name: number(value) for name, value in walk.metrics.items()},
        "trials evaluated": dg.MetadataValue.int(found.evaluated),
        "searched": dg.MetadataValue.json(dict(asked.space)),
        "speaks for": dg.MetadataValue.json({"profile": walk.profile_hash, "engine": walk.param_set}),
        "study": dg.MetadataValue.text(asked.study),
        "run": dg.MetadataValue.text(walk.run_id),
        "fingerprint": dg.MetadataValue.text(walk.fingerprint),
        "dataset": dg.MetadataValue.text(asked.inputs.dataset_id),
        # Of the table whose columns are told, `research.walk_forwards`.
        "dagster/row_count": dg.MetadataValue.int(1),
    }


def _table(found: WalkForward) -> str:
    lines = ["| test from | to | chosen | Sharpe before | Sharpe | net |", "|---|---|---|---:|---:|---:|"]
    for fold in found.folds:
        chosen = ", ".join(f"{name} {value}" for name, value in fold.chosen.items())
        tested = fold.tested.metrics
        lines.append(
            f"| {fold.window.test_from:%Y-%m-%d} | {fold.window.test_to:%Y-%m-%d} | {chosen} | "
            f"{_rounded(fold.trained.sharpe)} | {_rounded(tested.sharpe)} | {tested.net_pnl:.2f} |"
        )
    return "\n".join(lines)


def _rounded(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _listed(space: Mapping[str, Any]) -> Space:
    for name, values in space.items():
        if not isinstance(values, list):
            msg = f"the space of a search names a list of values for each parameter, received {values!r} for {name}"
            raise Rejected(msg)
    return space

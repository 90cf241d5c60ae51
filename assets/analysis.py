"""Assets of what the engine makes of candles: `indicators` and `regimes`, written by one pass.

The pass has no self-dependency (docs/adr/0004). For each series it finds the latest month up to which the stored
rows were made from exactly the candles that are stored now (the snapshot at its end carries their chain), goes on
from there, and writes month by month to the last stored one, whichever months the run was started for: no stored row
is ever left behind candles that changed. A month whose chain still matches is not computed again. It stops before the
first pending hole, before a month with slots that nobody has accounted for, and before a month that an earlier,
missing month leaves without a chain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import dagster as dg
import polars as pl
import psycopg

from assets import progress
from assets.market import SeriesSelection
from assets.partitions import Metadata, Month, Task, instrument_months, metadata_of_run, partition_key, tasks_of
from assets.plots import sparkline
from assets.resources import Postgres, alone
from contracts import SeriesKey
from contracts.timeframe import EPOCH
from engine import ENGINE_VERSION, EngineParams, SeriesEngine
from store import gaps, snapshots
from store.analysis import AnalysisTable, Engine, claim_engine, read_indicators, replace_window, require_engine
from store.candle_reads import last_open_time, read_bars
from store.catalog import list_series
from store.connections import translated
from store.ledger import MonthDigest, digests


class AnalysisConfig(SeriesSelection):
    """What a run of the pass may be told.

    Attributes:
        recompute: Take the analysis tables over from another engine version or parameter set: they are emptied and
            filled again.
    """

    recompute: bool = False


@dataclass(slots=True)
class PassReport:
    """What one pass did.

    Attributes:
        rows: Rows written by table.
        written: `(series, month)` of every month written.
        unchanged: Months whose chain still matched.
        stopped: Why a series ends before the last month asked for, one sentence each.
        seconds: Time spent by activity.
    """

    rows: dict[AnalysisTable, int] = field(default_factory=lambda: {"indicators": 0, "regimes": 0})
    written: list[tuple[SeriesKey, Month]] = field(default_factory=list)
    unchanged: int = 0
    stopped: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def spend(self, activity: str, begun: float) -> None:
        """Count the time since `begun` (of the performance counter) in."""
        self.seconds[activity] = self.seconds.get(activity, 0.0) + perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Stretch:
    """The bars of one month that may be analysed.

    Attributes:
        month: The month.
        end: Exclusive end of the open times: the month's end or its first pending hole.
        last: Open time of the last stored bar in it; None = it has none.
        chain: Chain of the month.
    """

    month: Month
    end: datetime
    last: datetime | None
    chain: str


def engine_of(params: EngineParams) -> Engine:
    """The engine of this version with these parameters, as the tables name their owner."""
    return Engine(params.hash, ENGINE_VERSION, params.model_dump())


def _accounted(conn: psycopg.Connection, key: SeriesKey, month: Month, entry: MonthDigest) -> bool:
    """Whether every slot of a month with later candles behind it is stored or stands in the hole ledger."""
    known = sum(
        key.tf.bars_in(max(hole.start, month.start), min(hole.end, month.end))
        for hole in gaps.holes(conn, key, month.start, month.end)
        if hole.cause != gaps.FILLED_ELSEWHERE
    )
    return bool(entry.rows + known >= key.tf.bars_in(month.start, month.end))


def take_over(conn: psycopg.Connection, params: EngineParams, series: Sequence[SeriesKey], *, recompute: bool) -> None:
    """Make sure the analysis tables belong to these parameters, and forget `series` where a recompute is asked for.

    Raises:
        EngineMismatch: Another engine owns them and no recompute was asked for.
    """
    engine = engine_of(params)
    with translated("take the analysis over", key=params.hash[:12]), conn.transaction():
        taken = claim_engine(conn, engine, at=datetime.now(UTC), recompute=recompute)
        # Taken over, the tables are empty: a snapshot of an earlier time as their owner must not pass for their rows.
        # Without its snapshots a series is computed from the start.
        for setting in list_series(conn):
            if taken or (recompute and setting.key in series):
                snapshots.drop_from(conn, setting.key, EPOCH)


def stretches(
    conn: psycopg.Connection, key: SeriesKey, report: PassReport, *, until: Month | None = None
) -> list[Stretch]:
    """The months of a series that can be analysed, oldest first, up to `until` (None = the last stored one)."""
    found: list[Stretch] = []
    stored = digests(conn, key)
    for entry in stored:
        month = Month.of(datetime(entry.month.year, entry.month.month, 1, tzinfo=UTC))
        if until is not None and until < month:
            break
        if entry.chain is None:
            report.stopped.append(f"{key} stops before {month}: an earlier month is not stored")
            break
        if entry.month < stored[-1].month and not _accounted(conn, key, month, entry):
            report.stopped.append(
                f"{key} stops before {month}: slots of it are neither stored nor explained; backfill that month"
            )
            break
        holes = gaps.pending(conn, key, month.start, month.end)
        end = max(month.start, holes[0].start) if holes else month.end
        found.append(Stretch(month, end, last_open_time(conn, key, month.start, end), entry.chain))
        if holes:
            report.stopped.append(f"{key} stops at {end.isoformat()}: a hole there is pending")
            break
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to do for one series: the engine as it stands, and the stretches it has not seen."""

    key: SeriesKey
    engine: SeriesEngine
    todo: Sequence[Stretch]


def plan(
    conn: psycopg.Connection, key: SeriesKey, params: EngineParams, report: PassReport, *, until: Month | None = None
) -> Plan:
    """Find out where the analysis of one series goes on."""
    found = stretches(conn, key, report, until=until)
    engine, done = resume(conn, key, found, params)
    report.unchanged += done
    return Plan(key, engine, found[done:])


def write_stretch(conn: psycopg.Connection, work: Plan, stretch: Stretch, report: PassReport) -> None:
    """Compute one month and put it, with its snapshot, in the place of what was stored."""
    key, month = work.key, stretch.month
    begun = perf_counter()
    bars = read_bars(conn, key, month.start, stretch.end)
    report.spend("reading", begun)
    begun = perf_counter()
    rows = work.engine.advance(bars)
    frames: dict[AnalysisTable, pl.DataFrame] = {"indicators": rows.indicators, "regimes": rows.regimes}
    report.spend("computing", begun)
    begun = perf_counter()
    with translated("write a month of analysis", key=f"{key} {month}"), conn.transaction():
        require_engine(conn, engine_of(work.engine.params))
        # The whole month is replaced: rows behind a hole that is pending again must not outlive it.
        snapshots.drop_from(conn, key, key.tf.known_at(month.start))
        for table, frame in frames.items():
            replace_window(conn, table, key, start=month.start, end=month.end, frame=frame)
            report.rows[table] += frame.height
        if stretch.last is not None:
            state = snapshots.Snapshot(
                key=key,
                ts=key.tf.known_at(stretch.last),
                params_hash=work.engine.params.hash,
                engine_version=ENGINE_VERSION,
                chain=stretch.chain,
                state=work.engine.snapshot(),
            )
            snapshots.write_snapshot(conn, state)
    report.spend("writing", begun)
    report.written.append((key, month))


def resume(
    conn: psycopg.Connection, key: SeriesKey, todo: Sequence[Stretch], params: EngineParams
) -> tuple[SeriesEngine, int]:
    """The engine to go on with, and how many of the stretches it has seen already."""
    for done in range(len(todo), 0, -1):
        stretch = todo[done - 1]
        if stretch.last is None:
            continue
        ts = key.tf.known_at(stretch.last)
        found = snapshots.snapshot_at(conn, key, ts, params_hash=params.hash, engine_version=ENGINE_VERSION)
        if found is not None and found.chain == stretch.chain:
            while done < len(todo) and todo[done].last is None:  # a month without a bar changes no state
                done += 1
            return SeriesEngine.restore(found.state, key=key, params=params), done
    return SeriesEngine(key, params), 0


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
        )
        for table, description in (
            ("indicators", "Indicators of every closed bar, null until defined; the same code runs live."),
            ("regimes", "What kind of market each bar belonged to: shock, trend or range."),
        )
    ],
    partitions_def=instrument_months,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def analysis(
    context: dg.AssetExecutionContext, config: AnalysisConfig, database: Postgres
) -> Iterator[dg.MaterializeResult[None]]:
    """Run the engine over the months of each instrument of the run, under the instrument's lock."""
    params = EngineParams()
    found: dict[AnalysisTable, list[tuple[Task, Metadata]]] = {"indicators": [], "regimes": []}
    for task in tasks_of(context.partition_keys):
        with database.connect() as conn, alone(conn, task.instrument, say=context.log.info):
            series = config.of(conn, task.instrument)
            take_over(conn, params, series, recompute=config.recompute)
            report = PassReport()
            plans = [plan(conn, key, params, report) for key in series]
            steps = [(work, stretch) for work in plans for stretch in work.todo]
            for done, (work, stretch) in enumerate(steps, start=1):
                write_stretch(conn, work, stretch, report)
                progress.report(f"analysis {task.instrument}", done=done, total=len(steps))
            for reason in report.stopped:
                context.log.warning(reason)
            for month in sorted({month for _, month in report.written}.difference(task.months)):
                # Behind a month that changed, later ones were written too, although nobody asked for them.
                for table in report.rows:
                    partition = str(partition_key(task.instrument, month))
                    context.log_event(dg.AssetMaterialization(asset_key=table, partition=partition))
            context.log.info(f"{task.instrument}: {report.rows} rows written, {report.unchanged} months unchanged")
            for table, metadata in _metadata(conn, task, series, report).items():
                found[table].append((task, metadata))
    for table, by_task in found.items():
        yield dg.MaterializeResult(asset_key=table, metadata=metadata_of_run(by_task))


def _metadata(
    conn: psycopg.Connection, task: Task, series: Sequence[SeriesKey], report: PassReport
) -> dict[AnalysisTable, Metadata]:
    shown = read_indicators(conn, series[-1], task.start, task.end)["rsi14"].drop_nulls().to_list()
    shared: dict[str, dg.MetadataValue[Any]] = {
        "months written": dg.MetadataValue.md(
            ", ".join(f"{key.tf} {month}" for key, month in report.written) or "none: every chain still matched"
        ),
        "months unchanged": dg.MetadataValue.int(report.unchanged),
        "stops": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in report.stopped) or "nowhere"),
        "seconds": dg.MetadataValue.json({name: round(value, 3) for name, value in report.seconds.items()}),
        "engine version": dg.MetadataValue.int(ENGINE_VERSION),
    }
    plot = {"rsi14": dg.MetadataValue.md(sparkline(shown, title=f"rsi14 of {series[-1]}"))}
    return {
        table: {"rows written": dg.MetadataValue.int(rows), **shared, **(plot if table == "indicators" else {})}
        for table, rows in report.rows.items()
    }

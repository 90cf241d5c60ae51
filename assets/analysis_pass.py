"""The pass that computes what is left of an instrument: month by month through its engine, each month one commit.

A month is read, advanced for all series of a group at once, given to the plug-in bots, and written with the snapshot
behind it. The first month of a series that is written forgets everything the series had from there on, so that no
stored row is ever left behind candles, or an engine state, that changed.

Nearly all of the time the database takes rows in, one core a connection. So two months are under way at a time, each on
a connection of its own: while the zones and signals of one are written, the next is computed and the rows of its bars
are written. They are committed in their order: a month's rows are never there without those of the month before.

    for group in plan(conn, series, params, report, versions=runner.versions):
        for month in Pass([conn, another], group, runner, report).run():
            ...
"""

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import get_args

import polars as pl
import psycopg

from assets.analysis_plan import Group, PassReport, Plan, Stretch
from assets.bots import record, recorded
from assets.partitions import Month
from assets.turns import Turns
from bots.runner import BotRows, BotRunner
from bots.series import SeriesBots
from bots.states import BotStates
from contracts import SeriesKey
from contracts.timeframe import EPOCH
from engine import ENGINE_VERSION, EngineParams, SeriesRows
from engine.retest import AGENT
from store import snapshots
from store.analysis import Engine, WindowTable, claim_engine, replace_window, require_engine, rewind
from store.candle_reads import read_bars
from store.catalog import list_series
from store.connections import translated
from store.signals import replace_signals, signals_since
from store.zones import replace_zones

_WINDOWS: tuple[WindowTable, ...] = get_args(WindowTable)
_STAGES = ("compute", "bars", "lives")


def engine_of(params: EngineParams) -> Engine:
    """The engine of this version with these parameters, as the tables name their owner."""
    return Engine(params.hash, ENGINE_VERSION, params.model_dump())


def take_over(conn: psycopg.Connection, params: EngineParams, series: list[SeriesKey], *, recompute: bool) -> None:
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


@dataclass(frozen=True, slots=True)
class _Computed:
    """What the engine and the bots made of one series' month, to be written as a whole.

    Attributes:
        plan: Of the series.
        stretch: Which bars.
        frames: Rows by table.
        ran: What the bots did.
        snapshot: The state behind the month; None = it has no bar.
    """

    plan: Plan
    stretch: Stretch
    frames: Mapping[str, pl.DataFrame]
    ran: BotRows
    snapshot: snapshots.Snapshot | None


class Pass:
    """The months of one group of series on their way through its engine and its bots.

    Args:
        conns: Connections; a month is a transaction on one of them, and as many months are under way as there are
            connections. Nobody else may use them while `run` goes on.
        group: The series.
        runner: The plug-in bots.
        report: Told what was written.
    """

    def __init__(
        self, conns: Sequence[psycopg.Connection], group: Group, runner: BotRunner, report: PassReport
    ) -> None:
        self._conns = conns
        self._group = group
        self._report = report
        self._agents = (AGENT, *(bot.name for bot in runner.bots))
        self._bots = {
            plan.key: SeriesBots(
                runner,
                plan.key,
                group.engine.engines[plan.key.tf].params,
                # What a bot that is not found now remembers would have a gap when it comes back.
                states=BotStates({name: one for name, one in plan.states.saved.items() if name in self._agents}),
                quarantines=recorded(conns[0], plan.key, runner),
            )
            for plan in group.plans
        }

    def run(self) -> Generator[Month, None, None]:
        """Compute the months of the group, and put what is not stored as it should be in its place.

        Yields:
            Each month when it is stored; the next is not stored before the caller goes on.

        Raises:
            TidemarkError: A month could not be read or written: it is left as it was, those before it stay.
        """
        months, turns = self._group.months, Turns(*_STAGES)
        pool = ThreadPoolExecutor(len(self._conns), thread_name_prefix="analysis")
        try:
            passing = [pool.submit(self._pass, turns, number) for number in range(len(months))]
            for number, one in enumerate(passing):
                one.result()
                yield months[number]
                turns.give("lives", number)
        finally:
            turns.close()
            pool.shutdown(wait=True, cancel_futures=True)

    def _pass(self, turns: Turns, number: int) -> None:
        """Take one month through its stages.

        No transaction is in a stage together with the one before it, so it holds no lock that the other will ask for
        while it waits for its own turn.
        """
        conn, month = self._conns[number % len(self._conns)], self._group.months[number]
        name = f"{self._group.plans[0].key.instrument} {month}"
        turns.take("compute", number)
        computed = self._compute(month, self._read(conn, month))
        turns.give("compute", number)
        with translated("write a month of analysis", key=name), conn.transaction():
            turns.take("bars", number)
            for one in computed:
                self._write_bars(conn, one)
            turns.give("bars", number)
            turns.take("lives", number)  # given on by `run`, when its caller knows of this month
            for one in computed:
                self._write_lives(conn, one)
        for one in computed:
            self._report.written.append((one.plan.key, month))
            self._tell(one.plan.key, one.ran)

    def _stretches(self, month: Month) -> dict[SeriesKey, Stretch]:
        return {plan.key: stretch for plan in self._group.plans if (stretch := plan.of(month)) is not None}

    def _read(self, conn: psycopg.Connection, month: Month) -> dict[str, pl.DataFrame]:
        begun = perf_counter()
        bars: dict[str, pl.DataFrame] = {
            key.tf: read_bars(conn, key, month.start, stretch.end) for key, stretch in self._stretches(month).items()
        }
        self._report.spend("reading", begun)
        return bars

    def _compute(self, month: Month, bars: Mapping[str, pl.DataFrame]) -> list[_Computed]:
        begun = perf_counter()
        rows = self._group.engine.advance(bars)
        self._report.spend("computing", begun)
        stretches = self._stretches(month)
        return [
            self._computed(plan, stretches[plan.key], bars[plan.key.tf], rows[plan.key.tf])
            for plan in self._group.plans
            if plan.key in stretches and stretches[plan.key] in plan.todo
        ]

    def _computed(self, plan: Plan, stretch: Stretch, bars: pl.DataFrame, rows: SeriesRows) -> _Computed:
        key, engine, bots = plan.key, self._group.engine.engines[plan.key.tf], self._bots[plan.key]
        begun = perf_counter()
        frames = {table: rows.frame(table) for table in self._report.rows}
        self._report.spend("computing", begun)
        begun = perf_counter()
        ran = bots.advance(bars, rows.frame)
        frames["signals_raw"] = pl.concat([frames["signals_raw"], ran.signals])
        self._report.spend("bots", begun)
        snapshot = None
        if stretch.last is not None:
            snapshot = snapshots.Snapshot(
                key=key,
                ts=key.tf.known_at(stretch.last),
                params_hash=engine.params.hash,
                engine_version=ENGINE_VERSION,
                chain=stretch.chain,
                state=engine.snapshot(bots=bots.snapshot() if bots.states.saved else b""),
            )
        return _Computed(plan, stretch, frames, ran, snapshot)

    def _write_bars(self, conn: psycopg.Connection, one: _Computed) -> None:
        """Write the rows that belong to bars alone; the first month forgets what stood there and behind it."""
        begun = perf_counter()
        key, month = one.plan.key, one.stretch.month
        with translated("write a month of analysis", key=f"{key} {month}"):
            require_engine(conn, engine_of(self._group.engine.engines[key.tf].params))
            if one.stretch is one.plan.todo[0]:
                self._tell_strangers(conn, key, month)
                rewind(conn, key, month.start)
            for table in _WINDOWS:
                frame = one.frames[table]
                replace_window(conn, table, key, start=month.start, end=month.end, frame=frame)
                self._report.rows[table] += frame.height
        self._report.spend("writing bars", begun)

    def _write_lives(self, conn: psycopg.Connection, one: _Computed) -> None:
        """Write zones and their events, signals, and the snapshot: what builds on the month before."""
        begun = perf_counter()
        key, month, frames = one.plan.key, one.stretch.month, one.frames
        with translated("write a month of analysis", key=f"{key} {month}"):
            replace_zones(
                conn,
                key,
                start=month.start,
                end=month.end,
                zone_events=frames["zone_events"],
                zones=frames["zones"],
                inversions=frames["inversions"],
            )
            replace_signals(
                conn, key, agents=self._agents, start=month.start, end=month.end, frame=frames["signals_raw"]
            )
            for table in set(frames).difference(_WINDOWS):
                self._report.rows[table] += frames[table].height
            record(conn, one.ran.quarantined)
            if one.snapshot is not None:
                snapshots.write_snapshot(conn, one.snapshot)
        self._report.spend("writing lives", begun)

    def _tell_strangers(self, conn: psycopg.Connection, key: SeriesKey, month: Month) -> None:
        """Say whose signals go with the rows that are written again, because the bot is not there to give them."""
        for agent, count in signals_since(conn, key, month.start).items():
            if agent not in self._agents:
                self._report.removed.append(
                    f"bot {agent} is not found now: its {count} signals on {key} from {month} on are removed; they "
                    f"come back with the bot"
                )

    def _tell(self, key: SeriesKey, ran: BotRows) -> None:
        for span in ran.quarantined:
            first = span.detail.strip().splitlines()[-1] if span.detail.strip() else span.reason
            self._report.quarantined.append(
                f"bot {span.agent} is quarantined on {key} from {span.from_ts.isoformat()} on ({span.reason}): {first}"
            )

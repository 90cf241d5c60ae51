"""What is left to analyse of an instrument: told from the ledger and the snapshots alone, no candle is read.

For each series the latest month is found up to which the stored rows were made from exactly the candles that are
stored now: the snapshot at its end carries their chain, and the bots it was made with. Series that a sub-timeframe
ties together go on from one common month, for they are computed together; what of them is stored already is computed
again on the way and not written.

A series ends before its first pending hole, before a month with slots that nobody has accounted for, before a month
that an earlier, missing month leaves without a chain, and where its sub-timeframe ends.

    groups = plan(conn, kept_series(conn, keys), params, report, versions={})
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

import psycopg

from assets.partitions import Month
from bots.states import BotStates
from contracts import Rejected, SeriesKey
from engine import ENGINE_VERSION, TABLES, EngineParams, SymbolEngine
from engine.snapshot import SnapshotRefused, decode
from store import gaps, snapshots
from store.candle_reads import last_open_time
from store.catalog import SeriesSetting, list_series
from store.ledger import MonthDigest, digests


@dataclass(slots=True)
class PassReport:
    """What one pass did.

    Attributes:
        rows: Rows written by table.
        written: `(series, month)` of every month written.
        unchanged: Months whose chain still matched.
        stopped: Why a series ends before the last month asked for, one sentence each.
        quarantined: Which bots failed, one sentence each.
        removed: Which bots' signals went with rows that were written again, the bot not being found, a sentence each.
        seconds: Time spent by activity.
    """

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    written: list[tuple[SeriesKey, Month]] = field(default_factory=list)
    unchanged: int = 0
    stopped: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def spend(self, activity: str, begun: float) -> None:
        """Count the time since `begun` (of the performance counter) in."""
        self.seconds[activity] = self.seconds.get(activity, 0.0) + perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Stretch:
    """The bars of one month that may be analysed.

    Attributes:
        month: The month.
        end: Exclusive end of the open times: the month's end or where the series stops.
        last: Open time of the last stored bar in it; None = it has none.
        chain: Chain of the month.
    """

    month: Month
    end: datetime
    last: datetime | None
    chain: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One series: the stretches there are, and how many of them are stored as they should be.

    Attributes:
        key: The series.
        stretches: All of them, oldest first.
        done: How many need not be written again.
        states: What its bots remember after those.
    """

    key: SeriesKey
    stretches: Sequence[Stretch]
    done: int
    states: BotStates

    @property
    def todo(self) -> Sequence[Stretch]:
        """The stretches to be written."""
        return self.stretches[self.done :]

    def of(self, month: Month) -> Stretch | None:
        """The stretch of a month, if the series has one."""
        return next((stretch for stretch in self.stretches if stretch.month == month), None)


@dataclass(frozen=True, slots=True)
class Group:
    """Series that are computed together, and where they stand.

    Attributes:
        engine: Their engine, at the end of the month before the first of `months`.
        plans: One for each of them, shortest timeframe first.
        months: The months to compute, oldest first; empty = nothing is to be written.
    """

    engine: SymbolEngine
    plans: Sequence[Plan]
    months: Sequence[Month]

    def series_in(self, month: Month) -> int:
        """How many of its series have bars of that month."""
        return sum(plan.of(month) is not None for plan in self.plans)


def kept_series(conn: psycopg.Connection, keys: Iterable[SeriesKey]) -> list[SeriesSetting]:
    """These series of one instrument and the sub-timeframes they hang on, shortest first.

    Raises:
        Rejected: A sub-timeframe is not kept.
    """
    wanted = set(keys)
    kept = {setting.key: setting for setting in list_series(conn) if setting.key.instrument in _instruments(wanted)}
    found = {key: kept.get(key, SeriesSetting(key)) for key in wanted}
    open_ = list(found.values())
    while open_:
        setting = open_.pop()
        sub = _sub_of(setting)
        if sub is None or sub in found:
            continue
        if sub not in kept or not kept[sub].enabled:
            msg = f"{setting.key} takes its micro_bos from {sub.tf}, which is not kept: backfill {sub} too"
            raise Rejected(msg)
        found[sub] = kept[sub]
        open_.append(kept[sub])
    return [found[key] for key in sorted(found)]


def _instruments(keys: Iterable[SeriesKey]) -> set[object]:
    return {key.instrument for key in keys}


def _sub_of(setting: SeriesSetting) -> SeriesKey | None:
    return None if setting.sub_tf is None else setting.key.instrument.series(setting.sub_tf)


def plan(
    conn: psycopg.Connection,
    series: Sequence[SeriesSetting],
    params: EngineParams,
    report: PassReport,
    *,
    versions: Mapping[str, str],
    until: Month | None = None,
) -> list[Group]:
    """Find out where the analysis of each series goes on.

    Args:
        conn: A connection.
        series: Series of one instrument with their sub-timeframes among them, shortest first (`kept_series`).
        params: Parameters of the engine.
        report: Told what is unchanged, and why a series stops.
        versions: Name → version of the plug-in bots; what was made without one of them is computed again.
        until: Last month to look at; None = the last stored one.
    """
    plans: dict[SeriesKey, Plan] = {}
    subs = {setting.key: _sub_of(setting) for setting in series}
    for key, sub in subs.items():
        found = stretches(conn, key, report, sub=sub, until=until)
        if sub is not None:
            found = _within(conn, key, found, plans[sub], report)
        done, states = _done(conn, key, found, params, versions)
        report.unchanged += done
        plans[key] = Plan(key, found, done, states)
    return [_group(conn, [plans[key] for key in keys], subs, params, versions) for keys in _tied(subs)]


def stretches(
    conn: psycopg.Connection,
    key: SeriesKey,
    report: PassReport,
    *,
    sub: SeriesKey | None = None,
    until: Month | None = None,
) -> list[Stretch]:
    """The months of a series that can be analysed, oldest first.

    Args:
        conn: A connection.
        key: The series.
        report: Told why it stops.
        sub: The sub-timeframe that its chain includes.
        until: Last month to look at; None = the last stored one.
    """
    found: list[Stretch] = []
    stored = digests(conn, key)
    for entry in stored:
        month = Month.of(datetime(entry.month.year, entry.month.month, 1, tzinfo=UTC))
        if until is not None and until < month:
            break
        if entry.chain is None:
            report.stopped.append(f"{key} stops before {month}: {_unchained(conn, entry, sub)}")
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


def _unchained(conn: psycopg.Connection, entry: MonthDigest, sub: SeriesKey | None) -> str:
    """Why a month has no chain."""
    if sub is not None and entry.month not in {below.month for below in digests(conn, sub)}:
        return f"{sub}, its sub-timeframe, has nothing stored of that month; backfill it too"
    return "an earlier month is not stored"


def _accounted(conn: psycopg.Connection, key: SeriesKey, month: Month, entry: MonthDigest) -> bool:
    """Whether every slot of a month with later candles behind it is stored or stands in the hole ledger."""
    known = sum(
        key.tf.bars_in(max(hole.start, month.start), min(hole.end, month.end))
        for hole in gaps.holes(conn, key, month.start, month.end)
        if hole.cause != gaps.FILLED_ELSEWHERE
    )
    return bool(entry.rows + known >= key.tf.bars_in(month.start, month.end))


def _within(
    conn: psycopg.Connection, key: SeriesKey, found: Sequence[Stretch], sub: Plan, report: PassReport
) -> list[Stretch]:
    """The part of a series' stretches that its sub-timeframe has reached: behind it nobody knows what it did."""
    reached: list[Stretch] = []
    for stretch in found:
        below = sub.of(stretch.month)
        if below is None:
            report.stopped.append(f"{key} stops before {stretch.month}: {sub.key} has not got there")
            break
        known_until = below.end
        if below is sub.stretches[-1]:
            known_until = stretch.month.start if below.last is None else sub.key.tf.known_at(below.last)
        end = min(stretch.end, max(stretch.month.start, key.tf.floor(known_until)))
        if end < stretch.end:
            stretch = replace(stretch, end=end, last=last_open_time(conn, key, stretch.month.start, end))
        reached.append(stretch)
    return reached


def _done(
    conn: psycopg.Connection,
    key: SeriesKey,
    found: Sequence[Stretch],
    params: EngineParams,
    versions: Mapping[str, str],
) -> tuple[int, BotStates]:
    """How many stretches are stored as they should be, and what the bots remember behind them."""
    for done in range(len(found), 0, -1):
        blob = _snapshot(conn, key, found[done - 1], params, versions)
        if blob is not None:
            states = _states(blob)
            while done < len(found) and found[done].last is None:  # a month without a bar changes no state
                done += 1
            return done, states
    return 0, BotStates()


def _snapshot(
    conn: psycopg.Connection,
    key: SeriesKey,
    stretch: Stretch,
    params: EngineParams,
    versions: Mapping[str, str],
) -> bytes | None:
    """The snapshot at the end of a stretch, if it was made from these candles, by this engine and by these bots."""
    if stretch.last is None:
        return None
    ts = key.tf.known_at(stretch.last)
    found = snapshots.snapshot_at(conn, key, ts, params_hash=params.hash, engine_version=ENGINE_VERSION)
    if found is None or found.chain != stretch.chain:
        return None
    made_with = _states(found.state)
    # A bot that is not found any more changes no row: what it said stays until somebody has it forgotten.
    return None if made_with.missing(versions) else found.state


def _states(blob: bytes) -> BotStates:
    carried = decode(blob, engine_version=ENGINE_VERSION).bots
    return BotStates.decode(carried) if carried else BotStates()


def _tied(subs: Mapping[SeriesKey, SeriesKey | None]) -> list[list[SeriesKey]]:
    """The series, those that sub-timeframes tie together in one list, shortest first."""
    home = {key: key for key in subs}
    for key, sub in subs.items():
        if sub is not None:
            old, new = home[key], home[sub]
            home = {one: new if at == old else at for one, at in home.items()}
    return [[key for key in subs if home[key] == root] for root in dict.fromkeys(home.values())]


def _group(
    conn: psycopg.Connection,
    plans: Sequence[Plan],
    subs: Mapping[SeriesKey, SeriesKey | None],
    params: EngineParams,
    versions: Mapping[str, str],
) -> Group:
    """The engine of some series at the last month from which all of them can go on."""
    sub: dict[str, str] = {plan.key.tf: under.tf for plan in plans if (under := subs[plan.key]) is not None}
    everything = sorted({stretch.month for plan in plans for stretch in plan.stretches})
    fresh = SymbolEngine(plans[0].key.venue, plans[0].key.symbol, {plan.key.tf: params for plan in plans}, sub=sub)
    if not any(plan.todo for plan in plans):
        return Group(fresh, plans, ())
    common = set.intersection(*({stretch.month for stretch in plan.stretches[: plan.done]} for plan in plans))
    for month in sorted(common, reverse=True):
        blobs: dict[str, bytes] = {}
        for one in plans:
            stretch = one.of(month)
            blob = None if stretch is None else _snapshot(conn, one.key, stretch, params, versions)
            if blob is None:
                break
            blobs[one.key.tf] = blob
        else:
            try:
                engine = SymbolEngine.restore(blobs, sub=sub)
            except SnapshotRefused:
                # Snapshots of two moments: a hole of the sub-timeframe was settled behind which the longer series, by
                # a hole of its own, did not get. Before that month they agree.
                continue
            return Group(engine, plans, [later for later in everything if later > month])
    return Group(fresh, plans, everything)

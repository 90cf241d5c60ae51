"""Running the analysis pass without Dagster, and what its tables must hold: the rows of one engine that read it all.

analyse(conn, FEB)
assert_computed_from_the_start(conn)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import psycopg
from psycopg import sql

from assets.analysis_pass import Pass, take_over
from assets.analysis_plan import PassReport, kept_series, plan
from assets.partitions import Month
from bots.runner import BotRunner
from contracts import SeriesKey, Timeframe
from engine import TABLES, EngineParams, SymbolEngine
from store.analysis import AnalysisTable, read_rows
from store.candle_reads import read_bars
from store.frames import SCHEMAS
from tests.assets.fakes import KEY, T0
from tests.assets.runs import months
from tests.engine.bits import assert_same_tables

JAN, FEB, MAR = months("2022-01", "2022-03")
JAN_BARS, FEB_BARS = 744, 672  # of 1h
FOREVER = T0 + timedelta(days=400)
# One order for both sides: what happened at one bar has none that the tables keep.
_ORDER: Mapping[AnalysisTable, Sequence[str]] = {
    "zone_events": ("ts", "created_ts", "parent_created_ts", "kind"),
    "signals_raw": ("ts", "agent", "signal_id"),
}

Tables = Mapping[str, pl.DataFrame]


@dataclass
class Killed(Exception):
    """The process ended between two months."""

    report: PassReport


def analyse(
    conn: psycopg.Connection,
    until: Month | None = None,
    *,
    keys: Collection[SeriesKey] = (KEY,),
    params: EngineParams | None = None,
    runner: BotRunner | None = None,
    die_after: int | None = None,
) -> PassReport:
    """The pass over the series of an instrument, with engines of its own: what a fresh process does.

    Args:
        conn: A connection.
        until: The last month to look at; None = the last stored one.
        keys: The series.
        params: Parameters of the engine; None = the defaults.
        runner: The plug-in bots; None = there are none.
        die_after: How many months are computed before the process ends.

    Raises:
        Killed: `die_after` months were computed.
    """
    report, params, runner = PassReport(), params or EngineParams(), runner or BotRunner(())
    series = kept_series(conn, keys)
    take_over(conn, params, [setting.key for setting in series], recompute=False)
    left = die_after
    for group in plan(conn, series, params, report, versions=runner.versions, until=until):
        if left == 0:
            raise Killed(report)
        with another(conn) as second:
            for _ in Pass([conn, second], group, runner, report).run():
                left = None if left is None else left - 1
                if left == 0:
                    raise Killed(report)
    return report


def another(conn: psycopg.Connection) -> psycopg.Connection:
    """Another connection to the same database, by the same role."""
    return psycopg.connect(conn.info.dsn, password=conn.info.password, autocommit=True)


def written(report: PassReport, key: SeriesKey = KEY) -> list[Month]:
    """The months of a series that were written, in their order."""
    return [month for of, month in report.written if of == key]


def tables(conn: psycopg.Connection, *, key: SeriesKey = KEY) -> Tables:
    """Every table of a series as it is stored."""
    found = {table: read_rows(conn, table, key, T0 - timedelta(days=400), FOREVER) for table in _tables()}
    return _ordered(found)


def computed(
    conn: psycopg.Connection,
    keys: Collection[SeriesKey] = (KEY,),
    *,
    sub: Mapping[str, str] | None = None,
    ends: Mapping[SeriesKey, datetime] | None = None,
    params: EngineParams | None = None,
) -> dict[SeriesKey, Tables]:
    """What one engine that reads every stored bar (of a series, before its end in `ends`) at once gives."""
    first = next(iter(keys))
    wiring: dict[Timeframe | str, Timeframe | str] = dict((sub or {}).items())
    engine = SymbolEngine(first.venue, first.symbol, {key.tf: params or EngineParams() for key in keys}, sub=wiring)
    rows = engine.advance(
        {key.tf: read_bars(conn, key, T0 - timedelta(days=400), (ends or {}).get(key, FOREVER)) for key in keys}
    )
    return {key: _ordered({table: rows[key.tf].frame(table) for table in SCHEMAS}) for key in keys}


def assert_computed_from_the_start(
    conn: psycopg.Connection, *keys: SeriesKey, end: datetime | None = None, sub: Mapping[str, str] | None = None
) -> None:
    """The stored rows are those of one engine that reads every stored bar (before `end`) at once; no table is empty."""
    wanted = keys or (KEY,)
    ends = {} if end is None else dict.fromkeys(wanted, end)
    for key, expected in computed(conn, wanted, sub=sub, ends=ends).items():
        assert_same_tables(tables(conn, key=key), expected)
        assert expected["indicators"].height > 300
        assert [table for table, frame in expected.items() if frame.is_empty()] == []


def lives_across(found: Tables, border: datetime) -> dict[str, set[str]]:
    """What happened after a border to zones and inversions that had been created up to it: kind → events."""
    late = found["zone_events"].filter((pl.col("created_ts") <= border) & (pl.col("ts") > border))
    return {
        str(kind): set(late.filter(pl.col("kind") == kind)["event"].cast(pl.String)) for kind in late["kind"].unique()
    }


def places(conn: psycopg.Connection, key: SeriesKey, table: str = "indicators") -> list[tuple[str, str]]:
    """Where the rows of a series lie in the database: another place, or another writer, is another version of a row."""
    query = sql.SQL("SELECT xmin::text, ctid::text FROM {} WHERE (venue, symbol, tf) = (%s, %s, %s)")
    name = sql.Identifier("analysis", table)
    return sorted(conn.execute(query.format(name), [key.venue, key.symbol, str(key.tf)]).fetchall())


def _tables() -> Sequence[AnalysisTable]:
    return tuple(TABLES)


def _ordered(found: Mapping[AnalysisTable, pl.DataFrame]) -> Tables:
    return {
        table: frame.sort(_ORDER[table], nulls_last=False) if table in _ORDER else frame
        for table, frame in found.items()
    }

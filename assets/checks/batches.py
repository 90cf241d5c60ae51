"""The rows that a step's expectations look at: those of the run's windows, and of no others.

A batch is one query with a branch a series, each with its own constants: the planner then reads a window of the index
whatever else the table holds. It adds columns that expectations need of a series: `series` (a number, for joining and
grouping by it), `length` (of a bar, as an interval), `base_tf` and `base_length` (the shortest kept timeframe of the
instrument, null for that one itself).

    query_of(CANDLES, windows)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from assets.checks.suites import Rows
from assets.partitions import Task
from contracts import SeriesKey, Timeframe
from store.catalog import list_series


@dataclass(frozen=True, slots=True)
class Window:
    """Bars of one series.

    Attributes:
        key: The series.
        start: First open time.
        end: Exclusive end.
        base: The shortest kept timeframe of its instrument, where it is another one and divides this one.
    """

    key: SeriesKey
    start: datetime
    end: datetime
    base: Timeframe | None = None


def windows_of(conn: psycopg.Connection, tasks: Iterable[Task]) -> list[Window]:
    """The windows of every kept series of some tasks."""
    found = []
    for task in tasks:
        keys = [setting.key for setting in list_series(conn, task.instrument, enabled_only=True)]
        base = min((key.tf for key in keys), key=lambda tf: tf.us, default=None)
        for key in keys:
            rolls_up = base is not None and base is not key.tf and key.tf.us % base.us == 0
            found.append(Window(key, task.start, task.end, base if rolls_up else None))
    return found


def query_of(rows: Rows, windows: Sequence[Window]) -> str:
    """The query of the rows that belong to `windows`, with every value quoted."""
    if not rows.by_series:
        windows = list({window.key.instrument: window for window in windows}.values())
    branches = [_branch(rows, window, number) for number, window in enumerate(windows)] or [_nothing(rows)]
    return sql.SQL(" UNION ALL ").join(branches).as_string(None)


def series_of(windows: Sequence[Window]) -> str:
    """A query of the series of `windows`: venue, symbol, tf."""
    keys = sorted({window.key for window in windows})
    one = sql.SQL("SELECT {}::text AS venue, {}::text AS symbol, {}::text AS tf")
    if not keys:
        return "SELECT NULL::text AS venue, NULL::text AS symbol, NULL::text AS tf WHERE false"
    return sql.SQL(" UNION ALL ").join(one.format(key.venue, key.symbol, str(key.tf)) for key in keys).as_string(None)


def spans_of(windows: Sequence[Window]) -> str:
    """A query of the instruments of `windows` and of their time: venue, symbol, starts, ends."""
    spans = sorted({(window.key.instrument, window.start, window.end) for window in windows})
    one = sql.SQL("SELECT {}::text AS venue, {}::text AS symbol, {}::timestamptz AS starts, {}::timestamptz AS ends")
    rows = [one.format(key.venue, key.symbol, start, end) for key, start, end in spans]
    nothing = sql.Composed([one.format(*[None] * 4), sql.SQL(" WHERE false")])
    return sql.SQL(" UNION ALL ").join(rows or [nothing]).as_string(None)


def _branch(rows: Rows, window: Window, number: int) -> sql.Composed:
    length = window.key.tf.duration
    shift = length if rows.known else 0 * length
    series = sql.SQL(" AND tf = {}").format(str(window.key.tf)) if rows.by_series else sql.SQL("")
    return sql.SQL(
        "SELECT *, {number}::int AS series, {length}::interval AS length, {base_tf}::text AS base_tf, "
        "{base_length}::interval AS base_length "
        "FROM {table} WHERE venue = {venue} AND symbol = {symbol}{series} AND {time} >= {start} AND {time} < {end}"
    ).format(
        number=number,
        length=length,
        base_tf=None if window.base is None else str(window.base),
        base_length=None if window.base is None else window.base.duration,
        table=_table(rows),
        venue=window.key.venue,
        symbol=window.key.symbol,
        series=series,
        time=sql.SQL(rows.time),
        start=window.start - rows.lead_in * length + shift,
        end=window.end + shift,
    )


def _nothing(rows: Rows) -> sql.Composed:
    """The query for no window at all: its columns, and no row."""
    return sql.SQL(
        "SELECT *, NULL::int AS series, NULL::interval AS length, NULL::text AS base_tf, "
        "NULL::interval AS base_length FROM {} WHERE false"
    ).format(_table(rows))


def _table(rows: Rows) -> sql.Identifier:
    return sql.Identifier(*rows.table.split("."))

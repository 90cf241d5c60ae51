"""Zones and inversions: their events are the truth, two tables hold the last state of each.

The analysis of a series is written forwards, so computing it again from some bar rewrites everything behind that bar.
`replace_zones` therefore forgets all that was known from its window's start on, however far beyond its end: events go,
zones created since go, and an older zone whose later life is gone returns to the state its remaining events tell of.
After every commit the tables hold what one run over the bars up to `end` would have written, and nothing else.

What was known at an instant is read from the events (`zones_as_of`): the last states know too much.

    replace_zones(conn, key, start=start, end=end, zone_events=out.zone_events, zones=..., inversions=...)
    drawn = zones_as_of(conn, key, at)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, LiteralString

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from contracts import SeriesKey
from store.connections import translated
from store.copying import copy_binary, copy_shortest
from store.errors import FrameRejected
from store.frames import SCHEMAS, check_frame
from store.windows import allow_any_decompression, forget_since, read_frame, series_params

_StateTable = Literal["zones", "inversions"]

# The column that, with series and kind, names one row.
_NAMED_BY: Final[dict[_StateTable, str]] = {"zones": "created_ts", "inversions": "parent_created_ts"}
_KINDS: Final = {"zones": ["OB", "FVG"], "inversions": ["BREAKER", "IFVG"]}

_EVENT_NAME: Final = ("kind", "created_ts", "parent_created_ts")

_SERIES: Final[LiteralString] = "venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s"

# A zone has at most one end, and touches only grow: the state its events leave it in needs no order among them.
_STATE: Final[LiteralString] = """
max(touches) AS touches,
min(ts) FILTER (WHERE touches > 0) AS first_touch_ts,
coalesce(max(event) FILTER (WHERE event IN ('MITIGATED', 'EXPIRED', 'EVICTED')), 'ACTIVE') AS status,
max(ts) FILTER (WHERE event IN ('MITIGATED', 'EXPIRED', 'EVICTED')) AS ended_ts
"""

_OUTLIVED: Final = sql.SQL(f"""
SELECT DISTINCT kind, created_ts, parent_created_ts FROM analysis.zone_events
WHERE {_SERIES} AND ts >= %(at)s AND created_ts < %(at)s
""")  # noqa: S608 - composed of the constants above alone

_REMAINING: Final = sql.SQL(f"""
SELECT kind, created_ts, parent_created_ts, {_STATE} FROM analysis.zone_events
WHERE {_SERIES} AND ts >= %(earliest)s AND ts < %(at)s AND created_ts = ANY(%(created)s)
GROUP BY kind, created_ts, parent_created_ts
""")  # noqa: S608 - composed of the constants above alone

# One row by its whole name, in constants: on TimescaleDB a join would unpack every compressed chunk of the series. The
# time of creation stands there for inversions too: in a table without statistics the planner may take the index by it.
_SET_STATE: Final[LiteralString] = f"""
UPDATE analysis.{{table}}
SET touches = %(touches)s, first_touch_ts = %(first_touch_ts)s, status = %(status)s, ended_ts = %(ended_ts)s
WHERE {_SERIES} AND kind = %(kind)s AND created_ts = %(created_ts)s AND {{name}} = {{value}}
"""  # noqa: S608 - composed of the constants above alone

_AS_OF: Final[LiteralString] = f"""
WITH life AS (
    SELECT kind, created_ts, parent_created_ts, {_STATE} FROM analysis.zone_events
    WHERE {_SERIES} AND ts <= %(at)s AND kind = ANY(%(kinds)s)
    GROUP BY kind, created_ts, parent_created_ts
)
SELECT {{fixed}}, life.touches, life.first_touch_ts, life.status, life.ended_ts
FROM analysis.{{table}} AS z JOIN life ON life.kind = z.kind AND life.{{name}} = z.{{name}}
WHERE {_SERIES} AND z.created_ts <= %(at)s
ORDER BY {{order}}
"""  # noqa: S608 - composed of the constants above alone


def replace_zones(
    conn: psycopg.Connection,
    key: SeriesKey,
    *,
    start: datetime,
    end: datetime,
    zone_events: pl.DataFrame,
    zones: pl.DataFrame,
    inversions: pl.DataFrame,
) -> int:
    """Write what the bars that open in [start, end) did to zones, in the place of everything known since `start`.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        key: The series.
        start: First open time of the window; everything before it stands as it is.
        end: Exclusive end of the window.
        zone_events: What happened, one row per zone and bar at most.
        zones: One row for every zone with an event here, as its last one left it; may have been created earlier.
        inversions: The same of inversions.

    Returns:
        How many events were replaced.

    Raises:
        FrameRejected: A frame is not this table's, series' or window's, or a zone from before the window is not stored
            with these bounds; nothing was changed.
    """
    at, ts_end = key.tf.known_at(start), key.tf.known_at(end)
    check_frame("zone_events", key, zone_events, ts_start=at, ts_end=ts_end)
    check_frame("zones", key, zones, ts_start=None, ts_end=ts_end)
    check_frame("inversions", key, inversions, ts_start=None, ts_end=ts_end)
    with translated("replace zones", key=key), conn.transaction():
        replaced = rewind_zones(conn, key, at)
        copy_binary(conn, ("analysis", "zone_events"), zone_events)
        states: dict[_StateTable, pl.DataFrame] = {"zones": zones, "inversions": inversions}
        for table, frame in states.items():
            copy_shortest(conn, ("analysis", table), frame.filter(pl.col("created_ts") >= at))
            _carry_on(conn, key, table, frame.filter(pl.col("created_ts") < at))
        return replaced


def rewind_zones(conn: psycopg.Connection, key: SeriesKey, at: datetime) -> int:
    """Make the zones of a series what they were just before `at`: every event at or after it is forgotten.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        key: The series.
        at: The first `ts` that is forgotten.

    Returns:
        How many events were forgotten.
    """
    with translated("rewind zones", key=key), conn.transaction():
        allow_any_decompression(conn)
        outlived = set(conn.execute(_OUTLIVED, series_params(key, at=at), prepare=False).fetchall())
        if outlived:
            created = sorted({row[_EVENT_NAME.index("created_ts")] for row in outlived})
            with conn.cursor(row_factory=dict_row) as cursor:
                known = series_params(key, at=at, earliest=created[0], created=created)
                remaining = cursor.execute(_REMAINING, known, prepare=False).fetchall()
            for state in remaining:
                if tuple(state[name] for name in _EVENT_NAME) in outlived:
                    _set_state(conn, key, "zones" if state["parent_created_ts"] is None else "inversions", state)
        forgotten = forget_since(conn, "zone_events", key, at)
        forget_since(conn, "zones", key, at)
        forget_since(conn, "inversions", key, at)
        return forgotten


def zones_as_of(conn: psycopg.Connection, key: SeriesKey, at: datetime) -> pl.DataFrame:
    """The zones known at `at`, each in the state it had then (an event at `at` itself was known): frame of `zones`."""
    return _as_of(conn, "zones", key, at, order="created_ts, kind")


def inversions_as_of(conn: psycopg.Connection, key: SeriesKey, at: datetime) -> pl.DataFrame:
    """The inversions known at `at`, each in the state it had then: frame of `inversions`."""
    return _as_of(conn, "inversions", key, at, order="created_ts, parent_created_ts, kind DESC")


def _set_state(
    conn: psycopg.Connection,
    key: SeriesKey,
    table: _StateTable,
    state: Mapping[str, Any],
    *,
    where: LiteralString = "",
) -> int:
    name = _NAMED_BY[table]
    query = sql.SQL(_SET_STATE + where).format(
        table=sql.Identifier(table), name=sql.Identifier(name), value=sql.Placeholder(name)
    )
    return conn.execute(query, {**state, **series_params(key)}, prepare=False).rowcount


def _carry_on(conn: psycopg.Connection, key: SeriesKey, table: _StateTable, frame: pl.DataFrame) -> None:
    """Bring zones from before the window to the state the window leaves them in; few can be alive at one time."""
    for state in frame.with_columns(pl.col("price_lo", "price_hi").cast(pl.String)).iter_rows(named=True):
        if not _set_state(
            conn, key, table, state, where="AND price_lo = %(price_lo)s::numeric AND price_hi = %(price_hi)s::numeric"
        ):
            msg = (
                f"{table} of {key}: the {state['kind']} created at {state['created_ts'].isoformat()} with the bounds "
                f"{state['price_lo']} to {state['price_hi']} ended or was touched in this window, and no such row is "
                f"stored from before it; compute the series again from the start (recompute)"
            )
            raise FrameRejected(msg)


def _as_of(
    conn: psycopg.Connection, table: _StateTable, key: SeriesKey, at: datetime, *, order: LiteralString
) -> pl.DataFrame:
    life = ("touches", "first_touch_ts", "status", "ended_ts")
    fixed = [
        sql.Identifier("z", name)
        for name in SCHEMAS[table]
        if name not in life and name not in ("venue", "symbol", "tf")
    ]
    source = sql.SQL(_AS_OF).format(
        fixed=sql.SQL(", ").join(fixed),
        table=sql.Identifier(table),
        name=sql.Identifier(_NAMED_BY[table]),
        order=sql.SQL(order),
    )
    return read_frame(conn, table, key, source, series_params(key, at=at, kinds=_KINDS[table]))

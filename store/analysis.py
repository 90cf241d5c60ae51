"""Writing and reading what the engine computed: a window is replaced as a whole, bit by bit, by one engine at a time.

`ts` of a row is the close boundary of its bar: the window of bars [start, end) holds start + tf <= ts < end + tf. The
tables belong to one engine version and parameter set (`analysis.engines`); another is refused until a recompute is
asked for, which empties them. Whoever computes a series again from some bar calls `rewind` in the transaction of the
first window it writes: then every commit leaves the rows of a prefix of its bars, wherever the work is interrupted.
Zones with their events are written by `store.zones`, signals by `store.signals`.

    claim_engine(conn, engine, at=now)
    rewind(conn, key, start)
    replace_window(conn, "indicators", key, start=start, end=end, frame=out.indicators)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString, get_args

import polars as pl
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from contracts import SeriesKey
from store.connections import translated
from store.copying import copy_binary, copy_shortest
from store.errors import EngineMismatch
from store.frames import SCHEMAS, AnalysisTable, check_frame
from store.signals import read_signals
from store.snapshots import drop_from
from store.windows import allow_any_decompression, forget_since, read_frame, rows_known, series_params
from store.zones import rewind_zones

__all__ = [
    "COLUMNS",
    "AnalysisTable",
    "Engine",
    "WindowTable",
    "claim_engine",
    "count_rows",
    "read_indicators",
    "read_regimes",
    "read_rows",
    "replace_window",
    "require_engine",
    "rewind",
]

# The tables whose rows stand for themselves: a window of them can be replaced.
WindowTable = Literal["indicators", "regimes", "swings", "smc_events", "liquidity_events"]
_WINDOW_TABLES: Final[tuple[WindowTable, ...]] = get_args(WindowTable)

COLUMNS: Final[Mapping[AnalysisTable, tuple[str, ...]]] = {
    table: tuple(schema.names()) for table, schema in SCHEMAS.items()
}
# Prices the engine passed through are NUMERIC there, and take the way of exact text.
_WITH_PRICES: Final = frozenset({"swings", "smc_events", "liquidity_events"})
_ORDERS: Final[Mapping[str, LiteralString]] = {
    "swings": "ts, kind",  # HIGH, LOW
    "liquidity_events": "ts, kind IN ('EQL', 'SWEEP_LOW')",
    "zone_events": "ts, created_ts, parent_created_ts NULLS FIRST, kind",
    "zones": "created_ts, kind",  # FVG, OB: the order of their creation within a bar
    "inversions": "created_ts, parent_created_ts, kind DESC",  # likewise of their parents'
}
_ENGINE_LOCK: Final = 7_146_510_003  # any number, the same in every release


@dataclass(frozen=True, slots=True)
class Engine:
    """What makes two results comparable.

    Attributes:
        params_hash: Fingerprint of the parameters.
        engine_version: Raised only when the engine's output changes.
        params: The parameters themselves, for people.
    """

    params_hash: str
    engine_version: int
    params: dict[str, Any]


def claim_engine(conn: psycopg.Connection, engine: Engine, *, at: datetime, recompute: bool = False) -> bool:
    """Make sure the analysis tables belong to `engine`; call it before writing to them.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        engine: Who is going to write.
        at: Now; stored as `live_since` when the engine takes over.
        recompute: Take the tables over from another engine: they are emptied, snapshots of others stay.

    Returns:
        Whether the tables were taken over (the first engine of an empty database counts).

    Raises:
        EngineMismatch: Another engine owns them and no recompute was asked for.
    """
    name = f"{engine.params_hash[:12]} version {engine.engine_version}"
    with translated("claim the analysis tables", key=name), conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [_ENGINE_LOCK])
        owner = _owner(conn)
        if owner == (engine.params_hash, engine.engine_version):
            return False
        if owner is not None and not recompute:
            msg = (
                f"analysis belongs to engine {owner[0][:12]} version {owner[1]}, {name} may not write: "
                f"ask for a recompute (`tidemark backfill --recompute` empties and refills the tables), or write "
                f"experiments to research"
            )
            raise EngineMismatch(msg)
        if owner is not None:
            allow_any_decompression(conn)
            for table in COLUMNS:
                conn.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("analysis", table)))
        conn.execute(
            """
            INSERT INTO analysis.engines (params_hash, engine_version, params, live_since) VALUES (%s, %s, %s, %s)
            ON CONFLICT (params_hash, engine_version) DO UPDATE SET live_since = excluded.live_since
            """,
            [engine.params_hash, engine.engine_version, Jsonb(engine.params), at],
        )
        return True


def require_engine(conn: psycopg.Connection, engine: Engine) -> None:
    """Make sure that the analysis tables still belong to `engine`, until the caller's transaction ends.

    Raises:
        EngineMismatch: Another engine owns them, or none does.
    """
    with translated("look up the owner of the analysis tables"):
        conn.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_ENGINE_LOCK])
        owner = _owner(conn)
    if owner != (engine.params_hash, engine.engine_version):
        held = "nobody" if owner is None else f"engine {owner[0][:12]} version {owner[1]}"
        msg = f"analysis belongs to {held} now, {engine.params_hash[:12]} may not go on writing: nothing was changed"
        raise EngineMismatch(msg)


def _owner(conn: psycopg.Connection) -> tuple[str, int] | None:
    return conn.execute(
        "SELECT params_hash, engine_version FROM analysis.engines ORDER BY live_since DESC LIMIT 1"
    ).fetchone()


def rewind(conn: psycopg.Connection, key: SeriesKey, start: datetime) -> None:
    """Forget what was known of a series from the bar that opens at `start` on: its rows in every table, its snapshots.

    Zones that lived then go back to the state they had before that bar. What is left is what an engine that has read
    the bars before `start`, and no other, has written.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        key: The series.
        start: Open time of the first bar that will be computed again.
    """
    at = key.tf.known_at(start)
    with translated("rewind the analysis", key=key), conn.transaction():
        allow_any_decompression(conn)
        for table in _WINDOW_TABLES:
            forget_since(conn, table, key, at)
        forget_since(conn, "signals_raw", key, at)
        rewind_zones(conn, key, at)
        drop_from(conn, key, at)


def replace_window(
    conn: psycopg.Connection,
    table: WindowTable,
    key: SeriesKey,
    *,
    start: datetime,
    end: datetime,
    frame: pl.DataFrame,
) -> int:
    """Put `frame` in the place of every row of the bars that open in [start, end).

    Args:
        conn: A connection; where it is in no transaction, this is one.
        table: Which table.
        key: The series.
        start: First open time of the window.
        end: Exclusive end of the window.
        frame: The table's columns (venue, symbol and tf included), `ts` ascending; may be empty.

    Returns:
        How many rows were replaced.

    Raises:
        FrameRejected: Other columns, another series, a row outside the window, or NaN; nothing was changed.
    """
    ts_start, ts_end = key.tf.known_at(start), key.tf.known_at(end)
    check_frame(table, key, frame, ts_start=ts_start, ts_end=ts_end)
    with translated(f"replace {table}", key=key), conn.transaction():
        allow_any_decompression(conn)
        deleted = conn.execute(
            sql.SQL("DELETE {}").format(rows_known(table)), series_params(key, start=ts_start, end=ts_end)
        ).rowcount
        copy = copy_shortest if table in _WITH_PRICES else copy_binary
        copy(conn, ("analysis", table), frame)
        return deleted


def read_rows(
    conn: psycopg.Connection, table: AnalysisTable, key: SeriesKey, start: datetime, end: datetime
) -> pl.DataFrame:
    """The rows of the bars that open in [start, end), in the engine's own frame (`store.frames.SCHEMAS`) and order.

    Zones and inversions are those created at these bars, in their last state. Zone events of one bar come by age of
    their zones, signals of one bar by agent.
    """
    if table == "signals_raw":
        return read_signals(conn, key, start, end)
    order = sql.SQL(_ORDERS.get(table, "ts"))
    source = sql.SQL("SELECT * {} ORDER BY {}").format(rows_known(table), order)
    params = series_params(key, start=key.tf.known_at(start), end=key.tf.known_at(end))
    return read_frame(conn, table, key, source, params)


def count_rows(conn: psycopg.Connection, table: AnalysisTable, key: SeriesKey, start: datetime, end: datetime) -> int:
    """How many rows the bars that open in [start, end) made."""
    query = sql.SQL("SELECT count(*) {}").format(rows_known(table))
    params = series_params(key, start=key.tf.known_at(start), end=key.tf.known_at(end))
    with translated(f"count {table}", key=key):
        row = conn.execute(query, params).fetchone()
    return 0 if row is None else int(row[0])


def read_indicators(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> pl.DataFrame:
    """The indicators of the bars that open in [start, end): `ts` and a column each, null = not defined."""
    return read_rows(conn, "indicators", key, start, end).drop("venue", "symbol", "tf")


def read_regimes(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> pl.DataFrame:
    """The regimes of the bars that open in [start, end): `ts`, and `regime` and `vol_state` as text."""
    rows = read_rows(conn, "regimes", key, start, end)
    return rows.select("ts", pl.col("regime", "vol_state").cast(pl.String))

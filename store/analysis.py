"""Writing what the engine computed: a window is replaced as a whole, bit by bit, by one engine at a time.

`ts` of a row is the close boundary of its bar, so the window of bars [start, end) holds the rows with
start + tf <= ts < end + tf. Floats go in and come out with the same bits; a value not defined is null, never NaN.
The tables belong to one engine version and parameter set (`analysis.engines`): another one is refused until a recompute
is asked for, which empties them, so that no query ever mixes two engines.

    claim_engine(conn, engine, at=now)
    replace_window(conn, "indicators", key, start=start, end=end, frame=out.indicators)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import polars as pl
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from contracts import SeriesKey
from store.connections import translated
from store.copying import copy_binary, read_arrays
from store.errors import EngineMismatch, FrameRejected

AnalysisTable = Literal["indicators", "regimes"]

_KEY: Final = ("venue", "symbol", "tf", "ts")
COLUMNS: Final[dict[AnalysisTable, tuple[str, ...]]] = {
    "indicators": (
        *_KEY,
        *("ema20", "ema50", "ema200", "rsi14", "macd", "macd_signal", "macd_hist", "atr14", "adx14"),
        *("bb_mid", "bb_upper", "bb_lower", "vwap", "vwma20", "natr", "natr_rank", "bbw_rank"),
    ),
    "regimes": (*_KEY, "regime", "vol_state"),
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
                f"ask for a recompute, or write experiments to research"
            )
            raise EngineMismatch(msg)
        if owner is not None:
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


def replace_window(
    conn: psycopg.Connection,
    table: AnalysisTable,
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
    _check(table, key, frame, ts_start=ts_start, ts_end=ts_end)
    with translated(f"replace {table}", key=key), conn.transaction():
        deleted = conn.execute(
            sql.SQL("DELETE FROM {} WHERE venue = %s AND symbol = %s AND tf = %s AND ts >= %s AND ts < %s").format(
                sql.Identifier("analysis", table)
            ),
            [key.venue, key.symbol, str(key.tf), ts_start, ts_end],
        ).rowcount
        copy_binary(conn, ("analysis", table), frame)
        return deleted


def read_indicators(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> pl.DataFrame:
    """The indicators of the bars that open in [start, end): `ts` and one Float64 column each, null = not defined."""
    values = COLUMNS["indicators"][len(_KEY) :]
    columns = [
        sql.Identifier("ts"),
        *(sql.SQL("coalesce({}, 'NaN')").format(sql.Identifier(name)) for name in values),
    ]
    with translated("read indicators", key=key):
        arrays = read_arrays(conn, columns, _window("indicators"), _params(key, start, end))
    ts = pl.Series("ts", arrays[0]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.DataFrame(
        [ts, *(pl.Series(name, array).fill_nan(None) for name, array in zip(values, arrays[1:], strict=True))]
    )


def read_regimes(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> pl.DataFrame:
    """The regimes of the bars that open in [start, end): `ts`, `regime`, `vol_state`."""
    with translated("read regimes", key=key):
        rows = conn.execute(
            sql.SQL("SELECT ts, regime, vol_state FROM ({}) AS ordered").format(_window("regimes")),
            _params(key, start, end),
            prepare=False,
        ).fetchall()
    schema = {"ts": pl.Datetime("us", "UTC"), "regime": pl.String(), "vol_state": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _window(table: AnalysisTable) -> sql.Composed:
    return sql.SQL(
        "SELECT * FROM {} WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s "
        "AND ts >= %(start)s AND ts < %(end)s ORDER BY ts"
    ).format(sql.Identifier("analysis", table))


def _params(key: SeriesKey, start: datetime, end: datetime) -> dict[str, Any]:
    return {
        "venue": key.venue,
        "symbol": key.symbol,
        "tf": str(key.tf),
        "start": key.tf.known_at(start),
        "end": key.tf.known_at(end),
    }


def _check(table: AnalysisTable, key: SeriesKey, frame: pl.DataFrame, *, ts_start: datetime, ts_end: datetime) -> None:
    if sorted(frame.columns) != sorted(COLUMNS[table]):
        msg = f"{table} of {key} came with the columns {frame.columns}: the table has {list(COLUMNS[table])}"
        raise FrameRejected(msg)
    if frame.is_empty():
        return
    foreign = frame.filter(
        (pl.col("venue") != key.venue) | (pl.col("symbol") != key.symbol) | (pl.col("tf") != str(key.tf))
    )
    if not foreign.is_empty():
        msg = f"{table} of {key} came with {foreign.height} rows of another series, the first {foreign.row(0)[:4]}"
        raise FrameRejected(msg)
    outside = frame.filter((pl.col("ts") < ts_start) | (pl.col("ts") >= ts_end))
    if not outside.is_empty():
        msg = (
            f"{table} of {key}: {outside.height} rows lie outside the window, the first at "
            f"{outside['ts'][0].isoformat()}; ts of its bars is from {ts_start.isoformat()} to before "
            f"{ts_end.isoformat()}"
        )
        raise FrameRejected(msg)

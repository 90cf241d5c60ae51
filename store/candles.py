"""Writing candles: the best known version stands, every other version is filed, the same again changes nothing.

Rule of the merge: archive over rest over ws; of two arrivals of one source the later stands. What is compared are the
values, not source or time of arrival: a row keeps the source it first came from when a better one confirms it, and the
caller names the windows where the archive did (`held`). A replaced version moves to `candle_revisions` by a trigger, in
the transaction that replaces it, whoever does so: no concurrent writer makes one disappear. An arrival that loses is
filed there once.

Candles enter as the exchange's decimal text and reach NUMERIC without a float. Into an empty window they are copied
straight; else by a staging table and one statement. Holes and digests are other modules' business.

    counts = merge_candles(conn, key, candles, "archive", seen_at=now)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString

import polars as pl
import psycopg
from psycopg import sql

from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA, DECIMALS
from store.connections import translated
from store.copying import copy_text
from store.errors import FrameRejected

Source = Literal["archive", "rest", "ws"]

# Weakest first: a source replaces its equals and everything before it.
SOURCES: Final[tuple[Source, ...]] = ("ws", "rest", "archive")

_STAGE: Final = ("stage_candles",)
_VALUES: Final[LiteralString] = "open, high, low, close, volume, trades, taker_buy_vol, quote_vol"
_ARRIVED: Final[LiteralString] = "a.open, a.high, a.low, a.close, a.volume, a.trades, a.taker_buy_vol, a.quote_vol"
_STORED: Final[LiteralString] = "c.open, c.high, c.low, c.close, c.volume, c.trades, c.taker_buy_vol, c.quote_vol"

_CREATE_STAGE: Final = sql.SQL("""
CREATE TEMPORARY TABLE IF NOT EXISTS stage_candles (
    open_time timestamptz, open numeric, high numeric, low numeric, close numeric, volume numeric, trades integer,
    taker_buy_vol numeric, quote_vol numeric
) ON COMMIT DELETE ROWS
""")

# The planner knows nothing of a fresh staging table: one hash join beats a look-up a row by far. The second setting is
# TimescaleDB's (nobody's elsewhere): a month merged into a compressed chunk may touch more than its default allows.
_PLAN: Final = sql.SQL(
    "SELECT set_config('enable_nestloop', 'off', true), "
    "set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true)"
)

_SAME_CANDLE: Final[LiteralString] = (
    "c.venue = %(venue)s AND c.symbol = %(symbol)s AND c.tf = %(tf)s AND c.open_time = a.open_time "
    "AND c.open_time BETWEEN %(first)s AND %(last)s"
)

_REPLACE: Final[LiteralString] = f"""
    ON CONFLICT (venue, symbol, tf, open_time) DO UPDATE SET
        ({_VALUES}, source, ingested_at)
        = (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trades,
           excluded.taker_buy_vol, excluded.quote_vol, excluded.source, excluded.ingested_at)
    WHERE c.source = ANY(%(replaces)s) AND ({_STORED}) IS DISTINCT FROM
          (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trades,
           excluded.taker_buy_vol, excluded.quote_vol)
"""
_INSERT: Final[LiteralString] = f"""
    INSERT INTO market.candles AS c (venue, symbol, tf, open_time, close_time, {_VALUES}, source, ingested_at)
    SELECT %(venue)s, %(symbol)s, %(tf)s, a.open_time, a.open_time + %(to_close)s, {_ARRIVED}, %(source)s, %(seen_at)s
"""

# Equal rows are dropped by the join: ON CONFLICT would lock each of them. Absent rows are inserted plainly, which
# spares each an index look-up (a quarter of the time); where somebody else inserts one of them meanwhile, this
# statement fails as a whole and the next one is run.
_MERGE: Final = sql.SQL(f"""
WITH differing AS MATERIALIZED (
    SELECT a.*, c.open_time IS NULL AS absent FROM stage_candles a LEFT JOIN market.candles c ON {_SAME_CANDLE}
    WHERE c.open_time IS NULL
       OR (c.source = ANY(%(replaces)s) AND ({_STORED}) IS DISTINCT FROM ({_ARRIVED}))
), inserted AS (
    {_INSERT} FROM differing a WHERE absent
), revised AS (
    {_INSERT} FROM differing a WHERE NOT absent {_REPLACE} RETURNING 1
)
SELECT (SELECT count(*) FROM differing WHERE absent), (SELECT count(*) FROM revised)
""")  # noqa: S608 - composed of the constants above alone

# The same where another writer is at work: every row may turn out to be there, and the WHERE of the conflict repeats
# the rule for it. The order keeps two such merges from waiting for each other.
_MERGE_AGAINST_A_WRITER: Final = sql.SQL(f"""
WITH merged AS (
    {_INSERT}
    FROM stage_candles a LEFT JOIN market.candles c ON {_SAME_CANDLE}
    WHERE c.open_time IS NULL
       OR (c.source = ANY(%(replaces)s) AND ({_STORED}) IS DISTINCT FROM ({_ARRIVED}))
    ORDER BY a.open_time
    {_REPLACE}
    RETURNING c.xmax = 0 AS fresh
)
SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM merged
""")  # noqa: S608 - composed of the constants above alone

_FILE_LOST: Final = sql.SQL(f"""
WITH lost AS (
    SELECT a.* FROM stage_candles a JOIN market.candles c ON {_SAME_CANDLE}
    WHERE ({_STORED}) IS DISTINCT FROM ({_ARRIVED})
), filed AS (
    INSERT INTO market.candle_revisions
        (venue, symbol, tf, open_time, {_VALUES}, source, lost, seen_at, superseded_at)
    SELECT %(venue)s, %(symbol)s, %(tf)s, a.open_time, {_ARRIVED}, %(source)s, true, %(seen_at)s, NULL FROM lost a
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM lost
""")  # noqa: S608 - composed of the constants above alone

_ANY_STORED: Final = sql.SQL("""
SELECT EXISTS (
    SELECT FROM market.candles
    WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND open_time BETWEEN %(first)s AND %(last)s
)
""")


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """What became of the arriving candles; the four add up to their number.

    Attributes:
        inserted: New in the table.
        unchanged: The stored version has the same values already.
        revised: Took the place of a stored version, which was filed.
        lost: Differ from a stored version of a better source, which stays; filed once however often they come.
    """

    inserted: int = 0
    unchanged: int = 0
    revised: int = 0
    lost: int = 0

    def __add__(self, other: MergeCounts) -> MergeCounts:
        return MergeCounts(
            self.inserted + other.inserted,
            self.unchanged + other.unchanged,
            self.revised + other.revised,
            self.lost + other.lost,
        )


def merge_candles(
    conn: psycopg.Connection,
    key: SeriesKey,
    candles: pl.DataFrame,
    source: Source,
    *,
    seen_at: datetime,
    held: Sequence[tuple[datetime, datetime]] = (),
) -> MergeCounts:
    """Merge candles of one series into the table, all of them or none.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        key: The series.
        candles: A candle frame (`CANDLE_SCHEMA`), strictly ascending in open time, on the grid, without nulls.
        source: Where they come from.
        seen_at: When they arrived; stored as `ingested_at`.
        held: Half-open windows of open times whose candles the archive holds, whatever source their rows name: there
            nothing but the archive replaces a stored version.

    Raises:
        FrameRejected: The frame is none of that series, or a value is no decimal number; nothing was stored.
        DatabaseUnavailable: The database was lost; nothing was stored, the same call may be made again.
    """
    _check(key, candles)
    parts = [(candles, SOURCES[: SOURCES.index(source) + 1])]
    if held and source != SOURCES[-1]:
        opened = pl.col("open_time")
        inside = pl.any_horizontal([opened.is_between(start, end, closed="left") for start, end in held])
        parts = [(candles.filter(~inside), parts[0][1]), (candles.filter(inside), ())]
    with translated(f"store {candles.height} candles", key=key), conn.transaction():
        return sum(
            (_merge(conn, key, part, source, seen_at, over) for part, over in parts if not part.is_empty()),
            MergeCounts(),
        )


def _merge(
    conn: psycopg.Connection,
    key: SeriesKey,
    candles: pl.DataFrame,
    source: Source,
    seen_at: datetime,
    over: Sequence[Source],
) -> MergeCounts:
    """Merge candles that replace stored versions of the sources `over`."""
    params: dict[str, Any] = {
        "venue": key.venue,
        "symbol": key.symbol,
        "tf": str(key.tf),
        "first": candles["open_time"][0],
        "last": candles["open_time"][-1],
        "to_close": key.tf.close_time(seen_at) - seen_at,
        "source": source,
        "replaces": list(over),
        "seen_at": seen_at,
    }
    row = conn.execute(_ANY_STORED, params, prepare=False).fetchone()
    if row is not None and not row[0] and _copied_straight(conn, candles, params):
        return MergeCounts(inserted=candles.height)
    return _merged(conn, candles, params)


def _copied_straight(conn: psycopg.Connection, candles: pl.DataFrame, params: dict[str, Any]) -> bool:
    """Copy into the empty window; False where another writer filled a part of it meanwhile, and nothing was copied."""
    constants = {name: pl.lit(params[name]) for name in ("venue", "symbol", "tf", "source")}
    rows = candles.select(
        constants["venue"].alias("venue"),
        constants["symbol"].alias("symbol"),
        constants["tf"].alias("tf"),
        "open_time",
        (pl.col("open_time") + params["to_close"]).alias("close_time"),
        *CANDLE_SCHEMA.names()[1:],
        constants["source"].alias("source"),
        pl.lit(params["seen_at"], dtype=pl.Datetime("us", "UTC")).alias("ingested_at"),
    )
    try:
        with conn.transaction():  # a savepoint
            copy_text(conn, ("market", "candles"), rows)
    except psycopg.errors.UniqueViolation:
        return False
    return True


def _merged(conn: psycopg.Connection, candles: pl.DataFrame, params: dict[str, Any]) -> MergeCounts:
    conn.execute(_CREATE_STAGE)
    conn.execute(_PLAN)
    copy_text(conn, _STAGE, candles)
    # Never prepared: a generic plan would know neither the window nor the size of the stage.
    try:
        with conn.transaction():  # a savepoint
            row = conn.execute(_MERGE, params, prepare=False).fetchone()
    except psycopg.errors.UniqueViolation:
        row = conn.execute(_MERGE_AGAINST_A_WRITER, params, prepare=False).fetchone()
    inserted, revised = (0, 0) if row is None else (int(row[0]), int(row[1]))
    lost = 0
    if params["source"] != SOURCES[-1]:
        row = conn.execute(_FILE_LOST, params, prepare=False).fetchone()
        lost = 0 if row is None else int(row[0])
    conn.execute("TRUNCATE stage_candles")  # the caller's transaction may merge again
    return MergeCounts(inserted, candles.height - inserted - revised - lost, revised, lost)


def _check(key: SeriesKey, candles: pl.DataFrame) -> None:
    if candles.schema != CANDLE_SCHEMA:
        msg = f"candles of {key} came as {dict(candles.schema)}: a candle frame has {dict(CANDLE_SCHEMA)}"
        raise FrameRejected(msg)
    faults = candles.select(
        pl.any_horizontal(pl.all().is_null()).any().alias("null values"),
        (pl.col("open_time").diff() <= pl.duration(microseconds=0)).any().alias("open times that do not ascend"),
        (pl.col("open_time").dt.epoch("us") % key.tf.us != 0).any().alias(f"open times off the grid of {key.tf}"),
        pl.any_horizontal(pl.col(DECIMALS).str.contains("[^0-9.]")).any().alias("values that are no plain decimals"),
    ).row(0, named=True)
    found = [name for name, present in faults.items() if present]
    if found:
        msg = f"{candles.height} candles of {key} hold {', '.join(found)}: nothing was stored"
        raise FrameRejected(msg)

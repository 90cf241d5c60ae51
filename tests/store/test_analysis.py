import math
import struct
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from psycopg import sql

from contracts import SeriesKey
from store.analysis import (
    COLUMNS,
    Engine,
    WindowTable,
    claim_engine,
    count_rows,
    read_indicators,
    read_regimes,
    read_rows,
    replace_window,
    rewind,
)
from store.connections import connect
from store.errors import EngineMismatch, FrameRejected
from store.frames import SCHEMAS
from store.signals import replace_signals
from store.snapshots import Snapshot, latest, write_snapshot
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, breaks, liquidity, minutes, signals, swings, ts
from tests.store.lives import history
from tests.store.test_zones import assert_stored
from tests.store.test_zones import write as write_zones

REALS = [name for name in COLUMNS["indicators"][4:] if name != "trend"]
ENGINE = Engine("a" * 64, 1, {"trend_adx": 25})
OTHER = Engine("b" * 64, 1, {"trend_adx": 30})


def keyed(frame: pl.DataFrame, key: SeriesKey = KEY) -> pl.DataFrame:
    return frame.select(
        pl.lit(key.venue).alias("venue"), pl.lit(key.symbol).alias("symbol"), pl.lit(str(key.tf)).alias("tf"), pl.all()
    )


def indicators(slots: list[int], value: float | None = 1.5) -> pl.DataFrame:
    instants = pl.Series("ts", [ts(slot) for slot in slots], dtype=pl.Datetime("us", "UTC"))
    trend = pl.Series("trend", [slot % 3 - 1 for slot in slots], dtype=pl.Int16)
    reals = [pl.Series(name, [value] * len(slots), dtype=pl.Float64) for name in REALS]
    return keyed(pl.DataFrame([instants, trend, *reals]))


def regimes(slots: list[int]) -> pl.DataFrame:
    names = pl.Enum(["RANGE", "TREND", "SHOCK"])
    states = pl.Enum(["OK", "CHOP", "SHOCK"])
    rows = {
        "ts": pl.Series([ts(slot) for slot in slots], dtype=pl.Datetime("us", "UTC")),
        "regime": pl.Series([["SHOCK", "TREND", "RANGE", "RANGE"][slot % 4] for slot in slots], dtype=names),
        "vol_state": pl.Series([["SHOCK", "OK", "CHOP", "OK"][slot % 4] for slot in slots], dtype=states),
    }
    return keyed(pl.DataFrame(rows))


def write(conn: psycopg.Connection, frame: pl.DataFrame, *, start: int = 0, end: int = 100) -> int:
    return replace_window(conn, "indicators", KEY, start=T0 + minutes(start), end=T0 + minutes(end), frame=frame)


def read(conn: psycopg.Connection) -> pl.DataFrame:
    return read_indicators(conn, KEY, T0, T0 + minutes(100))


any_bits = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
number = any_bits.filter(lambda value: not math.isnan(value))


@given(columns=st.lists(st.lists(st.none() | number, min_size=4, max_size=4), min_size=len(REALS), max_size=len(REALS)))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_float_comes_back_with_the_same_bits_and_null_as_null(
    conn: psycopg.Connection, columns: list[list[float | None]]
) -> None:
    frame = indicators([0, 1, 2, 3]).with_columns(
        pl.Series(name, values, dtype=pl.Float64) for name, values in zip(REALS, columns, strict=True)
    )
    write(conn, frame)
    back = read(conn)
    assert back["ts"].to_list() == [ts(slot) for slot in range(4)]

    def bits(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
        return [tuple(None if v is None else struct.pack("<d", v) for v in row) for row in rows.select(REALS).rows()]

    assert bits(back) == bits(frame)


def test_a_window_is_replaced_and_its_neighbours_stay(conn: psycopg.Connection) -> None:
    assert write(conn, indicators([0, 1, 2, 3, 4])) == 0
    assert write(conn, indicators([1, 3], value=None), start=1, end=4) == 3
    back = read(conn)
    assert back["ts"].to_list() == [ts(0), ts(1), ts(3), ts(4)]
    assert back["ema20"].to_list() == [1.5, None, None, 1.5]


def test_rows_are_counted_by_the_bars_that_made_them(conn: psycopg.Connection) -> None:
    write(conn, indicators([0, 1, 2, 3, 4]))
    assert count_rows(conn, "indicators", KEY, T0 + minutes(1), T0 + minutes(4)) == 3
    assert count_rows(conn, "swings", KEY, T0, T0 + minutes(100)) == 0


def test_an_empty_frame_empties_the_window(conn: psycopg.Connection) -> None:
    write(conn, indicators([0, 1]))
    assert write(conn, indicators([]), start=1, end=2) == 1
    assert read(conn)["ts"].to_list() == [ts(0)]


def test_a_row_of_the_engine_that_knew_no_structure_has_no_trend(conn: psycopg.Connection) -> None:
    conn.execute(
        "INSERT INTO analysis.indicators (venue, symbol, tf, ts, ema20) VALUES (%s, %s, %s, %s, 1.5)",
        [KEY.venue, KEY.symbol, str(KEY.tf), ts(0)],
    )
    assert read(conn).select("ema20", "trend", "range_pos").rows() == [(1.5, None, None)]


def test_regimes_keep_their_labels(conn: psycopg.Connection) -> None:
    frame = regimes(list(range(8)))
    replace_window(conn, "regimes", KEY, start=T0, end=T0 + minutes(8), frame=frame)
    back = read_regimes(conn, KEY, T0, T0 + minutes(8))
    assert back.equals(frame.select("ts", pl.col("regime", "vol_state").cast(pl.String)))
    assert read_regimes(conn, KEY, T0 + minutes(8), T0 + minutes(9)).is_empty()


@pytest.mark.parametrize(
    ("table", "frame", "story"),
    [
        ("indicators", indicators([0]).drop("vwap"), "came with the columns"),
        ("regimes", indicators([0]), "came with the columns"),
        ("indicators", indicators([0]).with_columns(symbol=pl.lit("ETHUSDT")), "rows of another series"),
        ("indicators", indicators([-1]), "outside the window"),
        ("indicators", indicators([5]), "outside the window"),
        ("indicators", indicators([0, 1]).with_columns(natr=pl.Series([1.0, math.nan])), "'natr'.*NaN in row 1"),
        ("indicators", indicators([0]).with_columns(pl.col("natr").cast(pl.Int64)), "column 'natr' came as Int64"),
        ("swings", swings([0]).with_columns(price=pl.lit(math.inf)), "'price' of analysis.swings holds inf in row 0"),
        ("swings", swings([0]).with_columns(price=pl.lit(0.0)), "price_is_positive"),
        ("swings", swings([0, 1]).with_columns(label=pl.lit("LL")), "label_of_kind"),
        ("smc_events", breaks([0]).with_columns(ref_ts=pl.col("ts")), "after_its_reference"),
        ("indicators", indicators([0, 0]), "duplicate key"),
    ],
)
def test_a_frame_that_is_not_the_windows_is_rejected_and_the_old_rows_stay(
    conn: psycopg.Connection, table: WindowTable, frame: pl.DataFrame, story: str
) -> None:
    write(conn, indicators([2]), start=0, end=5)
    with pytest.raises(FrameRejected, match=story):
        replace_window(conn, table, KEY, start=T0, end=T0 + minutes(5), frame=frame)
    assert read(conn)["ts"].to_list() == [ts(2)]


FRAMES: dict[WindowTable, Callable[[list[int]], pl.DataFrame]] = {
    "indicators": indicators,
    "regimes": regimes,
    "swings": swings,
    "smc_events": breaks,
    "liquidity_events": liquidity,
}


def fill(conn: psycopg.Connection, slots: list[int], *, start: int = 0, end: int = 100) -> None:
    for table, frame in FRAMES.items():
        replace_window(conn, table, KEY, start=T0 + minutes(start), end=T0 + minutes(end), frame=frame(slots))


def test_every_table_gives_back_the_engines_own_frame(conn: psycopg.Connection) -> None:
    fill(conn, list(range(8)))
    for table, frame in FRAMES.items():
        back = read_rows(conn, table, KEY, T0, T0 + minutes(100))
        assert back.schema == SCHEMAS[table]
        assert_frame_equal(back, frame(list(range(8))).select(COLUMNS[table]), check_exact=True)
        assert read_rows(conn, table, KEY, T0 + minutes(8), T0 + minutes(9)).schema == SCHEMAS[table]


def test_a_window_of_every_table_is_replaced_and_its_neighbours_stay(conn: psycopg.Connection) -> None:
    fill(conn, list(range(8)))
    fill(conn, [3], start=2, end=5)
    for table in FRAMES:
        known = read_rows(conn, table, KEY, T0, T0 + minutes(100))["ts"].unique(maintain_order=True)
        assert known.to_list() == [ts(slot) for slot in (0, 1, 3, 5, 6, 7)], table


positive = st.floats(min_value=1e-30, max_value=1e30)


@given(prices=st.lists(positive | positive.map(lambda x: float(f"{x:.3g}")), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_price_is_stored_as_the_decimal_it_was_and_read_with_the_same_bits(
    conn: psycopg.Connection, prices: list[float]
) -> None:
    frame = swings([0, 1, 2, 3]).with_columns(price=pl.Series(prices))
    replace_window(conn, "swings", KEY, start=T0, end=T0 + minutes(4), frame=frame)
    stored = [row[0] for row in conn.execute("SELECT price FROM analysis.swings ORDER BY ts").fetchall()]
    assert stored == [Decimal(repr(price)) for price in prices]
    back = read_rows(conn, "swings", KEY, T0, T0 + minutes(4))["price"].to_list()
    assert [struct.pack("<d", price) for price in back] == [struct.pack("<d", price) for price in prices]


def test_rewound_from_any_bar_a_series_holds_a_prefix_of_its_rows(conn: psycopg.Connection) -> None:
    told = history([9] * 40)
    end = T0 + minutes(40)
    fill(conn, list(range(40)), end=40)
    replace_signals(conn, KEY, agents=["retest"], start=T0, end=end, frame=signals([5, 19, 20, 30]))
    replace_signals(conn, KEY, agents=["bot"], start=T0, end=end, frame=signals([19, 20], agent="bot"))
    write_zones(conn, told, 0, 40)
    for slot in (19, 20, 39):
        write_snapshot(conn, Snapshot(KEY, ts(slot), ENGINE.params_hash, 1, "c" * 64, b"state"))
    rewind(conn, KEY, T0 + minutes(20))
    for table in FRAMES:
        assert read_rows(conn, table, KEY, T0, end)["ts"].max() == ts(19), table
    assert_stored(conn, told, 20)
    assert read_rows(conn, "signals_raw", KEY, T0, end)["ts"].to_list() == [ts(5), ts(19), ts(19)]
    left = latest(conn, KEY, params_hash=ENGINE.params_hash, engine_version=1, until=end + minutes(9))
    assert left is not None
    assert left.ts == ts(19)


def test_ts_of_a_longer_timeframe_is_its_own_close_boundary(conn: psycopg.Connection) -> None:
    hourly = KEY.instrument.series("1h")
    row = indicators([0]).with_columns(tf=pl.lit("1h"), ts=pl.lit(T0 + timedelta(hours=1)))
    hour = {"start": T0, "end": T0 + timedelta(hours=1)}
    replace_window(conn, "indicators", hourly, frame=row, **hour)
    assert read_indicators(conn, hourly, T0, T0 + timedelta(hours=1)).height == 1
    assert read_indicators(conn, hourly, T0 + timedelta(hours=1), T0 + timedelta(hours=2)).is_empty()


def test_the_first_engine_takes_the_tables_and_keeps_them(conn: psycopg.Connection) -> None:
    assert claim_engine(conn, ENGINE, at=SEEN)
    assert not claim_engine(conn, ENGINE, at=SEEN + minutes(1))
    assert conn.execute("SELECT live_since, params FROM analysis.engines").fetchall() == [(SEEN, {"trend_adx": 25})]


@pytest.mark.parametrize("other", [OTHER, Engine(ENGINE.params_hash, 2, ENGINE.params)])
def test_another_engine_is_refused_until_a_recompute_is_asked_for(conn: psycopg.Connection, other: Engine) -> None:
    claim_engine(conn, ENGINE, at=SEEN)
    fill(conn, [0])
    replace_signals(conn, KEY, agents=["retest"], start=T0, end=T0 + minutes(1), frame=signals([0]))
    write_zones(conn, history([1] * 9), 0, 9)
    with pytest.raises(EngineMismatch, match="ask for a recompute"):
        claim_engine(conn, other, at=SEEN + minutes(1))
    assert read(conn).height == 1
    assert claim_engine(conn, other, at=SEEN + minutes(2), recompute=True)
    assert read(conn).is_empty()  # no query may mix two engines
    for table in COLUMNS:
        count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("analysis", table))
        assert conn.execute(count).fetchone() == (0,), table
    with pytest.raises(EngineMismatch):
        claim_engine(conn, ENGINE, at=SEEN + minutes(3))
    assert claim_engine(conn, ENGINE, at=SEEN + minutes(4), recompute=True)


def test_analysts_read_what_batch_wrote(database: Database, conn: psycopg.Connection) -> None:
    write(conn, indicators([0]))
    with connect(database.dsn("tidemark_analyst")) as analyst:
        assert read_indicators(analyst, KEY, T0, T0 + minutes(1)).height == 1


def test_a_zigzag_swing_may_be_confirmed_by_its_own_bar_and_never_before_it(conn: psycopg.Connection) -> None:
    own = swings([5]).with_columns(pl.col("ts").alias("pivot_ts"), left_n=pl.lit(None, pl.Int16))
    window = {"start": T0, "end": T0 + minutes(10)}
    replace_window(conn, "swings", KEY, frame=own, **window)
    assert read_rows(conn, "swings", KEY, **window)["pivot_ts"].to_list() == [ts(5)]
    early = own.with_columns(pl.col("pivot_ts") + minutes(1))
    with pytest.raises(FrameRejected, match="confirmed_not_before_pivot"):
        replace_window(conn, "swings", KEY, frame=early, **window)

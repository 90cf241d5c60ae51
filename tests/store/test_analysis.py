import math
import struct
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import SeriesKey
from store.analysis import (
    COLUMNS,
    AnalysisTable,
    Engine,
    claim_engine,
    read_indicators,
    read_regimes,
    replace_window,
)
from store.connections import connect
from store.errors import EngineMismatch, FrameRejected
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, minutes

VALUES = COLUMNS["indicators"][4:]
ENGINE = Engine("a" * 64, 1, {"trend_adx": 25})
OTHER = Engine("b" * 64, 1, {"trend_adx": 30})


def ts(slot: int) -> datetime:
    """The close boundary of the bar that opens `slot` minutes after T0."""
    return T0 + minutes(slot + 1)


def keyed(frame: pl.DataFrame, key: SeriesKey = KEY) -> pl.DataFrame:
    return frame.select(
        pl.lit(key.venue).alias("venue"), pl.lit(key.symbol).alias("symbol"), pl.lit(str(key.tf)).alias("tf"), pl.all()
    )


def indicators(slots: list[int], value: float | None = 1.5) -> pl.DataFrame:
    instants = pl.Series("ts", [ts(slot) for slot in slots], dtype=pl.Datetime("us", "UTC"))
    return keyed(pl.DataFrame([instants, *(pl.Series(n, [value] * len(slots), dtype=pl.Float64) for n in VALUES)]))


def regimes(slots: list[int]) -> pl.DataFrame:
    names = pl.Enum(["SHOCK", "TREND", "RANGE"])
    states = pl.Enum(["SHOCK", "CHOP", "OK"])
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


@given(columns=st.lists(st.lists(st.none() | number, min_size=4, max_size=4), min_size=17, max_size=17))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_float_comes_back_with_the_same_bits_and_null_as_null(
    conn: psycopg.Connection, columns: list[list[float | None]]
) -> None:
    frame = indicators([0, 1, 2, 3]).with_columns(
        pl.Series(name, values, dtype=pl.Float64) for name, values in zip(VALUES, columns, strict=True)
    )
    write(conn, frame)
    back = read(conn)
    assert back["ts"].to_list() == [ts(slot) for slot in range(4)]

    def bits(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
        return [tuple(None if v is None else struct.pack("<d", v) for v in row) for row in rows.select(VALUES).rows()]

    assert bits(back) == bits(frame)


def test_a_window_is_replaced_and_its_neighbours_stay(conn: psycopg.Connection) -> None:
    assert write(conn, indicators([0, 1, 2, 3, 4])) == 0
    assert write(conn, indicators([1, 3], value=None), start=1, end=4) == 3
    back = read(conn)
    assert back["ts"].to_list() == [ts(0), ts(1), ts(3), ts(4)]
    assert back["ema20"].to_list() == [1.5, None, None, 1.5]


def test_an_empty_frame_empties_the_window(conn: psycopg.Connection) -> None:
    write(conn, indicators([0, 1]))
    assert write(conn, indicators([]), start=1, end=2) == 1
    assert read(conn)["ts"].to_list() == [ts(0)]


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
        ("indicators", indicators([0]).with_columns(pl.col("natr").cast(pl.Int64)), "not stored in bulk"),
        ("indicators", indicators([0, 0]), "duplicate key"),
    ],
)
def test_a_frame_that_is_not_the_windows_is_rejected_and_the_old_rows_stay(
    conn: psycopg.Connection, table: AnalysisTable, frame: pl.DataFrame, story: str
) -> None:
    write(conn, indicators([2]), start=0, end=5)
    with pytest.raises(FrameRejected, match=story):
        replace_window(conn, table, KEY, start=T0, end=T0 + minutes(5), frame=frame)
    assert read(conn)["ts"].to_list() == [ts(2)]


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
    write(conn, indicators([0]))
    with pytest.raises(EngineMismatch, match="ask for a recompute"):
        claim_engine(conn, other, at=SEEN + minutes(1))
    assert read(conn).height == 1
    assert claim_engine(conn, other, at=SEEN + minutes(2), recompute=True)
    assert read(conn).is_empty()  # no query may mix two engines
    with pytest.raises(EngineMismatch):
        claim_engine(conn, ENGINE, at=SEEN + minutes(3))
    assert claim_engine(conn, ENGINE, at=SEEN + minutes(4), recompute=True)


def test_analysts_read_what_batch_wrote(database: Database, conn: psycopg.Connection) -> None:
    write(conn, indicators([0]))
    with connect(database.dsn("tidemark_analyst")) as analyst:
        assert read_indicators(analyst, KEY, T0, T0 + minutes(1)).height == 1

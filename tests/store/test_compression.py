"""Old candles live in compressed chunks on TimescaleDB: everything that works on fresh ones must work there."""

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from contracts.candles import digest
from store.analysis import read_rows, replace_window, rewind
from store.candle_asof import candles_as_of
from store.candle_reads import missing_ranges, read_candles, stored_digest
from store.candles import MergeCounts, merge_candles
from store.connections import connect
from store.signals import read_signals, replace_signals
from store.zones import zones_as_of
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, candles, minutes, signals, swings, ts
from tests.store.lives import history
from tests.store.test_analysis import indicators, regimes
from tests.store.test_zones import assert_stored, write


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    with connect(database.admin_dsn) as connection:
        if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
            pytest.skip("needs TimescaleDB")
        yield connection


def compress(admin: psycopg.Connection, table: str) -> None:
    chunks = admin.execute("SELECT compress_chunk(c) FROM show_chunks(%s::regclass) AS c", [table]).fetchall()
    assert chunks


def test_candles_in_a_compressed_chunk_are_read_revised_and_added_to(
    conn: psycopg.Connection, admin: psycopg.Connection
) -> None:
    merge_candles(conn, KEY, candles([0, 1, 2, 5]), "rest", seen_at=SEEN)
    compress(admin, "market.candles")
    before = read_candles(conn, KEY, T0, T0 + minutes(9))
    assert stored_digest(conn, KEY, T0, T0 + minutes(9)) == (4, digest(before))
    assert merge_candles(conn, KEY, candles([0, 1, 2, 5]), "archive", seen_at=SEEN) == MergeCounts(unchanged=4)
    arriving = candles([1, 3, 5], close={1: "7", 3: "100.5", 5: "100.5"})
    later = SEEN + minutes(1)
    assert merge_candles(conn, KEY, arriving, "archive", seen_at=later) == MergeCounts(
        inserted=1, unchanged=1, revised=1
    )
    assert merge_candles(conn, KEY, candles([1], close="8"), "ws", seen_at=later) == MergeCounts(lost=1)
    filed = conn.execute("SELECT open_time, close, lost FROM market.candle_revisions ORDER BY lost").fetchall()
    assert filed == [(T0 + minutes(1), Decimal("100.5"), False), (T0 + minutes(1), Decimal(8), True)]
    assert missing_ranges(conn, KEY, T0, T0 + minutes(6)) == [(T0 + minutes(4), T0 + minutes(5))]
    assert merge_candles(conn, KEY, candles([4]), "archive", seen_at=later) == MergeCounts(inserted=1)


def test_candles_in_compressed_chunks_are_read_as_they_stood(
    conn: psycopg.Connection, admin: psycopg.Connection
) -> None:
    later = SEEN + minutes(1)
    merge_candles(conn, KEY, candles([0, 1]), "rest", seen_at=SEEN)
    merge_candles(conn, KEY, candles([1, 2], close="7"), "archive", seen_at=later)
    compress(admin, "market.candles")
    compress(admin, "market.candle_revisions")
    window = (T0, T0 + minutes(9))
    assert candles_as_of(conn, KEY, *window, at=SEEN)["close"].to_list() == ["100.5", "100.5"]
    assert candles_as_of(conn, KEY, *window, at=later)["close"].to_list() == ["100.5", "7", "7"]


def test_a_window_of_compressed_analysis_is_replaced(conn: psycopg.Connection, admin: psycopg.Connection) -> None:
    window = {"start": T0, "end": T0 + minutes(4)}
    replace_window(conn, "indicators", KEY, frame=indicators([0, 1, 2, 3]), **window)
    replace_window(conn, "regimes", KEY, frame=regimes([0, 1, 2, 3]), **window)
    compress(admin, "analysis.indicators")
    assert replace_window(conn, "indicators", KEY, frame=indicators([0, 1], value=2.5), **window) == 4
    rows = conn.execute("SELECT ema20 FROM analysis.indicators ORDER BY ts").fetchall()
    assert rows == [(2.5,), (2.5,)]


def test_compressed_zones_are_rewound_and_written_again(conn: psycopg.Connection, admin: psycopg.Connection) -> None:
    before, after = history([1] * 40), history([1] * 15 + [2] * 25)
    write(conn, before, 0, 40)
    for table in ("zone_events", "zones", "inversions"):
        compress(admin, f"analysis.{table}")
    assert_stored(conn, before, 40)
    assert zones_as_of(conn, KEY, ts(14)).equals(before.frames(0, 15)["zones"])
    write(conn, after, 15, 30)
    assert_stored(conn, after, 30)
    write(conn, after, 30, 40)
    assert_stored(conn, after, 40)


def test_compressed_signals_and_swings_are_replaced_and_rewound(
    conn: psycopg.Connection, admin: psycopg.Connection
) -> None:
    window = {"start": T0, "end": T0 + minutes(9)}
    replace_signals(conn, KEY, agents=["retest"], frame=signals([1, 5]), **window)
    replace_signals(conn, KEY, agents=["bot"], frame=signals([1, 5], agent="bot"), **window)
    replace_window(conn, "swings", KEY, frame=swings([1, 5]), **window)
    compress(admin, "analysis.signals_raw")
    compress(admin, "analysis.swings")
    assert replace_signals(conn, KEY, agents=["bot"], frame=signals([5, 6], agent="bot"), **window) == 2
    assert replace_window(conn, "swings", KEY, frame=swings([1, 5, 6]), **window) == 2
    rewind(conn, KEY, T0 + minutes(6))
    assert read_signals(conn, KEY, **window).select("ts", "agent").rows() == [
        (ts(1), "retest"),
        (ts(5), "bot"),
        (ts(5), "retest"),
    ]
    assert read_rows(conn, "swings", KEY, **window)["ts"].to_list() == [ts(1), ts(5)]

from datetime import timedelta
from itertools import pairwise

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.candles import BAR_SCHEMA, CANDLE_SCHEMA, DECIMALS, bars, digest, trimmed
from store.candle_reads import (
    Extent,
    candle_pieces,
    extent,
    missing_ranges,
    read_bars,
    read_candles,
    source_counts,
    stored_digest,
)
from store.candles import merge_candles
from store.connections import connect
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, candles, minutes

ANY_FIXTURE = [HealthCheck.function_scoped_fixture]

decimal_text = st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,12})?", fullmatch=True)


def test_what_is_read_is_what_the_exchange_said_without_trailing_zeros(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([0, 1, 2], close="30000.10"), "archive", seen_at=SEEN)
    read = read_candles(conn, KEY, T0, T0 + minutes(2))
    assert read.schema == CANDLE_SCHEMA
    assert read.row(0) == (T0, "100.1", "200", "50", "30000.1", "12.5", 7, "3.25", "1250")
    assert read["open_time"].to_list() == [T0, T0 + minutes(1)]


def test_a_window_without_candles_reads_as_empty_frames(conn: psycopg.Connection) -> None:
    assert read_candles(conn, KEY, T0, T0 + minutes(9)).equals(CANDLE_SCHEMA.to_frame())
    assert read_bars(conn, KEY, T0, T0 + minutes(9)).schema == BAR_SCHEMA
    assert read_bars(conn, KEY, T0, T0 + minutes(9)).is_empty()
    assert extent(conn, KEY) is None
    # sha256 of no bytes at all
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert stored_digest(conn, KEY, T0, T0 + minutes(9)) == (0, empty)


def test_extent_and_sources_describe_what_is_stored(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([3, 4]), "archive", seen_at=SEEN)
    merge_candles(conn, KEY, candles([7]), "ws", seen_at=SEEN)
    assert extent(conn, KEY) == Extent(T0 + minutes(3), T0 + minutes(7))
    assert source_counts(conn, KEY, T0, T0 + minutes(60)) == {"archive": 2, "ws": 1}
    assert source_counts(conn, KEY, T0, T0 + minutes(4)) == {"archive": 1}


@given(values=st.lists(st.tuples(*[decimal_text] * len(DECIMALS)), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=ANY_FIXTURE)
def test_digest_text_and_floats_agree_with_the_contract_for_any_decimals(
    database: Database, conn: psycopg.Connection, values: list[tuple[str, ...]]
) -> None:
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.candles")
    frame = candles(list(range(len(values)))).with_columns(
        pl.Series(name, [row[index].lstrip("0") or "0" for row in values]).str.replace(r"^\.", "0.")
        for index, name in enumerate(DECIMALS)
    )
    end = T0 + minutes(len(values))
    merge_candles(conn, KEY, frame, "archive", seen_at=SEEN)
    assert read_candles(conn, KEY, T0, end).equals(frame.with_columns(trimmed(name) for name in DECIMALS))
    assert stored_digest(conn, KEY, T0, end) == (frame.height, digest(frame))
    assert read_bars(conn, KEY, T0, end).equals(bars(frame))


@given(slots=st.sets(st.integers(0, 30)), start=st.integers(-3, 30), length=st.integers(0, 40), piece=st.integers(1, 9))
@settings(max_examples=30, deadline=None, suppress_health_check=ANY_FIXTURE)
def test_pieces_are_short_never_empty_and_put_together_the_window(
    database: Database, conn: psycopg.Connection, slots: set[int], start: int, length: int, piece: int
) -> None:
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.candles")
    merge_candles(conn, KEY, candles(sorted(slots)), "rest", seen_at=SEEN)
    window = T0 + minutes(start + 0.5), T0 + minutes(start + length)
    pieces = list(candle_pieces(conn, KEY, *window, slots=piece))
    assert all(0 < frame.height <= piece for frame in pieces)
    assert pl.concat([CANDLE_SCHEMA.to_frame(), *pieces]).equals(read_candles(conn, KEY, *window))


@given(slots=st.sets(st.integers(0, 30)), start=st.integers(0, 30), length=st.integers(0, 12))
@settings(max_examples=40, deadline=None, suppress_health_check=ANY_FIXTURE)
def test_missing_ranges_are_exactly_the_slots_without_a_candle(
    database: Database, conn: psycopg.Connection, slots: set[int], start: int, length: int
) -> None:
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.candles")
    merge_candles(conn, KEY, candles(sorted(slots)), "rest", seen_at=SEEN)
    found = missing_ranges(conn, KEY, T0 + minutes(start), T0 + minutes(start + length))
    covered = [slot for slot in range(60) for a, b in found if a <= T0 + minutes(slot) < b]
    assert covered == [slot for slot in range(start, start + length) if slot not in slots]
    assert all(one[1] < other[0] for one, other in pairwise(found))  # maximal and in order


def test_missing_ranges_move_their_edges_up_to_the_grid(conn: psycopg.Connection) -> None:
    half = timedelta(seconds=30)
    assert missing_ranges(conn, KEY, T0 + half, T0 + minutes(2) + half) == [(T0 + minutes(1), T0 + minutes(3))]
    assert missing_ranges(conn, KEY, T0 + half, T0 + half + timedelta(seconds=20)) == []


def test_a_read_inside_a_transaction_sees_what_it_wrote(conn: psycopg.Connection) -> None:
    with conn.transaction(force_rollback=True):
        merge_candles(conn, KEY, candles([0]), "rest", seen_at=SEEN)
        assert read_bars(conn, KEY, T0, T0 + minutes(1))["close"].to_list() == [pytest.approx(100.5, abs=0)]
    assert extent(conn, KEY) is None

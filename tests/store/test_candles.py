import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import SeriesKey
from contracts.errors import Retryable
from store.candle_reads import read_candles
from store.candles import SOURCES, MergeCounts, Source, merge_candles
from store.connections import connect
from store.errors import DatabaseUnavailable, FrameRejected
from store.roles import BATCH, STREAM
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, candles, minutes

LATER = SEEN + minutes(5)


def rows(conn: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    return conn.execute(query.encode()).fetchall()


def standing(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return rows(conn, "SELECT open_time, close, source, ingested_at FROM market.candles ORDER BY open_time")


def filed(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return rows(
        conn,
        "SELECT open_time, close, source, lost, seen_at, superseded_at FROM market.candle_revisions "
        "ORDER BY open_time, seen_at, close",
    )


def test_candles_enter_an_empty_window_and_keep_every_digit(conn: psycopg.Connection) -> None:
    exact = candles([0, 1], close="0.12345678901234567891")
    assert merge_candles(conn, KEY, exact, "archive", seen_at=SEEN) == MergeCounts(inserted=2)
    stored = rows(conn, "SELECT open_time, close_time, close, open::text, trades, source FROM market.candles LIMIT 1")
    assert stored == [
        (T0, T0 + timedelta(seconds=59.999), Decimal("0.12345678901234567891"), "100.10", 7, "archive"),
    ]


def test_an_empty_frame_stores_nothing(conn: psycopg.Connection) -> None:
    assert merge_candles(conn, KEY, candles([]), "rest", seen_at=SEEN) == MergeCounts()


def test_the_same_candles_again_touch_no_row(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([0, 1, 2]), "rest", seen_at=SEEN)
    before = rows(conn, "SELECT ctid::text, xmin::text, xmax::text FROM market.candles ORDER BY open_time")
    for source in get_args(Source):
        counts = merge_candles(conn, KEY, candles([0, 1, 2], close="100.50"), source, seen_at=LATER)
        assert counts == MergeCounts(unchanged=3)
    assert rows(conn, "SELECT ctid::text, xmin::text, xmax::text FROM market.candles ORDER BY open_time") == before
    assert {xmax for _, _, xmax in before} == {"0"}
    assert filed(conn) == []


@pytest.mark.parametrize(
    ("stored", "arriving", "stands"),
    [
        ("ws", "ws", "arriving"),
        ("ws", "rest", "arriving"),
        ("ws", "archive", "arriving"),
        ("rest", "ws", "stored"),
        ("rest", "rest", "arriving"),
        ("rest", "archive", "arriving"),
        ("archive", "ws", "stored"),
        ("archive", "rest", "stored"),
        ("archive", "archive", "arriving"),
    ],
)
def test_archive_stands_over_rest_over_ws_and_the_other_version_is_filed(
    conn: psycopg.Connection, stored: Source, arriving: Source, stands: str
) -> None:
    merge_candles(conn, KEY, candles([0], close="101"), stored, seen_at=SEEN)
    counts = merge_candles(conn, KEY, candles([0], close="102"), arriving, seen_at=LATER)
    if stands == "arriving":
        assert counts == MergeCounts(revised=1)
        assert standing(conn) == [(T0, Decimal(102), arriving, LATER)]
        assert filed(conn) == [(T0, Decimal(101), stored, False, SEEN, LATER)]
    else:
        assert counts == MergeCounts(lost=1)
        assert standing(conn) == [(T0, Decimal(101), stored, SEEN)]
        assert filed(conn) == [(T0, Decimal(102), arriving, True, LATER, None)]


@pytest.mark.parametrize("arriving", ["ws", "rest"])
def test_where_the_archive_holds_the_candle_nothing_else_replaces_it_whatever_source_its_row_names(
    conn: psycopg.Connection, arriving: Source
) -> None:
    merge_candles(conn, KEY, candles([0, 1], close="101"), arriving, seen_at=SEEN)
    held = [(T0, T0 + minutes(1)), (T0 + minutes(2), T0 + minutes(3))]
    arrived = candles([0, 1, 2], close="102")
    counts = merge_candles(conn, KEY, arrived, arriving, seen_at=LATER, held=held)
    assert counts == MergeCounts(inserted=1, revised=1, lost=1)
    assert standing(conn) == [
        (T0, Decimal(101), arriving, SEEN),
        (T0 + minutes(1), Decimal(102), arriving, LATER),
        (T0 + minutes(2), Decimal(102), arriving, LATER),
    ]
    assert filed(conn) == [
        (T0, Decimal(102), arriving, True, LATER, None),
        (T0 + minutes(1), Decimal(101), arriving, False, SEEN, LATER),
    ]


def test_the_archive_itself_replaces_what_it_holds(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([0], close="101"), "archive", seen_at=SEEN)
    held = [(T0, T0 + minutes(1))]
    merge_candles(conn, KEY, candles([0], close="102"), "archive", seen_at=LATER, held=held)
    assert standing(conn) == [(T0, Decimal(102), "archive", LATER)]


def test_a_losing_arrival_is_filed_once_however_often_it_comes(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([0]), "archive", seen_at=SEEN)
    for again in range(3):
        counts = merge_candles(conn, KEY, candles([0], close="99"), "rest", seen_at=LATER + minutes(again))
        assert counts == MergeCounts(lost=1)
    assert filed(conn) == [(T0, Decimal(99), "rest", True, LATER, None)]


def test_a_candle_that_changes_back_and_forth_keeps_every_step(conn: psycopg.Connection) -> None:
    for step, close in enumerate(["1", "2", "1", "2"]):
        merge_candles(conn, KEY, candles([0], close=close), "rest", seen_at=SEEN + minutes(step))
    assert [(close, seen) for _, close, _, _, seen, _ in filed(conn)] == [
        (Decimal(1), SEEN),
        (Decimal(2), SEEN + minutes(1)),
        (Decimal(1), SEEN + minutes(2)),
    ]


def test_a_merge_into_a_window_with_other_rows_counts_each_kind(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([1, 2]), "rest", seen_at=SEEN)
    merge_candles(conn, KEY, candles([3]), "archive", seen_at=SEEN)
    arriving = candles([0, 1, 2, 3], close={0: "1", 1: "100.5", 2: "2", 3: "3"})
    counts = merge_candles(conn, KEY, arriving, "rest", seen_at=LATER)
    assert counts == MergeCounts(inserted=1, unchanged=1, revised=1, lost=1)


def test_other_series_in_the_same_window_are_left_alone(conn: psycopg.Connection) -> None:
    others = [SeriesKey("binance_spot", "BTCUSDT", "1m"), SeriesKey("binance_usdm", "ETHUSDT", "1m")]
    for other in others:
        merge_candles(conn, other, candles([0, 1], close="60"), "ws", seen_at=SEEN)
    assert merge_candles(conn, KEY, candles([0, 1]), "archive", seen_at=SEEN) == MergeCounts(inserted=2)
    for other in others:
        assert read_candles(conn, other, T0, T0 + minutes(5))["close"].to_list() == ["60", "60"]


@pytest.mark.parametrize(
    ("frame", "story"),
    [
        (candles([0]).with_columns(pl.col("close").cast(pl.Float64)), "a candle frame has"),
        (candles([0]).with_columns(close=pl.lit(None, dtype=pl.String)), "null values"),
        (candles([1, 0]), "do not ascend"),
        (candles([0, 0]), "do not ascend"),
        (candles([0]).with_columns(pl.col("open_time") + timedelta(seconds=1)), "off the grid of 1m"),
        (candles([0], close="NaN"), "no plain decimals"),
        (candles([0], close="1\t2"), "no plain decimals"),
        (candles([0], close="-1"), "no plain decimals"),
        (candles([0], close="1.2.3"), "invalid input syntax"),
        (candles([0], close=""), "invalid input syntax"),
    ],
)
def test_a_frame_that_is_none_of_the_series_is_rejected_whole(
    conn: psycopg.Connection, frame: pl.DataFrame, story: str
) -> None:
    with pytest.raises(FrameRejected, match=story):
        merge_candles(conn, KEY, frame, "archive", seen_at=SEEN)
    assert standing(conn) == []


def test_two_merges_in_one_transaction_stand_or_fall_together(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([1]), "rest", seen_at=SEEN)

    def three_of_which_the_last_is_bad() -> None:
        with conn.transaction():
            merge_candles(conn, KEY, candles([0, 1], close="7"), "rest", seen_at=SEEN)
            merge_candles(conn, KEY, candles([0, 1], close="8"), "rest", seen_at=LATER)
            merge_candles(conn, KEY, candles([2], close="x"), "rest", seen_at=LATER)

    with pytest.raises(FrameRejected):
        three_of_which_the_last_is_bad()
    assert standing(conn) == [(T0 + minutes(1), Decimal("100.5"), "rest", SEEN)]
    assert filed(conn) == []


def test_a_concurrent_writer_of_the_same_candles_loses_no_version(database: Database) -> None:
    """The stream inserts a candle that the archive load cannot see yet: the load waits for it and files it."""
    with connect(database.dsn(STREAM)) as stream, connect(database.dsn(BATCH)) as batch:
        counts: list[MergeCounts] = []
        with stream.transaction():
            merge_candles(stream, KEY, candles([1], close="111"), "ws", seen_at=SEEN)
            load = threading.Thread(
                target=lambda: counts.append(merge_candles(batch, KEY, candles([0, 1, 2]), "archive", seen_at=LATER))
            )
            load.start()
            wait_until_blocked(database, 1)
        load.join(timeout=20)
        assert counts == [MergeCounts(inserted=2, revised=1)]
        assert filed(batch) == [(T0 + minutes(1), Decimal(111), "ws", False, SEEN, LATER)]


def test_a_writer_that_slips_in_between_comparing_and_inserting_is_merged_with(database: Database) -> None:
    with connect(database.dsn(STREAM)) as stream, connect(database.dsn(BATCH)) as batch:
        merge_candles(batch, KEY, candles([0, 5], close="1"), "rest", seen_at=SEEN)  # no straight copy any more
        counts: list[MergeCounts] = []
        arriving = candles([0, 1, 2, 3, 5], close={0: "1", 1: "2", 2: "2", 3: "2", 5: "2"})
        with stream.transaction():
            merge_candles(stream, KEY, candles([1, 3], close="2"), "ws", seen_at=SEEN)
            merge_candles(stream, KEY, candles([2], close="9"), "ws", seen_at=SEEN)
            load = threading.Thread(
                target=lambda: counts.append(merge_candles(batch, KEY, arriving, "rest", seen_at=LATER))
            )
            load.start()
            wait_until_blocked(database, 1)
        load.join(timeout=20)
        assert counts == [MergeCounts(inserted=0, unchanged=3, revised=2)]
        assert filed(batch) == [
            (T0 + minutes(2), Decimal(9), "ws", False, SEEN, LATER),
            (T0 + minutes(5), Decimal(1), "rest", False, SEEN, LATER),
        ]


def test_many_writers_of_one_candle_leave_every_version_once(database: Database) -> None:
    versions = [str(100 + n) for n in range(6)]

    def write(close: str) -> None:
        with connect(database.dsn(BATCH)) as own:
            merge_candles(own, KEY, candles([0, 1], close=close), "rest", seen_at=SEEN)

    writers = [threading.Thread(target=write, args=[close]) for close in versions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=20)
    with connect(database.dsn(BATCH)) as conn:
        for slot in (T0, T0 + minutes(1)):
            kept = [row[1] for row in [*standing(conn), *filed(conn)] if row[0] == slot]
            assert sorted(kept) == [Decimal(close) for close in versions]


def test_a_database_lost_in_mid_load_leaves_nothing_and_the_rerun_completes(database: Database) -> None:
    with connect(database.dsn(STREAM)) as stream, connect(database.admin_dsn) as admin:
        merge_candles(stream, KEY, candles([5]), "ws", seen_at=SEEN)
        failures: list[BaseException] = []

        def load() -> None:
            with connect(database.dsn(BATCH)) as batch:
                try:
                    merge_candles(batch, KEY, candles(list(range(9)), close="1"), "archive", seen_at=LATER)
                except DatabaseUnavailable as error:
                    failures.append(error)

        with stream.transaction():
            merge_candles(stream, KEY, candles([8]), "ws", seen_at=SEEN)
            loader = threading.Thread(target=load)
            loader.start()
            blocked = wait_until_blocked(database, 1)
            admin.execute("SELECT pg_terminate_backend(%s)", [blocked[0]])
            loader.join(timeout=20)
        assert [type(error) for error in failures] == [DatabaseUnavailable]
        assert isinstance(failures[0], Retryable)
        assert str(KEY) in str(failures[0])
        assert [row[0] for row in standing(stream)] == [T0 + minutes(5), T0 + minutes(8)]
        again = merge_candles(stream, KEY, candles(list(range(9)), close="1"), "archive", seen_at=LATER)
        assert again == MergeCounts(inserted=7, revised=2)


def wait_until_blocked(database: Database, count: int) -> list[int]:
    """Process numbers of the sessions that wait for a lock, as soon as there are so many."""
    with connect(database.admin_dsn) as watcher:
        for _ in range(400):
            found = watcher.execute(
                "SELECT pid, pg_sleep(0.01) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock'"
            ).fetchall()
            if len(found) >= count:
                return [int(row[0]) for row in found]
            watcher.execute("SELECT pg_sleep(0.02)")
    pytest.fail(f"{count} sessions were expected to wait for a lock")


arrivals = st.lists(
    st.tuples(
        st.sampled_from(SOURCES),
        st.dictionaries(st.integers(0, 5), st.sampled_from(["100", "100.0", "101", "102.50"]), min_size=1),
    ),
    max_size=5,
)


@given(arrivals=arrivals)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_merges_obeys_the_rule(
    database: Database, conn: psycopg.Connection, arrivals: list[tuple[Source, dict[int, str]]]
) -> None:
    """The rule of schema.md, written down once more as a dictionary, agrees with the database on everything."""
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.candles, market.candle_revisions")
    stands: dict[int, tuple[Decimal, Source]] = {}
    replaced: list[tuple[int, Decimal, Source]] = []
    lost: set[tuple[int, Decimal, Source]] = set()
    for number, (source, closes) in enumerate(arrivals):
        expected = {"inserted": 0, "unchanged": 0, "revised": 0, "lost": 0}
        for slot in sorted(closes):
            value = Decimal(closes[slot])
            if slot not in stands:
                kind = "inserted"
            elif stands[slot][0] == value:
                kind = "unchanged"
            elif SOURCES.index(source) >= SOURCES.index(stands[slot][1]):
                kind = "revised"
                replaced.append((slot, *stands[slot]))
            else:
                kind = "lost"
                lost.add((slot, value, source))
            expected[kind] += 1
            if kind in {"inserted", "revised"}:
                stands[slot] = (value, source)
        frame = candles(sorted(closes), close=closes)
        assert merge_candles(conn, KEY, frame, source, seen_at=SEEN + minutes(number)) == MergeCounts(**expected)
    assert [(row[0], row[1], row[2]) for row in standing(conn)] == [
        (T0 + minutes(slot), *stands[slot]) for slot in sorted(stands)
    ]
    history = filed(conn)
    assert sorted((row[0], row[1], row[2]) for row in history if not row[3]) == sorted(
        (T0 + minutes(slot), value, source) for slot, value, source in replaced
    )
    assert sorted((row[0], row[1], row[2]) for row in history if row[3]) == sorted(
        (T0 + minutes(slot), value, source) for slot, value, source in lost
    )

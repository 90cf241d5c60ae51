from datetime import timedelta

import polars as pl
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA
from store.candle_asof import AS_OF_SCHEMA, candles_as_of
from store.candle_reads import read_candles
from store.candles import SOURCES, Source, merge_candles
from store.connections import connect
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, candles, minutes

WINDOW = (T0, T0 + minutes(60))


def closes(frame: pl.DataFrame) -> dict[int, tuple[str, str]]:
    """Slot → close and source; one candle a slot."""
    assert frame["open_time"].is_unique().all()
    return {
        int((opened - T0) / minutes(1)): (close, source)
        for opened, close, source in frame.select("open_time", "close", "source").iter_rows()
    }


def test_a_candle_is_what_it_was_between_its_arrivals(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([0], close="101.50"), "ws", seen_at=SEEN)
    merge_candles(conn, KEY, candles([0], close="102"), "rest", seen_at=SEEN + minutes(1))
    merge_candles(conn, KEY, candles([0], close="103"), "archive", seen_at=SEEN + minutes(2))
    asked = [SEEN + minutes(step) for step in (-0.5, 0, 0.5, 1, 1.5, 2, 99)]
    assert [closes(candles_as_of(conn, KEY, *WINDOW, at=at)) for at in asked] == [
        {},
        {0: ("101.5", "ws")},
        {0: ("101.5", "ws")},
        {0: ("102", "rest")},
        {0: ("102", "rest")},
        {0: ("103", "archive")},
        {0: ("103", "archive")},
    ]


def test_the_frame_has_every_value_of_the_version_that_stood_and_when_it_came_in(conn: psycopg.Connection) -> None:
    at = SEEN + timedelta(microseconds=123_457)
    merge_candles(conn, KEY, candles([7]), "rest", seen_at=at)
    merge_candles(conn, KEY, candles([7], close="9"), "rest", seen_at=at + minutes(1))
    frame = candles_as_of(conn, KEY, *WINDOW, at=at)
    assert frame.schema == AS_OF_SCHEMA
    assert frame.rows() == [
        (T0 + minutes(7), "100.1", "200", "50", "100.5", "12.5", 7, "3.25", "1250", "rest", at),
    ]
    assert candles_as_of(conn, KEY, *WINDOW, at=at - timedelta(microseconds=1)).equals(AS_OF_SCHEMA.to_frame())


def test_an_arrival_that_lost_never_stood(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([0], close="1"), "archive", seen_at=SEEN)
    merge_candles(conn, KEY, candles([0], close="2"), "rest", seen_at=SEEN + minutes(1))
    assert closes(candles_as_of(conn, KEY, *WINDOW, at=SEEN + minutes(2))) == {0: ("1", "archive")}


def test_holes_and_the_edges_of_the_window_are_those_of_that_instant(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([0, 1, 5, 8]), "rest", seen_at=SEEN)
    merge_candles(conn, KEY, candles([0, 2, 5, 6], close="7"), "archive", seen_at=SEEN + minutes(1))
    window = (T0 + minutes(1), T0 + minutes(6))
    before, after = ("100.5", "rest"), ("7", "archive")
    assert closes(candles_as_of(conn, KEY, *window, at=SEEN)) == {1: before, 5: before}
    assert closes(candles_as_of(conn, KEY, *window, at=SEEN + minutes(1))) == {1: before, 2: after, 5: after}


def test_other_series_do_not_mix_in(conn: psycopg.Connection) -> None:
    for other in (SeriesKey("binance_spot", "BTCUSDT", "1m"), SeriesKey("binance_usdm", "ETHUSDT", "1m")):
        merge_candles(conn, other, candles([0], close="1"), "rest", seen_at=SEEN)
        merge_candles(conn, other, candles([0], close="2"), "rest", seen_at=SEEN + minutes(1))
    assert candles_as_of(conn, KEY, *WINDOW, at=SEEN).is_empty()


def test_of_two_versions_that_claim_a_slot_at_once_the_one_that_came_in_last_is_taken(conn: psycopg.Connection) -> None:
    """A writer whose clock read 2 is overtaken by one whose clock read 1: version 3 claims [1, …), version 1 [0, 2)."""
    for close, clock in (("1", 0), ("2", 2), ("3", 1)):
        merge_candles(conn, KEY, candles([0], close=close), "rest", seen_at=SEEN + minutes(clock))
    assert closes(candles_as_of(conn, KEY, *WINDOW, at=SEEN + minutes(0.5))) == {0: ("1", "rest")}
    assert closes(candles_as_of(conn, KEY, *WINDOW, at=SEEN + minutes(1.5))) == {0: ("3", "rest")}


merges = st.lists(
    st.tuples(
        st.integers(0, 2),  # minutes since the merge before; 0 = at the same instant
        st.sampled_from(SOURCES),
        st.dictionaries(st.integers(0, 6), st.sampled_from(["100", "100.0", "101", "102.50"]), min_size=1),
    ),
    min_size=1,
    max_size=6,
)


@given(merges=merges)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_of_each_instant_the_answer_is_what_was_stored_then(
    database: Database, conn: psycopg.Connection, merges: list[tuple[int, Source, dict[int, str]]]
) -> None:
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.candles, market.candle_revisions")
    stored = {SEEN - minutes(1): CANDLE_SCHEMA.to_frame()}
    at = SEEN
    for pause, source, values in merges:
        at += minutes(pause)
        merge_candles(conn, KEY, candles(sorted(values), close=values), source, seen_at=at)
        stored[at] = read_candles(conn, KEY, *WINDOW)
    for instant, expected in stored.items():
        for later in (instant, instant + minutes(0.5)):  # nothing happens between whole minutes
            found = candles_as_of(conn, KEY, *WINDOW, at=later)
            assert found.select(CANDLE_SCHEMA.names()).equals(expected), later

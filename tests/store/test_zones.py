import itertools
import math
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from contracts import SeriesKey
from store.analysis import AnalysisTable, read_rows, rewind
from store.connections import connect
from store.errors import FrameRejected
from store.zones import inversions_as_of, replace_zones, rewind_zones, zones_as_of
from tests.databases import Database
from tests.store.frames import KEY, T0, minutes, rows_of, ts
from tests.store.lives import TABLES, History, history

BARS = 40
NOTHING = History(())

seeds = st.integers(0, 10_000)
slot = st.integers(0, BARS)
databases_stay = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(conn: psycopg.Connection, told: History, start: int, end: int, *, key: SeriesKey = KEY) -> int:
    """Write what a history says of the bars of slots [start, end)."""
    frames = told.frames(start, end, key=key)
    return replace_zones(
        conn,
        key,
        start=T0 + minutes(start),
        end=T0 + minutes(end),
        zone_events=frames["zone_events"],
        zones=frames["zones"],
        inversions=frames["inversions"],
    )


def stored(conn: psycopg.Connection, *, key: SeriesKey = KEY) -> dict[AnalysisTable, pl.DataFrame]:
    return {table: read_rows(conn, table, key, T0, T0 + minutes(BARS)) for table in TABLES}


def assert_stored(conn: psycopg.Connection, told: History, until: int, *, key: SeriesKey = KEY) -> None:
    """The tables hold exactly what one run over the bars before slot `until` writes, bit by bit."""
    expected = told.frames(0, until, key=key)
    for table, frame in stored(conn, key=key).items():
        assert_frame_equal(frame, expected[table], check_exact=True)


def test_the_histories_of_these_tests_hold_every_event_and_status() -> None:
    told = history([1] * BARS).frames(0, BARS)
    assert set(told["zone_events"]["event"]) == {"CREATED", "TOUCHED", "MITIGATED", "EXPIRED", "EVICTED"}
    assert set(told["zone_events"]["kind"]) == {"OB", "FVG", "BREAKER", "IFVG"}
    for table in ("zones", "inversions"):
        assert set(told[table]["status"]) == {"ACTIVE", "MITIGATED", "EXPIRED", "EVICTED"}
    assert {0, 1, 2} <= set(told["zones"]["touches"])


@given(seed=seeds, cuts=st.sets(slot, max_size=4))
@databases_stay
def test_windows_written_one_after_the_other_equal_one_run(conn: psycopg.Connection, seed: int, cuts: set[int]) -> None:
    told = history([seed] * BARS)
    edges = sorted(cuts | {0, BARS})
    rewind_zones(conn, KEY, ts(0))
    for start, end in itertools.pairwise(edges):
        assert write(conn, told, start, end) == 0
        assert_stored(conn, told, end)


@given(seed=seeds, revised=seeds, start=slot, length=st.integers(0, BARS))
@databases_stay
def test_a_window_written_again_leaves_what_a_run_up_to_its_end_would_have(
    conn: psycopg.Connection, seed: int, revised: int, start: int, length: int
) -> None:
    rewind_zones(conn, KEY, ts(0))
    before = history([seed] * BARS)
    write(conn, before, 0, BARS)
    after = history([seed] * start + [revised] * (BARS - start))
    end = min(start + length, BARS)
    assert write(conn, after, start, end) == before.frames(start, BARS)["zone_events"].height
    assert_stored(conn, after, end)
    write(conn, after, end, BARS)
    assert_stored(conn, after, BARS)


@given(seed=seeds, at=slot)
@databases_stay
def test_what_was_known_at_an_instant_is_what_a_run_up_to_it_wrote(
    conn: psycopg.Connection, seed: int, at: int
) -> None:
    told = history([seed] * BARS)
    rewind_zones(conn, KEY, ts(0))
    write(conn, told, 0, BARS)
    expected = told.frames(0, at)  # the bar of slot at-1 is known at ts(at-1)
    assert_frame_equal(zones_as_of(conn, KEY, ts(at - 1)), expected["zones"], check_exact=True)
    assert_frame_equal(inversions_as_of(conn, KEY, ts(at - 1)), expected["inversions"], check_exact=True)


def test_the_last_state_is_what_is_known_now(conn: psycopg.Connection) -> None:
    write(conn, history([3] * BARS), 0, BARS)
    tables = stored(conn)
    assert_frame_equal(zones_as_of(conn, KEY, ts(BARS)), tables["zones"], check_exact=True)
    assert_frame_equal(inversions_as_of(conn, KEY, ts(BARS)), tables["inversions"], check_exact=True)


def test_other_series_keep_their_zones(conn: psycopg.Connection) -> None:
    told, others = (
        history([4] * BARS),
        (SeriesKey(KEY.venue, "ETHUSDT", "1m"), SeriesKey("binance_spot", KEY.symbol, "1m")),
    )
    for key in (KEY, *others):
        write(conn, told, 0, 30, key=key)
    before = [stored(conn, key=key) for key in others]
    write(conn, history([5] * BARS), 0, 10)
    rewind(conn, KEY, T0)
    assert_stored(conn, NOTHING, 0)
    for key, kept in zip(others, before, strict=True):
        for table, frame in stored(conn, key=key).items():
            assert_frame_equal(frame, kept[table])
            assert frame.height > 0


def test_a_carried_zone_goes_back_to_untouched_and_active_and_forward_again(conn: psycopg.Connection) -> None:
    zone = {
        "kind": "FVG",
        "side": "DEMAND",
        "price_lo": 99.9,
        "price_hi": 100.1,
        "created_ts": ts(0),
        "origin_ts": ts(-1),
        "strength": 3,
        "expiry_bars": 200,
    }
    born = {"kind": "FVG", "created_ts": ts(0), "ts": ts(0), "event": "CREATED", "touches": 0}
    ended = born | {"ts": ts(7), "event": "EXPIRED", "touches": 4}
    state = {"touches": 4, "first_touch_ts": ts(7), "status": "EXPIRED", "ended_ts": ts(7)}
    none = rows_of("inversions", [])

    def put(start: int, event: dict[str, object], last: dict[str, object]) -> None:
        replace_zones(
            conn,
            KEY,
            start=T0 + minutes(start),
            end=T0 + minutes(start + 5),
            zone_events=rows_of("zone_events", [event]),
            zones=rows_of("zones", [zone | last]),
            inversions=none,
        )

    put(0, born, {"touches": 0, "status": "ACTIVE"})
    put(5, ended, state)
    assert stored(conn)["zones"].select("touches", "first_touch_ts", "status", "ended_ts").rows() == [
        (4, ts(7), "EXPIRED", ts(7))
    ]
    rewind_zones(conn, KEY, ts(5))
    assert stored(conn)["zones"].select("touches", "first_touch_ts", "status", "ended_ts").rows() == [
        (0, None, "ACTIVE", None)
    ]
    assert conn.execute("SELECT price_lo, price_hi FROM analysis.zones").fetchall() == [
        (Decimal("99.9"), Decimal("100.1"))
    ]


def test_a_zone_from_before_the_window_that_is_not_stored_is_refused_and_nothing_changes(
    conn: psycopg.Connection,
) -> None:
    told = history([6] * BARS)
    write(conn, told, 0, 20)
    conn.execute("DELETE FROM analysis.zones")
    with pytest.raises(
        FrameRejected, match=r"zones of binance_usdm:BTCUSDT:1m: the .* no such row is stored.*recompute"
    ):
        write(conn, told, 10, 20)
    expected = told.frames(0, 20)["zone_events"]
    assert_frame_equal(stored(conn)["zone_events"], expected)


def test_a_zone_that_comes_back_with_other_bounds_is_refused(conn: psycopg.Connection) -> None:
    told = history([6] * BARS)
    write(conn, told, 0, 10)
    frames = told.frames(10, 20)
    with pytest.raises(FrameRejected, match="no such row is stored"):
        replace_zones(
            conn,
            KEY,
            start=T0 + minutes(10),
            end=T0 + minutes(20),
            zone_events=frames["zone_events"],
            zones=frames["zones"].with_columns(pl.col("price_hi") + 1e-9),
            inversions=frames["inversions"],
        )
    assert_stored(conn, told, 10)


EVENT = {"kind": "OB", "created_ts": ts(0), "ts": ts(0), "event": "CREATED", "touches": 0}
ZONE = {
    "kind": "OB",
    "side": "SUPPLY",
    "price_lo": 1.5,
    "price_hi": 2.5,
    "created_ts": ts(0),
    "origin_ts": ts(-3),
    "origin_event": "BOS_DN",
    "strength": 5,
    "expiry_bars": 200,
    "touches": 0,
    "status": "ACTIVE",
}


Rows = list[dict[str, Any]]
# events, zones, the rule they break
BROKEN: list[tuple[Rows, Rows, str]] = [
    ([EVENT | {"ts": ts(5)}], [], "zone_events of .* 1 rows lie outside the window"),
    ([EVENT, EVENT], [], "duplicate key"),
    ([EVENT | {"kind": "IFVG"}], [], "inversions_have_a_parent"),
    ([EVENT | {"parent_created_ts": ts(-3)}], [], "inversions_have_a_parent"),
    ([EVENT | {"kind": "BREAKER", "parent_created_ts": ts(0)}], [], "parent_came_before"),
    ([EVENT | {"touches": 1}], [], "created_comes_first"),
    ([EVENT | {"created_ts": ts(1), "event": "TOUCHED"}], [], "created_comes_first"),
    ([EVENT], [ZONE | {"created_ts": ts(5)}], "zones of .* 1 rows lie outside the window"),
    ([EVENT], [ZONE | {"price_hi": 1.5}], "bounds_are_ordered"),
    ([EVENT], [ZONE | {"price_hi": math.inf}], "'price_hi' of analysis.zones holds inf in row 0"),
    ([EVENT], [ZONE | {"origin_event": None}], "order_blocks_come_from_a_break"),
    ([EVENT], [ZONE | {"origin_ts": ts(0)}], "origin_came_before"),
    ([EVENT], [ZONE | {"strength": 11}], "strength_in_range"),
    ([EVENT], [ZONE | {"status": "EXPIRED"}], "ended_unless_active"),
    ([EVENT], [ZONE | {"touches": 1}], "touched_since_first_touch"),
]


def test_frames_that_break_a_rule_of_life_are_refused(conn: psycopg.Connection) -> None:
    for events, zones, story in BROKEN:
        with pytest.raises(FrameRejected, match=story):
            replace_zones(
                conn,
                KEY,
                start=T0,
                end=T0 + minutes(5),
                zone_events=rows_of("zone_events", events),
                zones=rows_of("zones", zones),
                inversions=rows_of("inversions", []),
            )
    assert_stored(conn, NOTHING, 0)


def test_two_inversions_of_one_bar_differ_by_their_parents(conn: psycopg.Connection) -> None:
    inverse = {name: value for name, value in ZONE.items() if not name.startswith("origin")} | {
        "kind": "BREAKER",
        "created_ts": ts(9),
    }
    event = EVENT | {"kind": "BREAKER", "created_ts": ts(9), "ts": ts(9)}
    parents = [{"parent_created_ts": ts(0)}, {"parent_created_ts": ts(1)}]
    replace_zones(
        conn,
        KEY,
        start=T0 + minutes(9),
        end=T0 + minutes(10),
        zone_events=rows_of("zone_events", [event | parent for parent in parents]),
        zones=rows_of("zones", []),
        inversions=rows_of("inversions", [inverse | parent for parent in parents]),
    )
    assert stored(conn)["inversions"]["parent_created_ts"].to_list() == [ts(0), ts(1)]
    assert inversions_as_of(conn, KEY, ts(9)).height == 2
    assert inversions_as_of(conn, KEY, ts(8)).is_empty()


def test_analysts_read_zones_as_they_were(database: Database, conn: psycopg.Connection) -> None:
    told = history([8] * BARS)
    write(conn, told, 0, BARS)
    with connect(database.dsn("tidemark_analyst")) as analyst:
        assert zones_as_of(analyst, KEY, ts(19)).height == told.frames(0, 20)["zones"].height > 0

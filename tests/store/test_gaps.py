from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.candles import merge_candles
from store.connections import connect
from store.errors import DatabaseRefused, FrameRejected
from store.gaps import Cause, Hole, drop_filled, drop_regained, holes, pending, record_hole, settle
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, candles, minutes

LATER = SEEN + minutes(1)


def at(slot: int) -> datetime:
    return T0 + minutes(slot)


def test_a_pending_hole_is_recorded_once_and_keeps_when_it_was_first_seen(conn: psycopg.Connection) -> None:
    for seen in (SEEN, LATER):
        record_hole(conn, KEY, at(2), at(5), cause="pending", first_seen=seen)
    assert holes(conn, KEY, at(0), at(9)) == [Hole(at(2), at(5), "pending", SEEN, None)]
    assert conn.execute("SELECT bars FROM market.candle_gaps").fetchall() == [(3,)]


def test_a_settled_hole_says_when_and_why(conn: psycopg.Connection) -> None:
    record_hole(conn, KEY, at(2), at(5), cause="pending", first_seen=SEEN)
    settle(conn, KEY, at(2), cause="exchange", at=LATER)
    settle(conn, KEY, at(2), cause="exchange", at=LATER + minutes(9))
    assert holes(conn, KEY, at(4), at(5)) == [Hole(at(2), at(5), "exchange", SEEN, LATER)]
    assert pending(conn, KEY, at(0), at(9)) == []


def test_settling_what_is_not_pending_is_refused_and_says_what_was_found(conn: psycopg.Connection) -> None:
    with pytest.raises(DatabaseRefused, match="no hole begins there"):
        settle(conn, KEY, at(2), cause="exchange", at=LATER)
    record_hole(conn, KEY, at(2), at(5), cause="unlisted", first_seen=SEEN)
    with pytest.raises(DatabaseRefused, match="its cause is 'unlisted'"):
        settle(conn, KEY, at(2), cause="exchange", at=LATER)


def test_pending_never_replaces_a_known_cause(conn: psycopg.Connection) -> None:
    record_hole(conn, KEY, at(3), at(4), cause="exchange", first_seen=SEEN)
    record_hole(conn, KEY, at(2), at(6), cause="pending", first_seen=LATER)
    assert holes(conn, KEY, at(0), at(9)) == [
        Hole(at(2), at(3), "pending", LATER, None),
        Hole(at(3), at(4), "exchange", SEEN, SEEN),
        Hole(at(4), at(6), "pending", LATER, None),
    ]


def test_a_known_cause_cuts_what_it_replaces(conn: psycopg.Connection) -> None:
    record_hole(conn, KEY, at(0), at(9), cause="pending", first_seen=SEEN)
    record_hole(conn, KEY, at(3), at(5), cause="quarantined", first_seen=LATER, resolved_at=LATER)
    assert holes(conn, KEY, at(0), at(9)) == [
        Hole(at(0), at(3), "pending", SEEN, None),
        Hole(at(3), at(5), "quarantined", SEEN, LATER),
        Hole(at(5), at(9), "pending", SEEN, None),
    ]


def test_a_filled_part_leaves_the_ledger_and_the_rest_stays(conn: psycopg.Connection) -> None:
    record_hole(conn, KEY, at(0), at(9), cause="pending", first_seen=SEEN)
    merge_candles(conn, KEY, candles([0, 3, 4]), "rest", seen_at=LATER)
    assert drop_filled(conn, KEY, at(0), at(9)) == 3
    assert holes(conn, KEY, at(0), at(9)) == [
        Hole(at(1), at(3), "pending", SEEN, None),
        Hole(at(5), at(9), "pending", SEEN, None),
    ]
    assert drop_filled(conn, KEY, at(0), at(9)) == 0


def test_what_the_archive_lacked_stays_on_record_after_another_source_filled_it(conn: psycopg.Connection) -> None:
    record_hole(conn, KEY, at(0), at(2), cause="archive", first_seen=SEEN, resolved_at=LATER)
    merge_candles(conn, KEY, candles([0, 1]), "rest", seen_at=LATER)
    assert drop_filled(conn, KEY, at(0), at(2)) == 0
    assert holes(conn, KEY, at(0), at(2)) == [Hole(at(0), at(2), "archive", SEEN, LATER)]


@pytest.mark.parametrize(("start", "end"), [(at(3), at(3)), (at(3), at(2)), (at(3) + timedelta(seconds=1), at(5))])
def test_a_hole_that_is_no_window_of_the_grid_is_rejected(
    conn: psycopg.Connection, start: datetime, end: datetime
) -> None:
    with pytest.raises(FrameRejected, match="a window of the 1m grid is needed"):
        record_hole(conn, KEY, start, end, cause="pending", first_seen=SEEN)


@dataclass(frozen=True)
class Step:
    kind: str
    start: int
    length: int
    cause: Cause
    seen: int


steps = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["record", "record", "fill"]),
        start=st.integers(0, 12),
        length=st.integers(1, 6),
        cause=st.sampled_from(get_args(Cause)),
        seen=st.integers(0, 5),
    ),
    max_size=7,
)


@given(steps=steps)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ledger_obeys_its_laws_slot_by_slot(
    database: Database, conn: psycopg.Connection, steps: list[Step]
) -> None:
    """A dictionary of slots, by the laws of the module's docstring, agrees with the ledger after every step."""
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.candles, market.candle_gaps")
    model: dict[int, Cause] = {}
    first_seen: dict[int, datetime] = {}
    for step in steps:
        slots = range(step.start, step.start + step.length)
        seen = SEEN + minutes(step.seen)
        if step.kind == "record":
            record_hole(conn, KEY, at(slots.start), at(slots.stop), cause=step.cause, first_seen=seen)
            for slot in slots:
                if step.cause != "pending" or slot not in model:
                    model[slot] = step.cause
        else:
            merge_candles(conn, KEY, candles(list(slots)), "rest", seen_at=seen)
            drop_filled(conn, KEY, at(slots.start), at(slots.stop))
            model = {slot: cause for slot, cause in model.items() if slot not in slots or cause == "archive"}
        ledger = holes(conn, KEY, at(0), at(99))
        told = [(slot, hole) for hole in ledger for slot in range(99) if hole.start <= at(slot) < hole.end]
        assert {slot: hole.cause for slot, hole in told} == model
        assert len(told) == len(model)  # no slot twice
        for slot, hole in told:
            assert hole.first_seen <= first_seen.get(slot, hole.first_seen)
            assert (hole.resolved_at is None) == (hole.cause == "pending")
        first_seen = {slot: hole.first_seen for slot, hole in told}


def test_what_the_archive_holds_again_leaves_the_rows_of_what_it_lacked(conn: psycopg.Connection) -> None:
    record_hole(conn, KEY, at(0), at(9), cause="archive", first_seen=SEEN)
    record_hole(conn, KEY, at(9), at(12), cause="exchange", first_seen=SEEN)
    drop_regained(conn, KEY, at(3), at(10))
    assert [(hole.cause, hole.start, hole.end) for hole in holes(conn, KEY, at(0), at(99))] == [
        ("archive", at(0), at(3)),
        ("exchange", at(9), at(12)),
    ]

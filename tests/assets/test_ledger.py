from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from assets.holes import OpenTimes, Run
from assets.ledger import CONFIRM_AFTER, Evidence, hear_absence, write_holes
from assets.loading import Absence
from contracts import to_us
from store import gaps
from store.candles import merge_candles
from tests.assets.fakes import KEY, T0, slot, tape
from tests.assets.runs import ledger_of

AT = datetime(2022, 3, 10, tzinfo=UTC)
DAY = Run(slot(0), slot(24))


def run(first: int, end: int) -> Run:
    return Run(slot(first), slot(end))


def at(*indices: int) -> OpenTimes:
    return np.array([to_us(slot(index)) for index in indices], dtype=np.int64)


def store(conn: psycopg.Connection, *indices: int) -> None:
    candles = tape(KEY, T0, 24)
    merge_candles(conn, KEY, candles[list(indices)], "rest", seen_at=AT)


def evidence(
    *, files: list[tuple[Run, OpenTimes]] | None = None, refused: OpenTimes | None = None, absent: Run | None = None
) -> Evidence:
    return Evidence(
        files=files or [],
        refused=at() if refused is None else refused,
        absences=[] if absent is None else [Absence(absent, AT)],
        at=AT,
    )


def test_what_a_file_lacks_and_is_stored_is_archive_and_settled(conn: psycopg.Connection) -> None:
    store(conn, *range(24))
    write_holes(conn, KEY, DAY, evidence(files=[(DAY, at(*range(3), *range(5, 24)))]))
    assert ledger_of(conn) == [("archive", 3, 5)]
    assert [hole.resolved_at for hole in gaps.holes(conn, KEY, slot(0), slot(24))] == [AT]


def test_what_a_file_lacks_and_nobody_has_is_not_archive(conn: psycopg.Connection) -> None:
    store(conn, *range(3), *range(5, 24))
    write_holes(conn, KEY, DAY, evidence(files=[(DAY, at(*range(3), *range(5, 24)))], absent=run(3, 5)))
    assert ledger_of(conn) == [("pending", 3, 5)]


def test_a_file_says_nothing_of_slots_outside_its_period_or_the_window(conn: psycopg.Connection) -> None:
    store(conn, *range(24))
    half = run(0, 12)
    write_holes(conn, KEY, run(6, 24), evidence(files=[(half, at(0, 1, 2, 6, 7, 8, 9, 10, 11))]))
    assert ledger_of(conn) == []


def test_a_refused_slot_without_a_candle_is_quarantined(conn: psycopg.Connection) -> None:
    store(conn, *range(3), *range(5, 24))
    write_holes(conn, KEY, DAY, evidence(refused=at(3, 4), absent=run(3, 5)))
    assert ledger_of(conn) == [("quarantined", 3, 5)]


def test_a_refused_row_of_a_slot_that_another_source_filled_is_no_hole(conn: psycopg.Connection) -> None:
    store(conn, *range(24))
    write_holes(conn, KEY, DAY, evidence(refused=at(3)))
    assert ledger_of(conn) == []


def test_a_hole_that_was_filled_leaves_the_ledger_and_the_rest_of_it_stays(conn: psycopg.Connection) -> None:
    store(conn, *range(3), *range(8, 24))
    write_holes(conn, KEY, DAY, evidence(absent=run(3, 8)))
    store(conn, 5)
    write_holes(conn, KEY, DAY, evidence())
    assert ledger_of(conn) == [("pending", 3, 5), ("pending", 6, 8)]


@pytest.mark.parametrize(("waited", "cause"), [(timedelta(seconds=29.9), "pending"), (CONFIRM_AFTER, "exchange")])
def test_a_second_answer_settles_a_hole_only_thirty_seconds_after_the_first(
    conn: psycopg.Connection, waited: timedelta, cause: str
) -> None:
    hear_absence(conn, KEY, Absence(run(3, 5), AT))
    assert ledger_of(conn) == [("pending", 3, 5)]
    hear_absence(conn, KEY, Absence(run(3, 5), AT + waited))
    [hole] = gaps.holes(conn, KEY, slot(0), slot(24))
    assert (hole.cause, hole.first_seen) == (cause, AT)
    assert hole.resolved_at == (None if cause == "pending" else AT + waited)


def test_a_second_answer_settles_only_the_slots_it_speaks_of(conn: psycopg.Connection) -> None:
    hear_absence(conn, KEY, Absence(run(3, 9), AT))
    hear_absence(conn, KEY, Absence(run(5, 7), AT + CONFIRM_AFTER))
    assert ledger_of(conn) == [("pending", 3, 5), ("exchange", 5, 7), ("pending", 7, 9)]


def test_a_second_answer_about_more_slots_leaves_the_new_ones_pending(conn: psycopg.Connection) -> None:
    hear_absence(conn, KEY, Absence(run(3, 5), AT))
    hear_absence(conn, KEY, Absence(run(3, 7), AT + CONFIRM_AFTER))
    assert ledger_of(conn) == [("exchange", 3, 5), ("pending", 5, 7)]


def test_an_absence_changes_no_settled_cause(conn: psycopg.Connection) -> None:
    gaps.record_hole(conn, KEY, slot(3), slot(5), cause="quarantined", first_seen=AT)
    hear_absence(conn, KEY, Absence(run(3, 5), AT + CONFIRM_AFTER))
    hear_absence(conn, KEY, Absence(run(3, 5), AT + 2 * CONFIRM_AFTER))
    assert ledger_of(conn) == [("quarantined", 3, 5)]

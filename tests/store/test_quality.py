from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest

from store import gaps
from store.candles import merge_candles
from store.ledger import write_digest
from store.quality import Violations, unexplained_holes
from tests.assets.fakes import KEY, slot, tape

JAN, FEB, MAR, APR = (datetime(2022, month, 1, tzinfo=UTC) for month in range(1, 5))
ENDS = {JAN: FEB, FEB: MAR, MAR: APR}
BARS = 744 + 672 + 48
AT = datetime(2022, 3, 10, tzinfo=UTC)


def store_without(conn: psycopg.Connection, *absent: range) -> None:
    """January to the third of March, without some slots, each month with its digest."""
    lacking = {index for part in absent for index in part}
    candles = tape(KEY, slot(0), BARS)[[index for index in range(BARS) if index not in lacking]]
    merge_candles(conn, KEY, candles, "rest", seen_at=AT)
    for month, end in ENDS.items():
        rows = candles.filter(pl.col("open_time").is_between(month, end, closed="left")).height
        if rows:
            write_digest(conn, KEY, month.date(), rows=rows, sha256="a" * 64, computed_at=AT)


def found(conn: psycopg.Connection, month: datetime) -> Violations:
    return unexplained_holes(conn, KEY, month, ENDS[month])


def test_a_series_without_a_hole_has_none_to_explain(conn: psycopg.Connection) -> None:
    store_without(conn)
    assert [found(conn, month) for month in ENDS] == [Violations()] * 3


@pytest.mark.parametrize("absent", [range(700, 744), range(100, 101), range(744, 744 + 672)])
def test_what_is_missing_before_the_window_is_told_too_for_the_analysis_waits_for_it(
    conn: psycopg.Connection, absent: range
) -> None:
    store_without(conn, absent)
    place = f"{KEY} {slot(absent.start).isoformat()} to {slot(absent.stop).isoformat()}"
    assert found(conn, MAR) == Violations(1, (place,))
    gaps.record_hole(conn, KEY, slot(absent.start), slot(absent.stop), cause="exchange", first_seen=AT)
    assert found(conn, MAR) == Violations()


def test_what_is_missing_after_the_window_or_the_last_candle_is_not_told(conn: psycopg.Connection) -> None:
    store_without(conn, range(800, 810), range(BARS - 5, BARS))
    assert found(conn, JAN) == Violations()
    assert found(conn, FEB).count == 1
    assert unexplained_holes(conn, KEY, APR, datetime(2022, 5, 1, tzinfo=UTC)).count == 1  # of February, not of March


def test_a_row_of_what_the_archive_lacks_explains_no_empty_slot(conn: psycopg.Connection) -> None:
    store_without(conn, range(100, 101))
    gaps.record_hole(conn, KEY, slot(100), slot(101), cause="archive", first_seen=AT)
    assert [found(conn, month).count for month in (JAN, FEB)] == [1, 1]


def test_a_series_of_which_nothing_is_stored_has_no_hole(conn: psycopg.Connection) -> None:
    assert found(conn, JAN) == Violations()

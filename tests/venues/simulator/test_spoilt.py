from __future__ import annotations

import numpy as np

from venues.simulator.bars import Bars, Col
from venues.simulator.faults import Fault
from venues.simulator.funding import Settlement
from venues.simulator.spoilt import spoilt_bars, spoilt_settlements

# Two minutes: open, high, low, close, volume, quote, trades, taker, taker quote; the second is flat.
CELLS = np.array([[0, 10, 12, 9, 11, 100, 1, 1, 50, 1], [60_000, 11, 11, 11, 11, 100, 1, 1, 50, 1]], dtype=np.int64).T
PAID = [Settlement("BTCUSDT", 0, 5, 10, 8), Settlement("BTCUSDT", 1, 6, 10, 8)]


def spoilt(kind: str, *open_times: int) -> list[list[int]]:
    fault = Fault.model_validate({"kind": kind, "venue": "archive", "open_times": open_times})
    rows: list[list[int]] = spoilt_bars(Bars(CELLS), (fault,)).cells.T.tolist()
    return rows


def test_a_crossed_bar_has_its_high_below_its_low_even_where_it_was_flat() -> None:
    for minute in (0, 60_000):
        crossed = [row for row in spoilt("crossed_rows", minute) if row[Col.HIGH] < row[Col.LOW]]
        assert [row[Col.OPEN_MS] for row in crossed] == [minute]
        assert crossed[0][Col.HIGH] > 0


def test_a_contradicting_bar_comes_first_as_it_was_and_then_with_other_values() -> None:
    first, second, third = spoilt("contradicting_rows", 0)
    assert first == CELLS[:, 0].tolist()
    assert (second[Col.OPEN_MS], second[Col.HIGH], second[Col.VOLUME]) == (0, 13, 101)
    assert third == CELLS[:, 1].tolist()


def test_what_is_spoilt_is_a_copy() -> None:
    before = CELLS.copy()
    for kind in ("crossed_rows", "contradicting_rows", "republished", "disagreeing_rows", "duplicate_rows"):
        spoilt(kind, 0)
    assert np.array_equal(before, CELLS)


def test_the_first_settlement_is_republished_where_none_is_named() -> None:
    assert [one.rate for one in spoilt_settlements(PAID, [Fault(kind="republished")])] == [6, 6]
    assert [one.rate for one in spoilt_settlements(PAID, [Fault(kind="republished", open_times=(1,))])] == [5, 7]


def test_faults_of_files_and_sockets_leave_rows_alone() -> None:
    assert spoilt_settlements(PAID, [Fault(kind="truncated"), Fault(kind="slow")]) == PAID
    assert spoilt("truncated") == CELLS.T.tolist()

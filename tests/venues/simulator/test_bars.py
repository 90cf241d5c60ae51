from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts import Timeframe
from venues.simulator.bars import MINUTE_MS, ORIGIN_MS, Bars, Col, block_of, block_start, empty, join, rollup

minute_bars = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.lists(st.integers(1, 10**6), min_size=4, max_size=4),
        st.lists(st.integers(0, 10**9), min_size=5, max_size=5),
    ),
    max_size=60,
    unique_by=lambda row: row[0],
)
Row = tuple[int, list[int], list[int]]


def build(rows: list[Row]) -> Bars:
    if not rows:
        return empty()
    columns = []
    for minute, prices, sums in sorted(rows):
        low, one, other, high = sorted(prices)
        columns.append([ORIGIN_MS + minute * MINUTE_MS, one, high, low, other, *sums])
    return Bars(np.array(columns, dtype=np.int64).T)


@given(rows=minute_bars, tf=st.sampled_from([Timeframe.M3, Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.D1]))
def test_a_rolled_up_bar_is_first_highest_lowest_last_and_sums_of_the_minutes_it_holds(
    rows: list[Row], tf: Timeframe
) -> None:
    minutes = build(rows)
    groups: dict[int, list[list[int]]] = {}
    for bar in minutes.cells.T.tolist():
        groups.setdefault(bar[0] // (tf.us // 1000), []).append(bar)
    expected = [
        [
            slot * (tf.us // 1000),
            members[0][1],
            max(bar[2] for bar in members),
            min(bar[3] for bar in members),
            members[-1][4],
            *(sum(bar[column] for bar in members) for column in range(Col.VOLUME, len(Col))),
        ]
        for slot, members in sorted(groups.items())
    ]
    assert rollup(minutes, tf).cells.T.tolist() == expected


@given(rows=minute_bars)
def test_rolling_up_in_two_steps_gives_the_same_as_in_one(rows: list[Row]) -> None:
    minutes = build(rows)
    stepwise = rollup(rollup(minutes, Timeframe.M15), Timeframe.H4)
    assert stepwise.cells.tolist() == rollup(minutes, Timeframe.H4).cells.tolist()


@given(rows=minute_bars, cut=st.integers(0, 200))
def test_two_adjoining_windows_hold_every_bar_once(rows: list[Row], cut: int) -> None:
    bars = build(rows)
    middle = ORIGIN_MS + cut * MINUTE_MS
    parts = join([bars.window(0, middle), bars.window(middle, 2**62)])
    assert parts.cells.tolist() == bars.cells.tolist()


def test_sums_beyond_int64_stay_exact_when_the_cells_are_python_integers() -> None:
    huge = 2**62
    rows = [[ORIGIN_MS + i * MINUTE_MS, 1, 1, 1, 1, huge, 1, 1, 1, 1] for i in range(5)]
    bars = Bars(np.array(rows, dtype=object).T)
    assert rollup(bars, Timeframe.M5).cells[Col.VOLUME].tolist() == [5 * huge]


def test_a_block_begins_on_a_boundary_of_every_timeframe() -> None:
    for index in (0, 1, 77):
        assert block_of(block_start(index)) == index
        assert block_of(block_start(index) - 1) == index - 1
        assert all(block_start(index) % (tf.us // 1000) == 0 for tf in Timeframe)

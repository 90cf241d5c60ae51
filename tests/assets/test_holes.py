from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets.holes import Run, missing_runs, open_times, runs_of
from contracts import Timeframe, from_us, to_us
from tests.assets.fakes import KEY, T0, hours, slot, tape

TIMEFRAMES = st.sampled_from([Timeframe.M1, Timeframe.M15, Timeframe.H1, Timeframe.D1])
INDICES = st.sets(st.integers(0, 60))


def times(tf: Timeframe, indices: set[int]) -> np.ndarray:
    return np.array(sorted(to_us(T0) + index * tf.us for index in indices), dtype=np.int64)


def test_runs_are_told_as_half_open_windows() -> None:
    found = runs_of(times(Timeframe.H1, {0, 1, 2, 7, 9, 10}), Timeframe.H1)
    assert found == [Run(slot(0), slot(3)), Run(slot(7), slot(8)), Run(slot(9), slot(11))]


def test_no_times_make_no_run() -> None:
    assert runs_of(np.empty(0, np.int64), Timeframe.H1) == []


def test_slots_begin_on_the_grid_where_the_run_does_not() -> None:
    run = Run(T0 + timedelta(minutes=10), T0 + timedelta(hours=2, minutes=10))
    assert [from_us(int(opened)) for opened in run.slots(Timeframe.H1)] == [slot(1), slot(2)]


def test_a_run_within_a_window_it_does_not_meet_is_empty() -> None:
    window = Run(slot(10), slot(20))
    for run in (Run(slot(2), slot(5)), Run(slot(20), slot(25)), Run(slot(30), slot(40))):
        part = run.within(window)
        assert part.start == part.end
    assert Run(slot(5), slot(15)).within(window) == Run(slot(10), slot(15))
    assert Run(slot(12), slot(13)).within(window) == Run(slot(12), slot(13))


def test_open_times_are_microseconds() -> None:
    assert open_times(tape(KEY, datetime(1970, 1, 1, 1, tzinfo=UTC), 2)).tolist() == [3_600_000_000, 7_200_000_000]


def test_slots_that_lie_outside_the_window_or_come_twice_change_nothing() -> None:
    window = Run(slot(0), slot(6))
    present = [times(Timeframe.H1, {1, 2, 40}), times(Timeframe.H1, {2, 4})[::-1]]
    assert missing_runs(present, window, Timeframe.H1) == [
        Run(slot(0), slot(1)),
        Run(slot(3), slot(4)),
        Run(slot(5), slot(6)),
    ]


@given(TIMEFRAMES, INDICES)
def test_runs_hold_exactly_the_times_they_were_made_of_and_never_touch(tf: Timeframe, indices: set[int]) -> None:
    given_times = times(tf, indices)
    runs = runs_of(given_times, tf)
    held = [int(opened) for run in runs for opened in run.slots(tf)]
    assert held == given_times.tolist()
    assert all(left.end < right.start for left, right in pairwise(runs))
    assert all(run.start < run.end for run in runs)


@given(TIMEFRAMES, st.lists(INDICES, max_size=3), st.integers(0, 40), st.integers(0, 40), st.integers(-30, 30))
def test_missing_and_present_slots_are_a_partition_of_the_window(
    tf: Timeframe, present: list[set[int]], first: int, length: int, off_grid: int
) -> None:
    offset = timedelta(seconds=off_grid)
    window = Run(T0 + first * tf.duration + offset, T0 + (first + length) * tf.duration + offset)
    missing = missing_runs([times(tf, indices) for indices in present], window, tf)
    lacking = {int(opened) for run in missing for opened in run.slots(tf)}
    have = {int(opened) for indices in present for opened in times(tf, indices)}
    grid = {to_us(T0) + index * tf.us for index in range(-5, 100)}
    inside = {opened for opened in grid if window.start <= from_us(opened) < window.end}
    assert lacking | (have & inside) == inside
    assert not lacking & have


def test_a_window_of_one_hour_has_one_slot_wherever_it_begins() -> None:
    for minutes in (0, 1, 59):
        start = T0 + timedelta(minutes=minutes)
        assert Run(start, start + hours(1)).slots(Timeframe.H1).size == 1

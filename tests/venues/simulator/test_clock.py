from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.venues.simulator.ticks import Ticks
from venues.simulator.clock import ClockRejected, SimClock

START = datetime(2022, 1, 31, 5, 30, tzinfo=UTC)


def test_it_runs_at_a_multiple_of_real_time(ticks: Ticks) -> None:
    clock = SimClock(START, speed=60, ticks=ticks)
    ticks.now += 2.5
    assert clock.now() == START + timedelta(seconds=150)


def test_frozen_it_moves_by_hand_only(ticks: Ticks) -> None:
    clock = SimClock(START, speed=0, ticks=ticks)
    ticks.now += 1000
    assert clock.now() == START
    clock.advance(seconds=0.25)
    assert clock.now_us() == int(START.timestamp() * 1_000_000) + 250_000
    clock.set(START + timedelta(hours=1))
    assert clock.now() == START + timedelta(hours=1)


def test_a_change_of_speed_does_not_move_it(ticks: Ticks) -> None:
    clock = SimClock(START, speed=10, ticks=ticks)
    ticks.now += 1
    clock.run_at(100)
    assert clock.now() == START + timedelta(seconds=10)
    ticks.now += 1
    assert clock.now() == START + timedelta(seconds=110)


def test_it_never_runs_backwards(ticks: Ticks) -> None:
    clock = SimClock(START, speed=0, ticks=ticks)
    with pytest.raises(ClockRejected, match="never runs backwards"):
        clock.advance(seconds=-1)
    with pytest.raises(ClockRejected, match="cannot be set back"):
        clock.set(START - timedelta(seconds=1))
    with pytest.raises(ClockRejected, match="use 0 to freeze"):
        clock.run_at(-1)
    assert clock.now() == START


def test_listeners_hear_every_jump_until_they_leave(ticks: Ticks) -> None:
    clock = SimClock(START, speed=0, ticks=ticks)
    heard: list[datetime] = []
    leave = clock.subscribe(lambda: heard.append(clock.now()))
    clock.advance(seconds=60)
    leave()
    clock.advance(seconds=60)
    assert heard == [START + timedelta(seconds=60)]

"""The estimate of the server's clock: how far off it can be, and what cannot move it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.binance.fakes import NOW
from venues.binance.clock import BEHIND_S, ServerClock

AHEAD = 3_600.25  # the server's wall clock against ours
START = 1000.0  # where the steady clock begins


class World:
    """True time, read through a steady clock and a wall clock; the way to the server and back takes time."""

    def __init__(self, trips: Sequence[tuple[float, float] | None] = ()) -> None:
        self.ticks = START
        self.wall = NOW
        self.trips = list(trips)

    def server(self) -> float:
        return NOW + AHEAD + self.ticks - START

    async def read(self) -> int | None:
        trip = self.trips.pop(0)
        if trip is None:
            self.ticks += 2.0
            return None
        there, back = trip
        self.ticks += there
        told = int(self.server() * 1000)
        self.ticks += back
        return told

    def clock(self) -> ServerClock:
        return ServerClock(ticks=lambda: self.ticks, wall=lambda: self.wall)


def test_before_the_first_measurement_the_wall_clock_stands_in() -> None:
    clock = World().clock()
    assert clock.now() == datetime.fromtimestamp(NOW, UTC)
    assert (clock.generation, clock.age_s) == (0, None)


def test_an_even_trip_gives_the_server_s_time_a_little_behind() -> None:
    world = World([(0.04, 0.04)])
    clock = world.clock()
    assert asyncio.run(clock.sync(world.read))
    assert clock.seconds() - world.server() == pytest.approx(-BEHIND_S, abs=0.0011)
    assert (clock.generation, clock.age_s) == (1, 0.0)


def test_the_shortest_trip_counts_and_a_short_one_ends_the_asking() -> None:
    world = World([(1.0, 0.0), (0.0, 0.3), (0.6, 0.0), (0.0, 0.0)])
    clock = world.clock()
    assert asyncio.run(clock.sync(world.read))
    assert clock.seconds() - world.server() == pytest.approx(-0.15 - BEHIND_S, abs=0.0011)
    assert len(world.trips) == 1
    world = World([(0.05, 0.05), (0.0, 0.0)])
    assert asyncio.run(world.clock().sync(world.read))
    assert len(world.trips) == 1


def test_without_an_answer_all_stays_as_it_was() -> None:
    world = World([(0.0, 0.0), None, None, None])
    clock = world.clock()
    assert asyncio.run(clock.sync(world.read))
    off = clock.seconds() - world.server()
    assert not asyncio.run(clock.sync(world.read))
    assert clock.generation == 1
    assert clock.seconds() - world.server() == pytest.approx(off)
    assert clock.age_s == 6.0


def test_one_answer_of_three_is_enough() -> None:
    world = World([None, (0.1, 0.2), None])
    clock = world.clock()
    assert asyncio.run(clock.sync(world.read))
    assert abs(clock.seconds() - world.server()) < 0.2


def test_setting_the_wall_clock_moves_nothing() -> None:
    world = World()
    clock = world.clock()
    world.wall -= 86_400
    world.ticks += 5
    assert clock.seconds() == NOW + 5


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=3, max_size=3))
def test_the_estimate_is_off_by_half_the_shortest_trip_at_most(trips: list[tuple[float, float]]) -> None:
    world = World(trips)
    clock = world.clock()
    assert asyncio.run(clock.sync(world.read))
    used = trips[: 3 - len(world.trips)]
    error = clock.seconds() + BEHIND_S - world.server()
    assert abs(error) <= min(there + back for there, back in used) / 2 + 0.0011  # and the millisecond it is told in

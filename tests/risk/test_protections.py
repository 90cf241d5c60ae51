"""Both ways of telling the protections against each other, and against a third, slow and plain one."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Timeframe
from contracts.kernel import warm_up
from risk import RiskProfile
from risk.protections import add_exit, last_stop, losses_tripped, stops_tripped
from risk.records import HOUR, LOSSES, NEVER, ROOM, STOPS, limits_of, nothing_yet

unhurried = settings(deadline=None)


@dataclass(frozen=True)
class Exits:
    us: Any
    r: Any
    stopped: Any

    def since(self, first: int, end: int | None = None) -> "Exits":
        return Exits(self.us[first:end], self.r[first:end], self.stopped[first:end])


@st.composite
def exits(draw: st.DrawFn) -> Exits:
    """Exits in order, whose gaps fall on the edges of windows as often as not; results on a coarse grid."""
    gaps = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 1, HOUR // 2, HOUR, 2 * HOUR - 1, 2 * HOUR, 5 * HOUR]),
                st.sampled_from([-1.5, -1.0, -0.75, 0.1, 0.5, 2.0]),
                st.booleans(),
            ),
            max_size=40,
        )
    )
    return Exits(
        np.cumsum([gap for gap, _, _ in gaps], dtype=np.int64) + 1_772_445_600_000_000,
        np.array([r for _, r, _ in gaps], np.float64),
        np.array([stopped for _, _, stopped in gaps], np.uint8),
    )


PROFILES = st.builds(
    RiskProfile,
    stop_guard_stops=st.integers(1, 4),
    stop_guard_hours=st.integers(0, 6),
    stop_guard_lock_hours=st.integers(0, 6),
    low_profit_r=st.sampled_from([-0.5, -1.5, -2.0, -3.25]),
    low_profit_hours=st.integers(0, 12),
    low_profit_lock_hours=st.integers(0, 6),
)


def plain_stops(some: Exits, profile: RiskProfile) -> int:
    """In words: the last losing stop that had `stops` of them, itself included, less than the window's hours behind."""
    window = profile.stop_guard_hours * HOUR
    stops = [int(us) for us, r, stopped in zip(some.us, some.r, some.stopped, strict=True) if stopped and r < 0]
    tripped = [
        us
        for place, us in enumerate(stops)
        if sum(us - earlier < window for earlier in stops[: place + 1]) >= profile.stop_guard_stops
    ]
    return max(tripped, default=NEVER)


def plain_losses(some: Exits, profile: RiskProfile) -> int:
    window = profile.low_profit_hours * HOUR
    tripped = []
    for place, us in enumerate(some.us):
        seen = [r for k, r in enumerate(some.r[: place + 1]) if us - some.us[k] < window]
        if sum(seen) <= profile.low_profit_r:
            tripped.append(int(us))
    return max(tripped, default=NEVER)


@numba.njit(error_model="numpy")
def _add(losses: Any, stops: Any, limits: Any, us: int, r: float, stopped: int) -> None:  # noqa: ANN401 - records
    add_exit(losses[0], stops[0], limits[0], us, r, stopped != 0)


def added(some: Exits, profile: RiskProfile) -> tuple[Any, Any]:
    losses, stops, limits = nothing_yet(LOSSES), nothing_yet(STOPS), limits_of(profile)
    for us, r, stopped in zip(some.us, some.r, some.stopped, strict=True):
        _add(losses, stops, limits, us, r, stopped)
    return losses[0], stops[0]


def from_scratch(some: Exits, profile: RiskProfile) -> tuple[int, int, int]:
    warm_up()
    limits = limits_of(profile)[0]
    return (
        last_stop(some.us, some.r, some.stopped),
        stops_tripped(some.us, some.r, some.stopped, limits),
        losses_tripped(some.us, some.r, limits),
    )


@unhurried
@given(exits(), PROFILES)
def test_exit_by_exit_gives_the_instants_that_all_exits_together_give(some: Exits, profile: RiskProfile) -> None:
    for end in range(some.us.size + 1):
        part = some.since(0, end)
        losses, stops = added(part, profile) if end == some.us.size else (None, None)
        last, tripped, locked = from_scratch(part, profile)
        assert tripped == plain_stops(part, profile)
        assert locked == plain_losses(part, profile)
        if losses is not None and stops is not None:
            assert (losses["last_stop"], stops["tripped"], losses["tripped"]) == (last, tripped, locked)


@unhurried
@given(exits(), PROFILES)
def test_exits_before_the_look_back_change_no_gate(some: Exits, profile: RiskProfile) -> None:
    if not some.us.size:
        return
    now = int(some.us[-1])
    reach = profile.look_back(Timeframe("15m"))
    kept = some.since(int(np.searchsorted(some.us, now - reach.total_seconds() * 1e6)))
    limits = limits_of(profile)[0]
    for everything, lately, lock in zip(
        from_scratch(some, profile)[1:],
        from_scratch(kept, profile)[1:],
        (limits["stops_lock"], limits["losses_lock"]),
        strict=True,
    ):
        assert (everything != NEVER and now - everything < lock) == (lately != NEVER and now - lately < lock)


@unhurried
@given(st.integers(1, 60), st.floats(-1, 1), st.integers(0, 2**32))
def test_of_more_exits_than_there_is_room_for_both_ways_see_the_last(more: int, drift: float, seed: int) -> None:
    size = ROOM + more
    r = np.random.default_rng(seed).normal(drift / 10, 0.1, size)
    some = Exits(np.arange(size, dtype=np.int64), r, np.zeros(size, np.uint8))
    profile = RiskProfile(low_profit_r=-1.0)
    losses, _ = added(some, profile)
    assert losses["tripped"] == from_scratch(some, profile)[2]
    assert losses["used"] == ROOM
    tripped = [k for k in range(size) if sum(r[max(0, k + 1 - ROOM) : k + 1].tolist()) <= -1.0]
    assert losses["tripped"] == (tripped[-1] if tripped else NEVER)


def test_three_stops_within_a_day_trip_the_guard_at_the_third() -> None:
    # 0 h, 12 h and 24 h: the first has left the window of 24 h at the third; a fourth at 35 h has two before it.
    us = np.array([0, 12 * HOUR, 24 * HOUR, 35 * HOUR], np.int64)
    some = Exits(us, np.full(4, -1.0), np.ones(4, np.uint8))
    assert from_scratch(some.since(0, 3), RiskProfile())[1] == NEVER
    assert from_scratch(some, RiskProfile())[1] == 35 * HOUR


def test_a_win_that_leaves_the_window_unveils_no_loss_before_the_next_exit() -> None:
    # +3R at 0 h, −2.5R at 24 h: together above −2R while the win is in the window of 168 h, and no exit after it.
    some = Exits(np.array([0, 24 * HOUR], np.int64), np.array([3.0, -2.5]), np.zeros(2, np.uint8))
    assert from_scratch(some, RiskProfile())[2] == NEVER
    later = Exits(np.append(some.us, 168 * HOUR), np.append(some.r, 0.1), np.zeros(3, np.uint8))
    assert from_scratch(later, RiskProfile())[2] == 168 * HOUR


def test_a_stop_that_was_moved_into_the_profit_locks_nothing() -> None:
    # Three stops within an hour, won, won by a hair, and at exactly nothing; a loss by a hair is one.
    r = np.array([1.15, 1e-9, 0.0, -1e-9])
    some = Exits(np.array([0, 1, 2, 3], np.int64) * (HOUR // 4), r, np.ones(4, np.uint8))
    profile = RiskProfile(stop_guard_stops=1)
    for end, since in ((3, NEVER), (4, 3 * HOUR // 4)):
        part = some.since(0, end)
        assert from_scratch(part, profile)[:2] == (since, since)
        losses, stops = added(part, profile)
        assert (losses["last_stop"], stops["tripped"]) == (since, since)


def test_a_win_begins_the_lock_anew_where_the_symbol_is_still_too_far_down() -> None:
    # −1.5R and −1R: locked from 1 h. +0.4R a day later leaves −2.1R in 7 days: a losing symbol still. +0.2R more
    # makes it −1.9R, and nothing begins.
    us = np.array([0, 1, 26, 52], np.int64) * HOUR
    some = Exits(us, np.array([-1.5, -1.0, 0.4, 0.2]), np.array([1, 1, 0, 0], np.uint8))
    for end, since in ((1, NEVER), (2, HOUR), (3, 26 * HOUR), (4, 26 * HOUR)):
        part = some.since(0, end)
        assert from_scratch(part, RiskProfile())[2] == since
        assert added(part, RiskProfile())[0]["tripped"] == since


def test_before_the_first_exit_there_is_nothing() -> None:
    none = Exits(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))
    assert from_scratch(none, RiskProfile()) == (NEVER, NEVER, NEVER)
    losses, stops = added(none, RiskProfile())
    assert (losses["tripped"], losses["last_stop"], stops["tripped"]) == (NEVER, NEVER, NEVER)

"""Golden bars for engine-spec section 5: the life cycle of zones, their limits, and inversions.

The bars and what their numbers make are told in zone_bars.py. Most cases are read upside down as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import EngineParams
from tests.engine.readers import READERS
from tests.engine.zone_bars import BREAK_AND_GAP, EVENT, GAP, LIFE, TWO, both_ways, quiet_then_gap, view

if TYPE_CHECKING:
    from tests.engine.hand_bars import Candle
    from tests.engine.readers import Reader

pytestmark = pytest.mark.parametrize("read", READERS)

# The life of the zone of GAP, DEMAND [101, 102.5] of bar 1.


@both_ways
def test_a_touch_reaches_the_near_edge_and_only_a_close_beyond_the_far_edge_mitigates(
    read: Reader, *, up: bool
) -> None:
    rows: list[Candle] = [
        *GAP,
        (110, 110.25, 102.75, 110),  # not touched
        (110, 111, 102.5, 110),  # 102.5 itself: the first touch, a row
        (110, 111, 102, 110),  # the second, no row
        (110, 110, 103, 110),
        (110, 110, 100.5, 101),  # the third; 101 is not below 101
        (101, 110, 100.5, 100.75),  # the fourth and the end
    ]
    found = view(read, rows, up=up)
    assert found.of("zone_events", *EVENT) == [
        ("FVG", 1, None, 1, "CREATED", 0),
        ("FVG", 1, None, 3, "TOUCHED", 1),
        ("FVG", 1, None, 7, "MITIGATED", 4),
        ("IFVG", 7, 1, 7, "CREATED", 0),
    ]
    assert found.of("zones", *LIFE) == [("FVG", 4, 3, "MITIGATED", 7)]


def test_between_two_rows_the_count_of_touches_is_not_told(read: Reader) -> None:
    # touched at bars 3 and 4: the row is that of the first touch
    rows: list[Candle] = [*GAP, (110, 110.25, 102.75, 110), (110, 111, 102.5, 110), (110, 111, 102, 110)]
    assert view(read, rows).of("zones", *LIFE) == [("FVG", 1, 3, "ACTIVE", None)]


@both_ways
@pytest.mark.parametrize(
    ("low_of_last", "touches", "first_touch"), [(103.0, 0, None), (102.5, 1, 6)], ids=["untouched", "touched"]
)
def test_a_zone_expires_when_it_is_as_many_bars_old_and_that_bar_may_be_its_first_touch(
    read: Reader, *, up: bool, low_of_last: float, touches: int, first_touch: int | None
) -> None:
    # created at bar 1, five bars old at bar 6
    rows: list[Candle] = [*GAP, *[(110.0, 111.0, 103.0, 110.0)] * 4, (110, 111, low_of_last, 110)]
    params = EngineParams(expiry_bars=5)
    assert view(read, rows[:-1], up=up, params=params).of("zones", *LIFE) == [("FVG", 0, None, "ACTIVE", None)]
    found = view(read, rows, up=up, params=params)
    assert found.of("zones", *LIFE) == [("FVG", touches, first_touch, "EXPIRED", 6)]
    assert found.of("zone_events", *EVENT) == [
        ("FVG", 1, None, 1, "CREATED", 0),
        ("FVG", 1, None, 6, "EXPIRED", touches),
    ]


@both_ways
def test_a_zone_mitigated_at_the_bar_of_its_expiry_and_of_its_first_touch_is_mitigated(
    read: Reader, *, up: bool
) -> None:
    rows: list[Candle] = [*GAP, (110, 110, 100, 100.75)]
    found = view(read, rows, up=up, params=EngineParams(expiry_bars=1))
    assert found.of("zones", *LIFE) == [("FVG", 1, 2, "MITIGATED", 2)]
    assert found.of("zone_events", *EVENT) == [
        ("FVG", 1, None, 1, "CREATED", 0),
        ("FVG", 1, None, 2, "MITIGATED", 1),
        ("IFVG", 2, 1, 2, "CREATED", 0),
    ]


@both_ways
def test_the_oldest_of_any_kind_makes_room(read: Reader, *, up: bool) -> None:
    # the order block of bar 4 is the older of two when the gap comes at bar 7
    found = view(read, quiet_then_gap(1), up=up, params=EngineParams(pivot_n=2, max_zones=1))
    assert found.of("zones", *LIFE)[0][3:] == ("EVICTED", 7)
    assert found.of("zones", *LIFE)[1] == ("FVG", 0, None, "ACTIVE", None)
    both = view(read, quiet_then_gap(1), up=up, params=EngineParams(pivot_n=2, max_zones=2))
    assert [row["status"] for row in both.rows["zones"]] == ["ACTIVE", "ACTIVE"]


@both_ways
def test_of_three_zones_the_first_created_makes_room(read: Reader, *, up: bool) -> None:
    # the gap and the order block of bar 4, in this order; bar 5 leaves a gap of 1 above bar 3
    rows: list[Candle] = [*BREAK_AND_GAP, (105, 106, 104, 105)]
    found = view(read, rows, up=up, params=EngineParams(pivot_n=2, max_zones=2))
    assert found.of("zones", "kind", "created_ts", "status", "ended_ts") == [
        ("FVG", 4, "EVICTED", 5),
        ("OB", 4, "ACTIVE", None),
        ("FVG", 5, "ACTIVE", None),
    ]


@both_ways
def test_a_zone_created_and_evicted_at_one_bar_has_one_event(read: Reader, *, up: bool) -> None:
    # at bar 4 the gap is created first, the order block after it
    found = view(read, BREAK_AND_GAP, up=up, params=EngineParams(pivot_n=2, max_zones=1))
    assert sorted(found.of("zone_events", *EVENT)) == [
        ("FVG", 4, None, 4, "EVICTED", 0),
        ("OB", 4, None, 4, "CREATED", 0),
    ]
    assert found.of("zones", *LIFE) == [("FVG", 0, None, "EVICTED", 4), ("OB", 0, None, "ACTIVE", None)]


@both_ways
def test_a_first_touch_at_the_bar_of_an_eviction_is_told_by_that_event(read: Reader, *, up: bool) -> None:
    # bar 4 touches [101, 102.5] at 102 and leaves a gap of 2 below bar 2 (atr14 is about 3.1): a SUPPLY zone, which
    # evicts the touched one
    rows: list[Candle] = [*GAP, (110, 112, 106, 106), (106, 106.5, 104, 104), (104, 104, 102, 102.25)]
    found = view(read, rows, up=up, params=EngineParams(max_zones=1))
    assert found.of("zone_events", *EVENT) == [
        ("FVG", 1, None, 1, "CREATED", 0),
        ("FVG", 1, None, 4, "EVICTED", 1),
        ("FVG", 4, None, 4, "CREATED", 0),
    ]
    assert found.of("zones", *LIFE) == [("FVG", 1, 4, "EVICTED", 4), ("FVG", 0, None, "ACTIVE", None)]


# Inversions: bar 5 closes at 100, below FVG [102.5, 103.5] (strength 4) and OB [100.5, 102.5] (strength 7) of bar 4.
INVERTED: list[Candle] = [*BREAK_AND_GAP, (105, 105, 99.5, 100)]
INVERSION = ("kind", "side", "price_lo", "price_hi", "created_ts", "parent_created_ts", "strength", "expiry_bars")


@both_ways
def test_a_mitigated_zone_becomes_one_of_the_other_side_tested_from_the_next_bar_on(read: Reader, *, up: bool) -> None:
    # bar 5 itself reaches up to 105, through both: not tested
    found = view(read, INVERTED, up=up, params=TWO)
    bounds = [(102.5, 103.5), (100.5, 102.5)] if up else [(96.5, 97.5), (97.5, 99.5)]
    side = "SUPPLY" if up else "DEMAND"
    assert sorted(found.of("inversions", *INVERSION)) == [
        ("BREAKER", side, *bounds[1], 5, 4, 7, 200),
        ("IFVG", side, *bounds[0], 5, 4, 4, 200),
    ]
    assert {row[1:] for row in found.of("inversions", *LIFE)} == {(0, None, "ACTIVE", None)}


@both_ways
def test_an_inversion_lives_as_a_zone_does_and_makes_no_inversion(read: Reader, *, up: bool) -> None:
    rows: list[Candle] = [
        *INVERTED,
        (100, 100.25, 98, 99),  # below both
        (99, 101, 99, 100.5),  # into [100.5, 102.5]
        (100.5, 103, 100.5, 102.75),  # closes above it, and into [102.5, 103.5]
    ]
    found = view(read, rows, up=up, params=TWO)
    lives = [row for row in found.of("zone_events", *EVENT) if row[0] in {"BREAKER", "IFVG"}]
    assert sorted(lives) == [
        ("BREAKER", 5, 4, 5, "CREATED", 0),
        ("BREAKER", 5, 4, 7, "TOUCHED", 1),
        ("BREAKER", 5, 4, 8, "MITIGATED", 2),
        ("IFVG", 5, 4, 5, "CREATED", 0),
        ("IFVG", 5, 4, 8, "TOUCHED", 1),
    ]
    assert sorted(found.of("inversions", *LIFE)) == [
        ("BREAKER", 2, 7, "MITIGATED", 8),
        ("IFVG", 1, 8, "ACTIVE", None),
    ]


def test_an_inversion_expires_by_its_own_age(read: Reader) -> None:
    # created at bar 5 (its parents at bar 4): four bars old at bar 9
    rows: list[Candle] = [*INVERTED, *[(100.0, 100.25, 98.0, 99.0)] * 4]
    params = EngineParams(pivot_n=2, expiry_bars=4)
    assert {row[3:] for row in view(read, rows[:-1], params=params).of("inversions", *LIFE)} == {("ACTIVE", None)}
    assert {row[3:] for row in view(read, rows, params=params).of("inversions", *LIFE)} == {("EXPIRED", 9)}


@both_ways
def test_inversions_have_a_limit_of_their_own_and_the_older_parent_comes_first(read: Reader, *, up: bool) -> None:
    # of the two parents of bar 4 the gap is the older: its inversion is appended first and makes room for the other
    params = EngineParams(pivot_n=2, max_inversions=1)
    found = view(read, INVERTED, up=up, params=params)
    born = [row for row in found.of("zone_events", *EVENT) if row[0] in {"BREAKER", "IFVG"}]
    assert sorted(born) == [("BREAKER", 5, 4, 5, "CREATED", 0), ("IFVG", 5, 4, 5, "EVICTED", 0)]
    assert sorted(found.of("inversions", *LIFE)) == [
        ("BREAKER", 0, None, "ACTIVE", None),
        ("IFVG", 0, None, "EVICTED", 5),
    ]

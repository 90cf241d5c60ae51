"""Golden bars for engine-spec section 4: breaks of structure, trend and range_pos.

The bars are mere prices (high = low = close) unless a wick is said; swings have a half-width of 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import EngineParams
from tests.engine.hand_bars import hand_bars
from tests.engine.readers import READERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.engine.readers import Reader

pytestmark = pytest.mark.parametrize("read", READERS)

TWO = EngineParams(pivot_n=2)
ROW = ("ts", "kind", "ref_ts", "level")
OPPOSITE = {"BOS_UP": "BOS_DN", "BOS_DN": "BOS_UP", "CHOCH_UP": "CHOCH_DN", "CHOCH_DN": "CHOCH_UP"}

# HIGH 13 of bar 2, known at bar 4; LOW 11 of bar 4, known at bar 6, where 13.5 breaks 13
BREAK_UP = [10, 11, 13, 12, 11, 13, 13.5]
# then HIGH 16 of bar 7 (known at 9) and LOW 14 of bar 9 (known at 11)
PULLBACK = [*BREAK_UP, 16, 15, 14, 15]


def breaks(read: Reader, prices: Sequence[float], *, up: bool = True) -> list[tuple[object, ...]]:
    """The events of the prices, or of the same upside down (around 100) told as if they were not."""
    if up:
        return read(hand_bars(prices), TWO).of("smc_events", *ROW)
    found = read(hand_bars([100 - price for price in prices]), TWO).of("smc_events", *ROW)
    return [(ts, OPPOSITE[kind], ref, 100 - level) for ts, kind, ref, level in found]


both_ways = pytest.mark.parametrize("up", [True, False], ids=["up", "down"])


@both_ways
def test_without_a_trend_a_close_beyond_the_external_swing_is_a_bos(read: Reader, *, up: bool) -> None:
    # bar 5 closes at 13 itself: not beyond; bar 6 at 13.5
    assert breaks(read, BREAK_UP, up=up) == [(6, "BOS_UP", 2, 13.0)]


@both_ways
def test_without_a_trend_the_last_swing_is_not_the_reference(read: Reader, *, up: bool) -> None:
    # HIGH 14 of bar 2, HIGH 13 of bar 5 (known at bar 7). 13.5 is beyond the last one only, 14.5 beyond the external
    found = breaks(read, [10, 11, 14, 12, 11, 13, 12, 11.5, 13.5, 14.5], up=up)
    assert found == [(9, "BOS_UP", 2, 14.0)]


def test_a_wick_beyond_the_swing_is_no_break(read: Reader) -> None:
    bars = hand_bars([10, 11, 13, 12, 11, 13, 13], high=[10, 11, 13, 12, 11, 15, 15])
    assert read(bars, TWO).of("smc_events", *ROW) == []


@both_ways
def test_a_broken_swing_is_not_broken_again(read: Reader, *, up: bool) -> None:
    # 14, 15, 16 are all beyond 13, and no newer HIGH is known
    assert breaks(read, [*BREAK_UP, 14, 15, 16], up=up) == [(6, "BOS_UP", 2, 13.0)]


@both_ways
def test_a_broken_swing_is_not_broken_again_after_the_trend_has_turned(read: Reader, *, up: bool) -> None:
    # LOW 10 of bar 2 (known at 4), HIGH 13 of bar 4 (known at 6). Bar 7 breaks the HIGH, bar 8 the LOW; no HIGH has
    # been confirmed since, so that bar 9, back above 13 and above all, has nothing to break: the last HIGH went too
    found = breaks(read, [12, 11, 10, 11, 13, 12, 12, 14, 9, 15], up=up)
    assert found == [(7, "BOS_UP", 4, 13.0), (8, "CHOCH_DN", 2, 10.0)]


@both_ways
def test_with_the_trend_the_external_swing_is_the_reference(read: Reader, *, up: bool) -> None:
    # a second HIGH 15.5 of bar 11, known at bar 13. 15.8 is beyond that last one, not beyond the external 16; 16.5 is
    prices = [*PULLBACK, 15.5, 15, 14.5, 15.8, 16.5]
    assert breaks(read, prices, up=up) == [(6, "BOS_UP", 2, 13.0), (15, "BOS_UP", 7, 16.0)]


@both_ways
def test_of_equal_external_swings_the_first_is_named(read: Reader, *, up: bool) -> None:
    # HIGH 16 of bar 7 and HIGH 16 of bar 11, both known when bar 15 closes at 16.5
    prices = [*PULLBACK, 16, 15, 14.5, 16, 16.5]
    assert breaks(read, prices, up=up) == [(6, "BOS_UP", 2, 13.0), (15, "BOS_UP", 7, 16.0)]


@both_ways
def test_against_the_trend_the_last_swing_is_the_reference_and_its_break_clears_the_side(
    read: Reader, *, up: bool
) -> None:
    # up to bar 15 as before; LOWs 11 (bar 4), 14 (bar 9) and 14.5 (bar 13, known at 15). 14.5 itself breaks nothing;
    # 14.4 breaks the last LOW. Then 10 lies beyond 14 and 11 as well, but they went with it
    prices = [*PULLBACK, 15.5, 15, 14.5, 15.8, 16.5, 14.5, 14.4, 10, 9]
    assert breaks(read, prices, up=up) == [
        (6, "BOS_UP", 2, 13.0),
        (15, "BOS_UP", 7, 16.0),
        (17, "CHOCH_DN", 13, 14.5),
    ]


# BOS_DN at bar 7: 14 breaks LOW 15 (bar 4); HIGH 20 (bar 2) and HIGH 16.5 (bar 6, known at 8) stand unbroken. At bar
# 10 17 breaks 16.5, the last HIGH: CHOCH_UP, and 20 is cleared with it: 21 and 22 break nothing. HIGH 22 of bar 12 is
# known at bar 14 and broken at bar 16: BOS_UP
TURN = [18, 19, 20, 17, 15, 16, 16.5, 14, 13, 15, 17, 21, 22, 20, 19, 22, 23]
TURN_ROWS = [(7, "BOS_DN", 4, 15.0), (10, "CHOCH_UP", 6, 16.5), (16, "BOS_UP", 12, 22.0)]


@both_ways
def test_a_change_of_character_clears_higher_unbroken_swings_too(read: Reader, *, up: bool) -> None:
    assert breaks(read, TURN, up=up) == TURN_ROWS


def test_the_trend_of_a_bar_is_the_one_after_its_event(read: Reader) -> None:
    found = read(hand_bars(TURN), TWO).of("indicators", "trend")
    assert [trend for (trend,) in found] == [0] * 7 + [-1] * 3 + [1] * 7


def test_a_swing_known_at_a_bar_is_the_reference_of_that_bar(read: Reader) -> None:
    # HIGH 13 (bar 2) stands; bar 5 has a wick to 15, a HIGH known at bar 7. Bar 7 closes at 14: beyond 13, but the
    # external HIGH is 15 by now. 16 breaks it
    bars = hand_bars([10, 11, 13, 12, 11, 12, 12, 14, 16], high=[10, 11, 13, 12, 11, 15, 12, 14, 16])
    assert read(bars, TWO).of("smc_events", *ROW) == [(8, "BOS_UP", 5, 15.0)]


@pytest.mark.parametrize("wick", [14.5, 15.0])
def test_range_pos_is_where_the_close_stands_between_the_latest_high_and_low(read: Reader, wick: float) -> None:
    # LOW 15 of bar 2 (known at 4), HIGH 17 of bar 4 (known at 6): from bar 6 on (close − 15)/2, outside [0, 1] too.
    # The wick of bar 7 is a HIGH known at bar 9, not above the LOW 15: null. LOW 8 of bar 10, known at bar 12
    prices = [18, 17, 15, 16, 17, 14, 12, 11, 10, 9, 8, 9, 10, 21]
    bars = hand_bars(prices, high=[wick if t == 7 else price for t, price in enumerate(prices)])
    found = read(bars, TWO).of("indicators", "range_pos")
    late = [(10 - 8) / (wick - 8), (21 - 8) / (wick - 8)]
    assert [pos for (pos,) in found] == [None] * 6 + [-1.5, -2.0, -2.5, None, None, None, *late]


def test_range_pos_goes_on_from_broken_swings(read: Reader) -> None:
    # the HIGH 13 is broken at bar 6, where LOW 11 becomes known: (13.5 − 11)/2, then (16 − 11)/2
    found = read(hand_bars([*BREAK_UP, 16]), TWO).of("indicators", "range_pos")
    assert [pos for (pos,) in found] == [None] * 6 + [1.25, 2.5]

"""Golden bars for engine-spec section 4b: equal levels and sweeps. Swings have a half-width of 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine import EngineParams
from tests.engine.hand_bars import candles, hand_bars, turned
from tests.engine.readers import READERS

if TYPE_CHECKING:
    from tests.engine.hand_bars import Candle
    from tests.engine.readers import Reader

pytestmark = pytest.mark.parametrize("read", READERS)

TWO = EngineParams(pivot_n=2)
ROW = ("ts", "kind", "ref_ts", "level")
OPPOSITE = {"EQH": "EQL", "EQL": "EQH", "SWEEP_HIGH": "SWEEP_LOW", "SWEEP_LOW": "SWEEP_HIGH"}

both_ways = pytest.mark.parametrize("up", [True, False], ids=["up", "down"])


def events(read: Reader, rows: list[Candle], *, up: bool, params: EngineParams = TWO, lead: int = 40) -> list[Any]:
    """The events of the candles, or of the same upside down told as if they were not."""
    if up:
        return read(candles(rows, lead=lead), params).after_lead("liquidity_events", *ROW)
    found = read(candles(turned(rows), lead=lead), params).after_lead("liquidity_events", *ROW)
    return [(ts, OPPOSITE[kind], ref, 200 - level) for ts, kind, ref, level in found]


# Every true range is 2, so atr14 is 2. HIGH 104 of bar 1 (known at 3), HIGH 103.5 of bar 5 (known at 7): 0.5 apart. LOW
# 100 of bar 3 (known at 5) is left behind by bar 7, which closes below it.
NEARLY_EQUAL: list[Candle] = [
    (100, 102, 100, 102),
    (102, 104, 102, 104),
    (104, 104, 102, 102),
    (102, 102, 100, 100),
    (100, 102, 100, 102),
    (102, 103.5, 101.5, 103.5),
    (103.5, 103.5, 101.5, 101.5),
    (101.5, 101.5, 99.5, 99.5),
]


@both_ways
@pytest.mark.parametrize(("eq_tol", "found"), [(0.25, [(7, "EQH", 1, 104.0)]), (0.2499, []), (0.1, [])])
def test_two_highs_within_the_tolerance_are_equal_the_bound_included(
    read: Reader, *, up: bool, eq_tol: float, found: list[Any]
) -> None:
    # 0.5 ≤ 0.25·2; the event names the earlier pivot and the higher price
    assert events(read, NEARLY_EQUAL, up=up, params=EngineParams(pivot_n=2, eq_tol=eq_tol)) == found


@both_ways
def test_equal_highs_have_the_level_of_the_later_one_where_that_is_higher(read: Reader, *, up: bool) -> None:
    # bar 6 runs up to 104.5, above the untaken 104, and closes below it: a sweep. It is a HIGH itself, known at bar 8
    # and 0.5 away from the swept one
    rows = [
        *NEARLY_EQUAL[:5],
        (102, 104, 102, 104),
        (104, 104.5, 102.5, 102.5),
        (102.5, 102.5, 100.5, 100.5),
        (100.5, 100.5, 98.5, 98.5),
    ]
    found = events(read, rows, up=up, params=EngineParams(pivot_n=2, eq_tol=0.25))
    assert found == [(6, "SWEEP_HIGH", 1, 104.0), (8, "EQH", 1, 104.5)]


def test_only_the_high_immediately_before_is_compared(read: Reader) -> None:
    # HIGHs 104, 164, 104 (bars 1, 5, 9): neighbours are 60 apart, some ten atr14. LOWs 100 and 100 (bars 3 and 7) are
    # neighbours: EQL, known at bar 9. All breaks close beyond, so nothing is swept
    bars = [(price, price, price, price) for price in (102, 104, 102, 100, 150, 164, 150, 100, 102, 104, 102, 100)]
    found = read(candles(bars), TWO).after_lead("liquidity_events", *ROW)
    assert found == [(9, "EQL", 3, 100.0)]


def test_equal_highs_need_atr14(read: Reader) -> None:
    # 15 and 15 at bars 2 and 5: the second is known at bar 7, before the 15th bar
    assert read(hand_bars([10, 11, 15, 11, 10, 15, 11, 10]), TWO).of("liquidity_events", *ROW) == []


def test_a_tolerance_of_zero_wants_the_same_price(read: Reader) -> None:
    # HIGH 101 of bars 2, 5 and 27; atr14 is defined from bar 14 on, so only the last, known at bar 29, is compared
    prices = [100, 100, 101, 100, 100, 101, *[100] * 21, 101, 100, 100]
    found = read(hand_bars(prices), EngineParams(pivot_n=2, eq_tol=0.0)).of("liquidity_events", *ROW)
    assert found == [(29, "EQH", 5, 101.0)]


# HIGH 13 of bar 2, known at bar 4
KNOWN_HIGH = [10, 11, 13, 12, 11]


def sweeps(
    read: Reader, close: list[float], *, high: dict[int, float], low: dict[int, float] | None = None, up: bool = True
) -> list[Any]:
    """The events of prices with some wicks, or of the same upside down told as if they were not."""
    wicks = {} if low is None else low
    tops = [high.get(t, price) for t, price in enumerate(close)]
    bottoms = [wicks.get(t, price) for t, price in enumerate(close)]
    if up:
        return read(hand_bars(close, high=tops, low=bottoms), TWO).of("liquidity_events", *ROW)
    flipped = [[200 - price for price in prices] for prices in (close, bottoms, tops)]
    found = read(hand_bars(flipped[0], high=flipped[1], low=flipped[2]), TWO).of("liquidity_events", *ROW)
    return [(ts, OPPOSITE[kind], ref, 200 - level) for ts, kind, ref, level in found]


@both_ways
def test_a_sweep_exceeds_the_high_closes_not_above_it_and_comes_once(read: Reader, *, up: bool) -> None:
    # bar 5 reaches 13 itself: not taken. Bar 6 exceeds it and closes at 13: swept. Bar 7 finds nothing left
    found = sweeps(read, [*KNOWN_HIGH, 12, 13, 12], high={5: 13, 6: 13.5, 7: 14}, up=up)
    assert found == [(6, "SWEEP_HIGH", 2, 13.0)]


@both_ways
def test_a_high_closed_beyond_is_taken_without_an_event(read: Reader, *, up: bool) -> None:
    # bar 5 closes at 14: taken. The wick of bar 6 sweeps nothing
    assert sweeps(read, [*KNOWN_HIGH, 14, 12], high={6: 15}, up=up) == []


@both_ways
def test_a_newer_high_replaces_an_untaken_one(read: Reader, *, up: bool) -> None:
    # HIGH 12 of bar 6 (known at bar 8) takes the place of HIGH 13. Bar 9 sweeps 12; at bar 10 13 is exceeded: nothing
    found = sweeps(read, [10, 11, 13, 11, 10, 11, 12, 11, 10, 11, 11], high={9: 12.5, 10: 13.5}, up=up)
    assert found == [(9, "SWEEP_HIGH", 6, 12.0)]


def test_both_sides_swept_at_one_bar_are_told_high_first(read: Reader) -> None:
    # LOW 11 of bar 4, known at bar 6; bar 7 reaches from 14 down to 10 and closes between
    found = sweeps(read, [*KNOWN_HIGH, 12, 12.5, 12], high={7: 14}, low={7: 10})
    assert found == [(7, "SWEEP_HIGH", 2, 13.0), (7, "SWEEP_LOW", 4, 11.0)]


@pytest.mark.parametrize(("close", "found"), [(101.0, []), (101.0001, [])])
def test_a_bar_that_confirms_a_high_takes_no_older_one(read: Reader, close: float, found: list[Any]) -> None:
    # zigzag with k = 0.5: HIGH 101 of bar −3 is untaken and a HIGH is sought. Bar 0 reaches 102 and closes 1 below
    # that: its own high is confirmed at it, so 101 is replaced, not swept. A close of 101.0001 confirms nothing and
    # lies beyond 101: taken without an event
    params = EngineParams(swing_mode="zigzag", zigzag_k=0.5, eq_tol=0.0)
    bars = candles([(101, 102, 100, close)], lead=20)
    assert read(bars, params).after_lead("liquidity_events", *ROW) == found


def test_the_same_bar_sweeps_where_it_confirms_nothing(read: Reader) -> None:
    # as above with a high of 101.5 only: 101 > 101.5 − 1 confirms nothing, and 101.5 > 101 ≥ 101 is a sweep
    params = EngineParams(swing_mode="zigzag", zigzag_k=0.5, eq_tol=0.0)
    bars = candles([(101, 101.5, 99.5, 101)], lead=20)
    assert read(bars, params).after_lead("liquidity_events", *ROW) == [(0, "SWEEP_HIGH", -3, 101.0)]

"""Golden bars for engine-spec section 3: every expected row is worked out beside the bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import EngineParams
from tests.engine.hand_bars import candles, hand_bars
from tests.engine.readers import READERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from tests.engine.readers import Reader

pytestmark = pytest.mark.parametrize("read", READERS)

TWO = EngineParams(pivot_n=2)
ROW = ("ts", "pivot_ts", "kind", "price", "label")


def highs(high: Sequence[float]) -> pl.DataFrame:
    """Bars that differ in their highs alone: of equal lows none stands below those before it."""
    return hand_bars([8.0] * len(high), high=high, low=[5.0] * len(high))


def lows(low: Sequence[float]) -> pl.DataFrame:
    return hand_bars([30.0] * len(low), high=[40.0] * len(low), low=low)


def test_a_high_is_known_three_bars_after_its_pivot(read: Reader) -> None:
    # 15 stands above 10, 11, 12 before it and 13, 12, 11 after it: bar 3, decided when bar 6 closes
    found = read(highs([10, 11, 12, 15, 13, 12, 11]))
    assert found.of("swings", *ROW, "left_n", "right_n") == [(6, 3, "HIGH", 15.0, None, 3, 3)]


def test_a_high_is_not_known_while_one_of_its_three_bars_is_missing(read: Reader) -> None:
    assert read(highs([10, 11, 12, 15, 13, 12])).of("swings", *ROW) == []


def test_a_low_mirrors_a_high(read: Reader) -> None:
    # 5 stands below 10, 9, 8 before it and 7, 8, 9 after it
    assert read(lows([10, 9, 8, 5, 7, 8, 9])).of("swings", *ROW) == [(6, 3, "LOW", 5.0, None)]


def test_a_bar_with_fewer_than_n_bars_before_it_is_never_decided(read: Reader) -> None:
    # the highest bar is bar 2, one short of the three it needs before it; bars 3, 4 and 5 have it among theirs, and
    # bars 6 on have an equal high before them
    assert read(highs([10, 11, 15, 12, 11, 10, 10, 10, 10])).of("swings", *ROW) == []


def test_of_equal_highs_the_first_counts(read: Reader) -> None:
    # bar 2 needs ≥ what follows: 15 does; bar 3 needs > what comes before: 15 does not
    assert read(highs([10, 11, 15, 15, 11, 10]), TWO).of("swings", *ROW) == [(4, 2, "HIGH", 15.0, None)]


def test_of_equal_lows_the_first_counts(read: Reader) -> None:
    assert read(lows([10, 9, 5, 5, 9, 10]), TWO).of("swings", *ROW) == [(4, 2, "LOW", 5.0, None)]


def test_equal_highs_further_apart_are_two_swings_and_the_second_is_not_higher(read: Reader) -> None:
    # bars 2 and 5 do not see each other within two bars; 15 is not above 15: LH
    found = read(highs([10, 11, 15, 11, 10, 15, 11, 10]), TWO).of("swings", *ROW)
    assert found == [(4, 2, "HIGH", 15.0, None), (7, 5, "HIGH", 15.0, "LH")]


def test_equal_lows_further_apart_are_two_swings_and_the_second_is_not_lower(read: Reader) -> None:
    found = read(lows([10, 9, 5, 9, 10, 5, 9, 10]), TWO).of("swings", *ROW)
    assert found == [(4, 2, "LOW", 5.0, None), (7, 5, "LOW", 5.0, "HL")]


def test_labels_compare_with_the_previous_swing_of_the_same_kind(read: Reader) -> None:
    # peaks 15, 17, 16 at bars 2, 6, 10; troughs 10, 9, 11 at bars 4, 8, 12, each a bar's low, one below its high
    high = [12, 14, 15, 13, 11, 13, 17, 14, 10, 13, 16, 14, 12, 14, 15]
    bars = hand_bars([value - 0.5 for value in high], high=high, low=[value - 1 for value in high])
    assert read(bars, TWO).of("swings", *ROW) == [
        (4, 2, "HIGH", 15.0, None),
        (6, 4, "LOW", 10.0, None),
        (8, 6, "HIGH", 17.0, "HH"),
        (10, 8, "LOW", 9.0, "LL"),
        (12, 10, "HIGH", 16.0, "LH"),
        (14, 12, "LOW", 11.0, "HL"),
    ]


def test_one_bar_may_be_both_and_its_high_comes_first(read: Reader) -> None:
    bars = hand_bars([7.0] * 5, high=[10, 10, 15, 10, 10], low=[5, 5, 1, 5, 5])
    assert read(bars, TWO).of("swings", *ROW) == [(4, 2, "HIGH", 15.0, None), (4, 2, "LOW", 1.0, None)]


@pytest.mark.parametrize(("tenth", "found"), [(30, [(20, 10, "HIGH", 30.0, None)]), (31, [])])
def test_the_widest_half_width_looks_ten_bars_each_way(
    read: Reader, tenth: int, found: list[tuple[object, ...]]
) -> None:
    # bar 10 stands above the ten before and the nine after it; the tenth may equal it, not exceed it
    high = [*range(10, 20), 30, *range(29, 20, -1), tenth]
    assert read(highs(high), EngineParams(pivot_n=10)).of("swings", *ROW) == found


# Zigzag: after the calm lead-in atr14 is 2, and stays 2 because each bar has a range of 2 around the close before it.
ZIGZAG = EngineParams(swing_mode="zigzag")  # k = 2: a swing is confirmed by a close 4 away from it
NEAR = EngineParams(swing_mode="zigzag", zigzag_k=0.5)  # 1 away


def test_a_zigzag_swing_is_confirmed_by_a_close_k_atr_away_the_bound_included(read: Reader) -> None:
    bars = candles(
        [
            (100, 102, 100, 102),
            # 104 ≥ 99 + 4: the LOW of bar −20 (first of the equal 99) is the first swing. A HIGH is sought: the highest
            # high after that LOW is this bar's 104
            (102, 104, 102, 104),
            (104, 104, 102, 102),  # an equal high: the first keeps the candidate
            # 100 ≤ 104 − 4: HIGH of bar 1. A LOW is sought: the lowest low after bar 1 is this bar's 100
            (102, 102, 100, 100),
            (100, 100, 98, 98),  # 98: a lower low; what lay beside the old one is forgotten
            (98, 100, 98, 100),  # 100 < 98 + 4; an equal low
            (100, 102, 100, 102),  # 102 ≥ 98 + 4: LOW of bar 4, below 99: LL. Beside it the highest high is this 102
            (102, 102, 100, 100),  # 100 > 102 − 4
            (100, 100, 98, 98),  # 98 ≤ 102 − 4: HIGH of bar 6, below 104: LH
        ],
        lead=20,
    )
    assert read(bars, ZIGZAG).of("swings", *ROW, "left_n", "right_n") == [
        (1, -20, "LOW", 99.0, None, None, None),
        (3, 1, "HIGH", 104.0, None, None, None),
        (6, 4, "LOW", 98.0, "LL", None, None),
        (8, 6, "HIGH", 102.0, "LH", None, None),
    ]


def test_a_further_extreme_forgets_what_lay_beside_the_one_before(read: Reader) -> None:
    bars = candles(
        [
            (100, 102, 100, 102),
            (102, 104, 102, 104),
            (104, 104, 102, 102),
            (102, 102, 100, 100),  # HIGH of bar 1, as above; the LOW's candidate is this 100
            (100, 102, 100, 102),
            (102, 103.5, 101.5, 101.5),  # 103.5 lies beside it
            (101.5, 101.5, 99.5, 99.5),  # 99.5: the candidate from here on, with nothing beside it
            (99.5, 101.5, 99.5, 101.5),
            (101.5, 103.5, 101.5, 103.5),  # 103.5 ≥ 99.5 + 4: LOW of bar 6. The HIGH's candidate is this 103.5
            (103.5, 103.5, 101.5, 101.5),
            (101.5, 101.5, 99.5, 99.5),  # 99.5 ≤ 103.5 − 4: HIGH of bar 8, not of bar 5
        ],
        lead=20,
    )
    assert read(bars, ZIGZAG).of("swings", *ROW)[2:] == [(8, 6, "LOW", 99.5, "HL"), (10, 8, "HIGH", 103.5, "LH")]


def test_nothing_is_confirmed_before_atr14_and_then_the_high_comes_first_and_one_a_bar(read: Reader) -> None:
    # a close of 100 is 1 away from 101 and from 99 at once. atr14 begins at the 15th bar (−6): both are confirmed there
    # (both of bar −20, the first of equals), the HIGH decides. The LOW beside it is that of bar −19, and the next bar
    # confirms it. From then on the candidate is the one bar between: each bar confirms the bar before it
    assert read(candles([], lead=20), NEAR).of("swings", *ROW) == [
        (-6, -20, "HIGH", 101.0, None),
        (-5, -19, "LOW", 99.0, None),
        (-4, -5, "HIGH", 101.0, "LH"),
        (-3, -4, "LOW", 99.0, "HL"),
        (-2, -3, "HIGH", 101.0, "LH"),
        (-1, -2, "LOW", 99.0, "HL"),
    ]


def test_a_low_begins_as_the_lowest_low_after_the_high_and_the_high_beside_it_comes_from_later_bars(
    read: Reader,
) -> None:
    bars = candles(
        [
            (100, 102, 100, 102),  # a HIGH is sought since bar −1 (the test above)
            (102, 104, 102, 104),  # its candidate: 104
            (104, 104, 102, 103.5),  # 103.5 > 104 − 1; the low 102 lies beside it
            (103.5, 104, 102, 103),  # 103 ≤ 104 − 1: HIGH of bar 1; the LOW sought is bar 2's, the first 102
            # true range 1: atr14 = 27/14, half of it 0.96. 103.5 ≥ 102 + 0.96: LOW of bar 2. The highest high beside it
            # is this 103.5: bar 3's 104 came before its side was sought
            (103, 103.5, 102.5, 103.5),
            (103.5, 103.5, 101.5, 101.5),  # 101.5 ≤ 103.5 − 0.97: HIGH of bar 4
        ],
        lead=20,
    )
    assert read(bars, NEAR).after_lead("swings", *ROW) == [
        (3, 1, "HIGH", 104.0, "HH"),
        (4, 2, "LOW", 102.0, "HL"),
        (5, 4, "HIGH", 103.5, "LH"),
    ]


def test_a_high_confirmed_by_its_own_bar_leaves_the_next_low_to_the_bar_after(read: Reader) -> None:
    bars = candles(
        [
            (101, 102, 100, 101),  # a new highest high, and 101 ≤ 102 − 1: HIGH of bar 0 at bar 0
            # the LOW's candidate is this bar's 100.5, not the 100 of the bar of the HIGH; 101.5 ≥ 100.5 + 1
            (101, 102.5, 100.5, 101.5),
            (101.5, 102.5, 100.5, 101),  # likewise the HIGH's is this bar's 102.5; 101 ≤ 102.5 − 1
        ],
        lead=20,
    )
    assert read(bars, NEAR).after_lead("swings", *ROW) == [
        (0, 0, "HIGH", 102.0, "HH"),
        (1, 1, "LOW", 100.5, "HL"),
        (2, 2, "HIGH", 102.5, "HH"),
    ]


def test_a_market_that_does_not_move_has_no_zigzag(read: Reader) -> None:
    # atr14 is 0, so every close is 0 away from both extremes: that confirms nothing
    assert read(hand_bars([100.0] * 30), ZIGZAG).of("swings", *ROW) == []

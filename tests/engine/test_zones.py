"""Golden bars for engine-spec section 5: which zones are formed, and how strong (their lives: test_zone_lives.py).

The bars and what their numbers make are told in zone_bars.py. Most cases are read upside down as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine import EngineParams
from tests.engine.readers import READERS
from tests.engine.zone_bars import BREAK, BREAK_AND_GAP, EVENT, GAP, LIFE, TWO, both_ways, quiet_then_gap, view

if TYPE_CHECKING:
    from tests.engine.hand_bars import Candle
    from tests.engine.readers import Reader

pytestmark = pytest.mark.parametrize("read", READERS)

BOUNDS = ("kind", "side", "price_lo", "price_hi", "created_ts")


def expected(kind: str, lo: float, hi: float, created: int, *, up: bool) -> tuple[Any, ...]:
    """BOUNDS of a zone of the side that carried the rise (the fall, upside down)."""
    if up:
        return kind, "DEMAND", lo, hi, created
    return kind, "SUPPLY", 200 - hi, 200 - lo, created


@both_ways
def test_a_gap_between_the_bars_around_a_bar_is_a_zone(read: Reader, *, up: bool) -> None:
    # strength: disp = 1.5/3, ⌊2·0.5⌋ = 1; volume 1 over a mean of 1: ⌊1⌋ = 1; no break: 2
    found = view(read, GAP, up=up)
    assert found.of("zones", *BOUNDS) == [expected("FVG", 101.0, 102.5, 1, up=up)]
    assert found.of("zones", "origin_ts", "origin_event", "strength", "expiry_bars") == [(0, None, 2, 200)]
    assert found.of("zones", *LIFE) == [("FVG", 0, None, "ACTIVE", None)]
    assert found.of("zone_events", *EVENT) == [("FVG", 1, None, 1, "CREATED", 0)]


@both_ways
@pytest.mark.parametrize(("fvg_min_atr", "zones"), [(0.5, 1), (0.5001, 0)])
def test_a_gap_of_exactly_the_least_width_is_one(read: Reader, *, up: bool, fvg_min_atr: float, zones: int) -> None:
    found = view(read, GAP, up=up, params=EngineParams(fvg_min_atr=fvg_min_atr))
    assert len(found.rows["zones"]) == zones


@both_ways
@pytest.mark.parametrize(("low", "zones"), [(101.0, 0), (101.25, 1)])
def test_touching_bars_leave_no_gap_even_where_any_width_will_do(
    read: Reader, *, up: bool, low: float, zones: int
) -> None:
    found = view(read, [GAP[0], (109, 112, low, 110)], up=up, params=EngineParams(fvg_min_atr=0.0))
    assert len(found.rows["zones"]) == zones


@pytest.mark.parametrize("slots", [[0, 2], [1, 2]], ids=["before the last", "before the middle"])
def test_over_a_hole_no_gap_is_a_zone(read: Reader, slots: list[int]) -> None:
    assert view(read, GAP, slots=slots).rows["zones"] == []


@pytest.mark.parametrize(("lead", "strengths"), [(12, []), (13, [0]), (17, [1]), (18, [2])])
def test_a_gap_needs_atr14_and_its_volume_term_twenty_bars(read: Reader, lead: int, strengths: list[int]) -> None:
    # bar 1 is bar lead + 1 of the series. 13: no atr14 yet. 14: atr14 = (12·2 + 9 + 9.5)/14 = 3.04, disp 0.49,
    # ⌊0.99⌋ = 0. 18: disp 0.5 counts 1, the mean of 20 volumes is not defined yet. 19: it is
    found = view(read, GAP, lead=lead)
    assert found.of("zones", "strength") == [(strength,) for strength in strengths]


@both_ways
@pytest.mark.parametrize(
    ("volume", "strength"),
    [
        (1.0, 7),  # ⌊1⌋
        (2.0, 7),  # mean 21/20, ⌊1.9⌋
        (5.0, 8),  # mean 24/20, 4.2 counts as 2
        (0.0, 6),
    ],
)
def test_the_terms_of_strength_are_capped(read: Reader, *, up: bool, volume: float, strength: int) -> None:
    # bar 0: true range 44, atr14 = 5; bar 1: 5, atr14 = 5. The gap of 131 − 101 = 30 is 6·atr14 and counts as 3: 6
    rows: list[Candle] = [(100, 144, 100, 133), (133, 136, 131, 135)]
    found = view(read, rows, up=up, volume=[1.0, volume])
    assert found.of("zones", *BOUNDS, "strength") == [(*expected("FVG", 101.0, 131.0, 1, up=up), strength)]


def test_without_any_volume_the_volume_term_is_nothing(read: Reader) -> None:
    # twenty bars of volume 0 up to bar 1, the first eighteen of them in the rows themselves
    rows: list[Candle] = [*[(100.0, 101.0, 99.0, 100.0)] * 18, *GAP]
    found = view(read, rows, lead=22, volume=[0.0] * 20)
    assert found.of("zones", "created_ts", "strength") == [(19, 1)]


@both_ways
def test_the_last_candle_against_a_break_is_an_order_block(read: Reader, *, up: bool) -> None:
    # disp = |103.5 − 101|/2 = 1.25, ⌊2.5⌋ = 2; volume 1; no gap: 3
    found = view(read, BREAK, up=up, params=TWO)
    assert found.of("zones", *BOUNDS) == [expected("OB", 100.5, 102.5, 4, up=up)]
    assert found.of("zones", "origin_ts", "origin_event", "strength") == [(2, "BOS_UP" if up else "BOS_DN", 3)]


@both_ways
def test_an_order_block_of_a_change_of_character_names_it(read: Reader, *, up: bool) -> None:
    # LOW 100 of bar 3 (100.5 and 101 before it) is known at bar 5; bar 6 closes at 99.75 below it: CHOCH_DN. Back from
    # bar 5 (a doji) the first candle that closes above its open is bar 4
    rows: list[Candle] = [*BREAK, (103.5, 104.5, 102.5, 103.5), (103.5, 103.5, 99.5, 99.75)]
    found = view(read, rows, up=up, params=TWO)
    side, lo, hi = ("SUPPLY", 101.5, 103.5) if up else ("DEMAND", 96.5, 98.5)
    last = found.of("zones", *BOUNDS, "origin_ts", "origin_event")[-1]
    assert last == ("OB", side, lo, hi, 6, 4, "CHOCH_DN" if up else "CHOCH_UP")


@both_ways
@pytest.mark.parametrize(
    ("quiet", "confluence_bars", "strength"),
    [
        (1, 3, 4),  # the gap is 3 bars after the break
        (2, 3, 2),  # 4 bars
        (2, 4, 4),
        (1, 0, 2),
    ],
)
def test_a_gap_at_most_three_bars_after_a_break_its_way_is_stronger_by_two(
    read: Reader, *, up: bool, quiet: int, confluence_bars: int, strength: int
) -> None:
    # disp = 1/2, ⌊1⌋ = 1; volume 1; confluence 2
    params = EngineParams(pivot_n=2, confluence_bars=confluence_bars)
    found = view(read, quiet_then_gap(quiet), up=up, params=params)
    assert found.of("zones", *BOUNDS, "strength") == [
        (*expected("OB", 100.5, 102.5, 4, up=up), 3),
        (*expected("FVG", 104.5, 105.5, quiet + 6, up=up), strength),
    ]


@both_ways
@pytest.mark.parametrize("confluence_bars", [0, 3])
def test_a_gap_and_a_break_of_one_bar_strengthen_each_other_and_the_gap_comes_first(
    read: Reader, *, up: bool, confluence_bars: int
) -> None:
    # FVG: disp = 1/2 counts 1, volume 1, confluence 2. OB: disp = |105 − 101|/2 = 2 counts 4, volume 1, confluence 2
    params = EngineParams(pivot_n=2, confluence_bars=confluence_bars)
    found = view(read, BREAK_AND_GAP, up=up, params=params)
    assert found.of("zones", *BOUNDS, "strength") == [
        (*expected("FVG", 102.5, 103.5, 4, up=up), 4),
        (*expected("OB", 100.5, 102.5, 4, up=up), 7),
    ]


def gap_then_break(quiet: int, *, pivot_bar: Candle, second: Candle) -> list[Candle]:
    """A gap at bar 4, then quiet bars, and at bar 7 + `quiet` a break of the HIGH 109 of bar 0 (known at bar 2).

    Bar 0 raises atr14 to 2.5, where it stays until the bar of the break. Bars 3 on rise; only `pivot_bar` (bar 0) and
    `second` (bar 2) may have closed below their open.
    """
    return [
        pivot_bar,
        (100, 101.25, 98.75, 100),
        second,
        (100, 102.5, 100, 102.5),
        (102.5, 105, 102.5, 105),  # gap of 1.25 above bar 2
        *[(105.0, 105.5, 103.0, 105.0)] * (quiet + 1),
        (105, 107.5, 105, 107.5),
        (107.5, 109.5, 106, 109.5),  # 106 is less than 0.3·atr14 above the high of two bars before
    ]


PIVOT_RISING: Candle = (100, 109, 100, 100)
PIVOT_FALLING: Candle = (100.5, 109, 100, 100)
DOJI: Candle = (100, 101.25, 98.75, 100)
FALLING: Candle = (100.5, 101.25, 98.75, 100)


@both_ways
@pytest.mark.parametrize(("quiet", "strength"), [(0, 9), (1, 7)])
@pytest.mark.parametrize("expiry_bars", [200, 1], ids=["gap active", "gap expired"])
def test_an_order_block_at_most_three_bars_after_a_gap_of_its_side_is_stronger_by_two_whatever_became_of_it(
    read: Reader, *, up: bool, quiet: int, strength: int, expiry_bars: int
) -> None:
    # disp = |109.5 − 100|/2.57 counts as 3: 6; volume 1; the gap of bar 4 is 3 or 4 bars before the break
    rows = gap_then_break(quiet, pivot_bar=PIVOT_RISING, second=FALLING)
    found = view(read, rows, up=up, params=EngineParams(pivot_n=2, expiry_bars=expiry_bars))
    assert found.of("zones", *BOUNDS, "strength") == [
        (*expected("FVG", 101.25, 102.5, 4, up=up), 2),
        (*expected("OB", 98.75, 101.25, 7 + quiet, up=up), strength),
    ]


@pytest.mark.parametrize(
    ("pivot_bar", "second", "ob_lookback", "origin"),
    [
        (PIVOT_FALLING, FALLING, 50, 2),  # the first found, going back
        (PIVOT_FALLING, DOJI, 50, 0),  # the pivot's own bar is the last looked at; a doji is not against the break
        (PIVOT_RISING, DOJI, 50, None),
        (PIVOT_FALLING, FALLING, 5, 2),  # back to bar 7 − 5 = 2
        (PIVOT_FALLING, FALLING, 4, None),  # back to bar 3
        (PIVOT_FALLING, DOJI, 7, 0),
        (PIVOT_FALLING, DOJI, 6, None),
    ],
)
def test_the_search_for_the_candle_goes_back_to_the_pivot_or_the_lookback_both_included(
    read: Reader, pivot_bar: Candle, second: Candle, ob_lookback: int, origin: int | None
) -> None:
    rows = gap_then_break(0, pivot_bar=pivot_bar, second=second)
    found = view(read, rows, params=EngineParams(pivot_n=2, ob_lookback=ob_lookback))
    blocks = [row["origin_ts"] for row in found.rows["zones"] if row["kind"] == "OB"]
    assert blocks == ([] if origin is None else [origin])


def test_a_candle_before_the_pivot_is_no_order_block(read: Reader) -> None:
    rows: list[Candle] = [(101, 101, 99, 100), *gap_then_break(0, pivot_bar=PIVOT_RISING, second=DOJI)]
    found = view(read, rows, params=TWO)
    assert found.of("smc_events", "ts", "kind", "ref_ts") == [(8, "BOS_UP", 1)]
    assert found.of("zones", "kind") == [("FVG",)]

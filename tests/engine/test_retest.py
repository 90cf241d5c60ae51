"""Golden bars for engine-spec section 6: setups, entries, confirmation and the signal's flags.

220 calm bars give ema200 = 100, rsi14 = 50 and macd_hist = 0; every true range is 2, so atr14 = 2 and tol = 0.5. Swings
have a half-width of 2. Most cases are read upside down as well (around 100), where LONG becomes SHORT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine import EngineParams
from tests.engine.hand_bars import candles, hand_bars, turned
from tests.engine.readers import READERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.engine.hand_bars import Candle
    from tests.engine.readers import Reader

pytestmark = pytest.mark.parametrize("read", READERS)

both_ways = pytest.mark.parametrize("up", [True, False], ids=["up", "down"])

TWO = EngineParams(pivot_n=2)
LEAD = 220
ZONE = ("ts", "zone_kind", "zone_created_ts")

# HIGH 103 of bar 1 is known at bar 3. Bar 4 leaves a gap above bar 2 and closes above 103: BOS_UP and a setup of
# t₀ = 4, with FVG [102.5, 103.5] (strength 4) and OB [100.5, 102.5] (strength 7), both of bar 4. The FVG is entered by
# a low of 104 or less, the OB by 103 or less.
OPENED: list[Candle] = [
    (100, 102, 100, 101),
    (101, 103, 101, 102),
    (102, 102.5, 100.5, 101),
    (101, 103, 101, 103),
    (103.5, 105, 103.5, 105),
]
INTO_FVG: Candle = (105, 105.5, 103.5, 105.25)  # rises
OUTSIDE: Candle = (105, 106.25, 104.25, 105)  # a doji; its low leaves a second gap [103, 104.25] above bar 3


def signals(
    read: Reader,
    rows: Sequence[Candle],
    *columns: str,
    up: bool = True,
    params: EngineParams = TWO,
    lead: int = LEAD,
    micro_bos: Mapping[int, int] | None = None,
    volume: Sequence[float] | None = None,
) -> list[tuple[Any, ...]]:
    """The signals of the candles (upside down: of the candles turned over, `micro_bos` too)."""
    bars = candles(list(rows) if up else turned(rows), lead=lead, volume=volume)
    given = micro_bos or {}
    signs = [0] * lead + [given.get(t, 0) * (1 if up else -1) for t in range(len(rows))]
    return read(bars, params, micro_bos=signs).of("signals_raw", *(columns or ZONE))


@both_ways
def test_a_bar_that_enters_a_zone_of_the_setup_and_moves_its_way_is_a_signal(read: Reader, *, up: bool) -> None:
    columns = ("ts", "agent", "side_hint", "entry_hint", "sl_hint", "tp_r", "ttl_bars", *ZONE[1:])
    side, entry, stop = ("LONG", 105.25, 102.0) if up else ("SHORT", 94.75, 98.0)  # 102.5 − 0.5
    expected = [(5, "retest", side, entry, stop, [1.5, 2.0, 3.0], 6, "FVG", 4)]
    assert signals(read, [*OPENED, INTO_FVG], *columns, up=up) == expected


@both_ways
def test_the_flags_of_a_signal_and_its_score(read: Reader, *, up: bool) -> None:
    # closes 101, 102, 101, 103, 105, 105.25 after calm: EMA12 − EMA26 runs ahead of its EMA9, macd_hist 0.449 at bar 4
    # and 0.553 at bar 5: `macd`. Gains make rsi14 86.2 at bar 4, not in [40, 55]: no `rsi`. There was no CHOCH:
    # structure_ok is false. Score: 0.30 + 0.10 (ema200) + 0.05 (macd) + 0.15·4/10
    ending = "up" if up else "down"
    features = (
        f'{{"ema200_{ending}":true,"in_direction":true,"macd_hist_{ending}":true,'
        '"micro_bos":false,"rsi_mid_rebound":false}'
    )
    found = signals(read, [*OPENED, INTO_FVG], "features", "retest_ok", "structure_ok", "score", up=up)
    assert found == [(features, False, False, pytest.approx(0.51, rel=1e-14))]


@both_ways
@pytest.mark.parametrize(
    ("lo", "hi", "rebound"),
    [
        (86.0, 86.5, True),  # rsi14 was 86.2 and is 86.8: the previous value counts
        (86.5, 87.0, False),
        (0.0, 86.0, False),
    ],
)
def test_rsi_rebounds_where_its_previous_value_lay_between_the_bounds(
    read: Reader, *, up: bool, lo: float, hi: float, rebound: bool
) -> None:
    # g and l after bar 4, from steps +1 +1 −1 +2 +2: 0.3858 and 0.0616, 86.2; after +0.25: 0.3761 and 0.0572, 86.8
    params = EngineParams(pivot_n=2, rsi_long=(lo, hi), rsi_short=(100 - hi, 100 - lo))
    found = signals(read, [*OPENED, INTO_FVG], "retest_ok", "score", up=up, params=params)
    # with macd it makes retest_ok: 0.20 + 0.05 more
    assert found == [(rebound, pytest.approx(0.76 if rebound else 0.51, rel=1e-14))]


@both_ways
def test_an_rsi_that_turns_away_is_no_rebound(read: Reader, *, up: bool) -> None:
    # the bar closes 0.25 lower and is confirmed by the sub-timeframe alone
    params = EngineParams(pivot_n=2, rsi_long=(0.0, 100.0), rsi_short=(0.0, 100.0))
    rows: list[Candle] = [*OPENED, (105, 105.5, 103.5, 104.75)]
    assert signals(read, rows, "ts", "retest_ok", up=up, params=params, micro_bos={5: 1}) == [(5, False)]


@both_ways
def test_a_histogram_that_falls_is_no_macd_though_it_lies_above_zero(read: Reader, *, up: bool) -> None:
    # a close of 103.25 makes macd_hist 0.426, down from 0.449. Score: 0.30 + 0.10 (ema200) + 0.15·4/10
    rows: list[Candle] = [*OPENED, (105, 105.25, 103.25, 103.25)]
    found = signals(read, rows, "ts", "retest_ok", "score", up=up, micro_bos={5: 1})
    assert found == [(5, False, pytest.approx(0.46, rel=1e-14))]


@both_ways
@pytest.mark.parametrize(
    ("close", "micro_bos", "confirmed"),
    [
        (105.25, 0, True),
        (105.25, -1, True),
        (105.0, 0, False),  # a doji moves no way
        (104.75, 0, False),
        (105.0, 1, True),
        (104.75, 1, True),
        (104.75, -1, False),
    ],
)
def test_a_signal_is_confirmed_by_its_bar_or_by_the_sub_timeframe(
    read: Reader, *, up: bool, close: float, micro_bos: int, confirmed: bool
) -> None:
    rows: list[Candle] = [*OPENED, (105, 105.5, 103.5, close)]
    assert signals(read, rows, up=up, micro_bos={5: micro_bos}) == ([(5, "FVG", 4)] if confirmed else [])


@both_ways
@pytest.mark.parametrize(("low", "found"), [(104.0, [(5, "FVG", 4)]), (104.0001, [])])
def test_a_zone_is_entered_a_quarter_atr_before_its_edge(
    read: Reader, *, up: bool, low: float, found: list[Any]
) -> None:
    # 103.5 + 0.25·2 (the range stays 2: 104 to 106)
    rows: list[Candle] = [*OPENED, (105, low + 2, low, 105.25)]
    assert signals(read, rows, up=up, params=EngineParams(pivot_n=2, fvg_min_atr=0.5)) == found


@both_ways
def test_the_strongest_entered_zone_is_taken(read: Reader, *, up: bool) -> None:
    # down to 103, also 0.5 above the order block of strength 7 (true range 2.5: atr14 = 28.5/14, tol a little more)
    rows: list[Candle] = [*OPENED, (105, 105.5, 103, 105.25)]
    assert signals(read, rows, up=up) == [(5, "OB", 4)]


@both_ways
def test_a_stronger_zone_is_taken_before_a_newer_one(read: Reader, *, up: bool) -> None:
    # bar 5 leaves FVG [103, 104] of strength 4; bar 6 enters it and the order block, of bar 4 and strength 7
    rows: list[Candle] = [*OPENED, (105, 106, 104, 104.5), (104.5, 105.5, 103, 105)]
    assert signals(read, rows, up=up) == [(6, "OB", 4)]


@both_ways
def test_of_equal_strength_the_newest_is_taken(read: Reader, *, up: bool) -> None:
    # bar 5 falls into FVG [102.5, 103.5] and leaves FVG [103, 104], of strength 4 too: gap 1/2 counts 1, volume 1, the
    # break one bar before 2. Bar 6 enters that one and is confirmed
    rows: list[Candle] = [*OPENED, (105, 106, 104, 104.5), (104.5, 105.5, 103.5, 105)]
    assert signals(read, rows, up=up) == [(6, "FVG", 5)]


@both_ways
def test_of_equal_strength_and_age_the_gap_is_taken(read: Reader, *, up: bool) -> None:
    # bar 4: FVG [102.25, 103.25], gap 1/2: 1 + 1 + 2; OB [101, 103] of bar 3, |104 − 102.5|/2 = 0.75: 1 + 1 + 2
    rows: list[Candle] = [
        *OPENED[:2],
        (102, 102.25, 100.25, 101),
        (103, 103, 101, 102.5),
        (103.25, 104.5, 103.25, 104),
        (103.75, 105.25, 103.25, 104.5),
    ]
    strengths = read(candles(rows, lead=LEAD), TWO).of("zones", "kind", "strength")
    assert strengths == [("FVG", 4), ("OB", 4)]
    assert signals(read, rows, up=up) == [(5, "FVG", 4)]


@both_ways
def test_a_zone_made_by_a_bar_joins_after_its_test(read: Reader, *, up: bool) -> None:
    # bar 5 leaves FVG [103, 104] with five times the volume (strength 5) and lies in it, but takes FVG [102.5, 103.5]
    rows: list[Candle] = [*OPENED, (104, 106, 104, 105.5)]
    volume = [1.0] * 5 + [5.0]
    newest = read(candles(rows, lead=LEAD, volume=volume), TWO).of("zones", "created_ts", "strength")[-1]
    assert newest == (5, 5)
    assert signals(read, rows, up=up, volume=volume) == [(5, "FVG", 4)]


@both_ways
@pytest.mark.parametrize(("expiry_bars", "found"), [(1, []), (2, [(5, "FVG", 4)])])
def test_a_zone_that_ends_at_the_bar_does_not_count(
    read: Reader, *, up: bool, expiry_bars: int, found: list[Any]
) -> None:
    params = EngineParams(pivot_n=2, expiry_bars=expiry_bars)
    assert signals(read, [*OPENED, INTO_FVG], up=up, params=params) == found


@both_ways
@pytest.mark.parametrize(("expiry_bars", "found"), [(2, []), (3, [(6, "FVG", 4)])])
def test_an_entered_zone_that_ended_since_does_not_count(
    read: Reader, *, up: bool, expiry_bars: int, found: list[Any]
) -> None:
    # bar 5 enters the zone and falls; bar 6 rises, when the zone is two bars old
    rows: list[Candle] = [*OPENED, (105, 105.5, 103.5, 104.75), (104.75, 105.5, 103.5, 105.25)]
    assert signals(read, rows, up=up, params=EngineParams(pivot_n=2, expiry_bars=expiry_bars)) == found


@both_ways
def test_a_zone_of_the_pivot_s_own_bar_belongs_to_the_setup(read: Reader, *, up: bool) -> None:
    # bar 1 leaves FVG [101, 102] and is the HIGH 104, broken by bar 4; no candle from bar 1 on closed below its open
    rows: list[Candle] = [
        (100, 102, 100, 102),
        (102, 104, 102, 103),
        (103, 104, 102, 103.5),
        (103.5, 104, 102, 103.5),
        (103.5, 105.5, 103.5, 105),
        (103, 105, 102.25, 104),
    ]
    assert signals(read, rows, up=up) == [(5, "FVG", 1)]


@both_ways
def test_a_zone_from_before_the_pivot_does_not(read: Reader, *, up: bool) -> None:
    # the same zone, but the HIGH is 104.5 of bar 2, broken by bar 5
    rows: list[Candle] = [
        (100, 102, 100, 102),
        (102, 104, 102, 103),
        (103, 104.5, 102.5, 103.5),
        (103.5, 104.5, 102.5, 103.5),
        (103.5, 104.5, 102.5, 103.5),
        (103.5, 105.5, 103.5, 105),
        (103, 105, 102.25, 104),
    ]
    tables = read(candles(rows, lead=LEAD), TWO)
    assert tables.of("smc_events", "ts", "ref_ts") == [(5, 2)]
    assert tables.of("zones", "kind", "created_ts", "status") == [("FVG", 1, "ACTIVE")]
    assert signals(read, rows, up=up) == []


@both_ways
def test_after_a_signal_the_setup_is_over(read: Reader, *, up: bool) -> None:
    assert signals(read, [*OPENED, INTO_FVG, INTO_FVG, INTO_FVG], up=up) == [(5, "FVG", 4)]


@both_ways
@pytest.mark.parametrize(
    ("waiting", "found"),
    [(7, [(12, "FVG", 5)]), (8, [])],  # bar 12 is t₀ + 8, bar 13 beyond the window
)
def test_a_zone_stays_entered_until_the_window_closes(
    read: Reader, *, up: bool, waiting: int, found: list[Any]
) -> None:
    # FVG [103, 104.25] of bar 5 is entered by bar 6 (104.25), which moves no way. The bar that does lies above it (105
    # is more than 104.25 + 0.5)
    rows: list[Candle] = [*OPENED, *[OUTSIDE] * waiting, (105, 107, 105, 106.2)]
    assert signals(read, rows, up=up) == found


@both_ways
def test_a_zone_that_was_never_entered_gives_nothing(read: Reader, *, up: bool) -> None:
    # where a gap must be 0.75·atr14 wide, only OB [100.5, 102.5] is left, and no bar comes down to 103
    params = EngineParams(pivot_n=2, fvg_min_atr=0.75)
    rows: list[Candle] = [*OPENED, OUTSIDE, OUTSIDE, (105, 107, 105, 106.2)]
    assert signals(read, rows, up=up, params=params) == []


@both_ways
@pytest.mark.parametrize(("lead", "found"), [(194, [5]), (193, [6])])
def test_a_signal_needs_ema200_but_a_zone_is_entered_without_it(
    read: Reader, *, up: bool, lead: int, found: list[int]
) -> None:
    # ema200 begins with the 200th bar, number 199: bar 5 after 194 calm ones. Bar 6 lies above the zone (104.75 > 104)
    # and leaves no gap of a whole atr14
    rows: list[Candle] = [*OPENED, INTO_FVG, (105.25, 106.75, 104.75, 106)]
    params = EngineParams(pivot_n=2, fvg_min_atr=0.5)
    assert [ts for (ts,) in signals(read, rows, "ts", up=up, params=params, lead=lead)] == found


# After OPENED five dojis: FVG [103, 105] of bar 5 (strength 5) is entered by bar 6 (105.5 = 105 + 0.5). HIGH 107.5 of
# bar 6 is known at bar 8, LOW 104.5 of bar 7 at bar 9.
DOJIS: list[Candle] = [
    *OPENED,
    (106, 107, 105, 106),
    (106.5, 107.5, 105.5, 106.5),
    (105.5, 106.5, 104.5, 105.5),
    (106, 107, 105, 106),
    (106.5, 107.5, 105.5, 106.5),
]


@both_ways
@pytest.mark.parametrize(("close", "found"), [(104.5, [(11, "FVG", 5)]), (104.0, [])])
def test_an_event_the_other_way_ends_the_setup(read: Reader, *, up: bool, close: float, found: list[Any]) -> None:
    # bar 10 closes at the LOW 104.5: nothing; or below it: CHOCH_DN. The zones stay active, and bar 11 moves up in them
    rows: list[Candle] = [*DOJIS, (106.5, 106.5, 104, close), (104, 105.25, 103.25, 104.8)]
    kinds = [row[0] for row in read(candles(rows, lead=LEAD), TWO).of("smc_events", "kind")]
    assert kinds == (["BOS_UP"] if found else ["BOS_UP", "CHOCH_DN"])
    assert signals(read, rows, up=up) == found


@both_ways
@pytest.mark.parametrize(("close", "found"), [(104.5, [(10, "FVG", 5)]), (104.0, [])])
def test_the_bar_of_an_event_the_other_way_is_not_tested(
    read: Reader, *, up: bool, close: float, found: list[Any]
) -> None:
    # the sub-timeframe confirms bar 10, which closes below the LOW 104.5 or not
    rows: list[Candle] = [*DOJIS, (106.5, 106.5, 104, close)]
    assert signals(read, rows, up=up, micro_bos={10: 1}) == found


@both_ways
def test_an_event_the_same_way_tests_the_old_setup_first_and_opens_a_new_one(read: Reader, *, up: bool) -> None:
    # bar 8 falls; bar 9 rises to 108, beyond HIGH 107.5 of bar 6: BOS_UP. The old setup is tested at it: a signal from
    # FVG [103, 105]. The order block [105, 107] of bar 8 is made at bar 9 (strength 3). Bar 10 comes down to 105.5,
    # into both, and rises: a signal of the new setup, for which the stronger gap, of bar 5, is older than its pivot
    rows: list[Candle] = [
        *DOJIS[:8],
        (106.5, 107, 105, 106),
        (106, 108, 106, 108),
        (106, 108.25, 105.5, 107),
    ]
    assert read(candles(rows, lead=LEAD), TWO).of("smc_events", "ts", "kind") == [(4, "BOS_UP"), (9, "BOS_UP")]
    assert signals(read, rows, up=up) == [(9, "FVG", 5), (10, "OB", 9)]


@both_ways
def test_a_new_setup_starts_with_nothing_entered(read: Reader, *, up: bool) -> None:
    # as above, but bar 9 opens above its close and breaks by its close still: no signal from the old setup, which is
    # replaced. Bar 10 rises above everything (108.25 > 107.5): no zone of the new setup has been entered yet
    rows: list[Candle] = [
        *DOJIS[:8],
        (106.5, 107, 105, 106),
        (108, 108, 106, 107.75),
        (108.5, 109.5, 108.25, 109),
    ]
    assert read(candles(rows, lead=LEAD), TWO).of("smc_events", "ts", "kind") == [(4, "BOS_UP"), (9, "BOS_UP")]
    assert signals(read, rows, up=up) == []


# Prices without ranges. BOS_DN at bar 7, CHOCH_UP at bar 10, BOS_UP at bar 16 (tests/engine/test_structure.py).
TURN = [18, 19, 20, 17, 15, 16, 16.5, 14, 13, 15, 17, 21, 22, 20, 19, 22, 23, 22.5]


@both_ways
@pytest.mark.parametrize(
    ("bar", "structure_ok"),
    [
        (13, False),  # after the CHOCH
        (16, True),  # at the BOS: the event of the bar is included
        (17, True),  # in the setup of the BOS
    ],
)
def test_structure_is_ok_after_a_change_of_character_and_a_break_in_its_direction(
    read: Reader, *, up: bool, bar: int, structure_ok: bool
) -> None:
    # 220 bars at 100 first. Such bars move no way: the sub-timeframe confirms. The gaps of bars 11 and 12 reach up to
    # 21 and 22 and are entered by bar 13 (20)
    prices = [100.0] * LEAD + [100 + (price - 19) * (1 if up else -1) for price in TURN]
    spread = [1.0] * LEAD + [0.0] * len(TURN)
    bars = hand_bars(
        prices,
        high=[price + room for price, room in zip(prices, spread, strict=True)],
        low=[price - room for price, room in zip(prices, spread, strict=True)],
        first=-LEAD,
    )
    micro_bos = [0] * len(prices)
    micro_bos[LEAD + bar] = 1 if up else -1
    found = read(bars, TWO, micro_bos=micro_bos).of("signals_raw", "ts", "structure_ok")
    assert found == [(bar, structure_ok)]


def test_a_setup_without_any_change_of_character_before_it_has_no_structure(read: Reader) -> None:
    assert signals(read, [*OPENED, INTO_FVG], "structure_ok") == [(False,)]

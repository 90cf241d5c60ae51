"""Golden bars for the comparisons of engine-spec section 6 that include, or exclude, equality."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine import EngineParams
from tests.engine.hand_bars import CALM, candles, turned
from tests.engine.readers import READERS

if TYPE_CHECKING:
    from tests.engine.hand_bars import Candle
    from tests.engine.readers import Reader

pytestmark = pytest.mark.parametrize("read", READERS)

both_ways = pytest.mark.parametrize("up", [True, False], ids=["up", "down"])


@both_ways
@pytest.mark.parametrize(
    ("bounds", "rebound"),
    [
        ((50.0, 60.0), True),
        ((40.0, 50.0), True),
        ((50.5, 60.0), False),
        ((40.0, 49.5), False),
    ],
)
def test_both_bounds_of_the_previous_rsi_are_included(
    read: Reader, *, up: bool, bounds: tuple[float, float], rebound: bool
) -> None:
    # Closes rest at 100 until bar 4 closes 3.5 higher, beyond HIGH 102 of bar 1 (the order block is bar 3, 99.5 to
    # 101); bar 5 closes 3.25 lower. Gains (13·(3.5/14) + 0)/14 equal losses (13·0 + 3.25)/14: rsi14 is 50 at bar 5
    # exactly, and more at bar 6, which rises in the order block
    rows: list[Candle] = [
        (100, 101, 99, 100),
        (100, 102, 99.5, 100),
        (100, 101, 99, 100),
        (101, 101, 99.5, 100),
        (101, 103.5, 101, 103.5),
        (103.5, 103.5, 100, 100.25),
        (100.25, 101, 100, 100.5),
    ]
    params = EngineParams(pivot_n=2, rsi_long=bounds, rsi_short=bounds)
    known = read(candles(rows if up else turned(rows), lead=220), params)
    assert (5, 50.0) in known.of("indicators", "ts", "rsi14")
    found = [(ts, json.loads(text)["rsi_mid_rebound"]) for ts, text in known.of("signals_raw", "ts", "features")]
    assert found == [(6, rebound)]


@both_ways
@pytest.mark.parametrize(("level", "beyond"), [(112.5, True), (112.75, False), (113.0, False)])
def test_a_close_at_ema200_itself_does_not_lie_beyond_it(read: Reader, *, up: bool, level: float, beyond: bool) -> None:
    # ema200 begins with the 200th bar, here the one that signals (it falls into the gap that bar 198 left above bar
    # 196, and rises), as the mean of all closes: 81 at the level, 113 at 100 and 617.25 of the last six. At 112.75:
    # 81·12.75 + 194·100 + 617.25 = 21,050 = 200·105.25, its own close
    rows: list[Candle] = [
        *[(level, level + 1, level - 1, level)] * 81,
        *[CALM] * 113,
        (100, 102, 100, 101),
        (101, 103, 101, 102),
        (102, 102.5, 100.5, 101),
        (101, 103, 101, 103),
        (103.5, 105, 103.5, 105),
        (105, 105.5, 103.5, 105.25),
    ]
    known = read(candles(rows if up else turned(rows), lead=0), EngineParams(pivot_n=2))
    assert [ts for ts, ema in known.of("indicators", "ts", "ema200") if ema is not None] == [199]
    name = "ema200_up" if up else "ema200_down"
    found = [(ts, json.loads(text)[name]) for ts, text in known.of("signals_raw", "ts", "features")]
    assert found == [(199, beyond)]


@both_ways
def test_an_rsi_that_stays_is_no_rebound(read: Reader, *, up: bool) -> None:
    # No close ever falls: gains over gains, rsi14 is 100 (turned over: 0) at bar 4 and at bar 5, which rests, comes
    # down to the order block [99.5, 101] of bar 3 and is confirmed by the sub-timeframe
    rows: list[Candle] = [
        (100, 101, 99, 100),
        (100, 102, 99.5, 100),
        (100, 101, 99, 100),
        (101, 101, 99.5, 100),
        (101, 103.5, 101, 103.5),
        (103.5, 103.5, 101, 103.5),
    ]
    params = EngineParams(pivot_n=2, rsi_long=(0.0, 100.0), rsi_short=(0.0, 100.0))
    micro_bos = [0] * 225 + [1 if up else -1]
    known = read(candles(rows if up else turned(rows), lead=220), params, micro_bos=micro_bos)
    assert known.of("indicators", "ts", "rsi14")[-2:] == [(4, 100.0 if up else 0.0), (5, 100.0 if up else 0.0)]
    found = [(ts, json.loads(text)["rsi_mid_rebound"]) for ts, text in known.of("signals_raw", "ts", "features")]
    assert found == [(5, False)]


@both_ways
def test_a_histogram_that_stays_is_no_macd(read: Reader, *, up: bool) -> None:
    # After BOS_UP at bar 4 the close rests until no average moves any more in its last bit; the last bar comes down to
    # FVG [102.5, 103.5] of bar 4, closes where it opened and is confirmed by the sub-timeframe
    rows: list[Candle] = [
        (100, 102, 100, 101),
        (101, 103, 101, 102),
        (102, 102.5, 100.5, 101),
        (101, 103, 101, 103),
        (103.5, 105, 103.5, 105),
        *[(105, 105.5, 104.5, 105)] * 900,
        (105, 105.5, 103.5, 105),
    ]
    params = EngineParams(pivot_n=2, retest_window=1000, expiry_bars=2000)
    micro_bos = [0] * (220 + 905) + [1 if up else -1]
    known = read(candles(rows if up else turned(rows), lead=220), params, micro_bos=micro_bos)
    before, now = known.of("indicators", "macd_hist")[-2:]
    assert now == before
    name = "macd_hist_up" if up else "macd_hist_down"
    found = [(ts, json.loads(text)[name]) for ts, text in known.of("signals_raw", "ts", "features")]
    assert found == [(905, False)]

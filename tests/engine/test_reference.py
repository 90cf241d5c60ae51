"""The kernels against the slow reading of sections 1 to 6: every table, row for row and bit for bit.

Neither reader shares code with the other, so what both make of the same text is what it says. A comparison that has
not seen something proves nothing about it: one test counts what occurred and asks for 50 of everything.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Timeframe
from engine import EngineParams, SymbolEngine
from tests.engine import reference
from tests.engine.compare import assert_agrees, assert_enough_was_seen, assert_same_rows, occurrences
from tests.engine.real_bars import needs_real_bars, read_real_bars
from tests.engine.strategies import KEY, KINDS, Stretch, bar_frames, make_bars, micro_signs, stretches

if TYPE_CHECKING:
    from tests.engine.reference import Reading

# The default first; then every parameter near its ends, limits of one and two making evictions the rule.
PARAMS = (
    EngineParams(),
    EngineParams(swing_mode="zigzag"),
    EngineParams(swing_mode="zigzag", zigzag_k=0.4, max_zones=5, max_inversions=2, expiry_bars=12, retest_tol=1.5),
    EngineParams(pivot_n=2, max_zones=1, max_inversions=1, rsi_long=(50.0, 50.0)),
    EngineParams(pivot_n=2, max_zones=2, max_inversions=1, confluence_bars=0, fvg_min_atr=0.0, expiry_bars=20),
    EngineParams(pivot_n=2, ob_lookback=1, eq_tol=1.5, expiry_bars=1, retest_window=1, retest_tol=0.0),
    EngineParams(pivot_n=10, confluence_bars=199, ob_lookback=199, retest_window=1000, retest_tol=3.0),
    EngineParams(
        max_zones=256,
        max_inversions=256,
        expiry_bars=100_000,
        fvg_min_atr=1.0,
        eq_tol=0.0,
        rsi_long=(0.0, 100.0),
        rsi_short=(0.0, 100.0),
        tp_r=(0.5,),
        ttl_bars=1000,
        shock_tr=1.5,
        shock_rank=0.9,
        trend_adx=40.0,
        range_adx=35.0,
        chop_rank=0.6,
    ),
)
# Each timeframe with the one whose breaks are its micro_bos.
SUB = {"3m": "1m", "5m": "1m", "15m": "1m", "30m": "3m", "1h": "15m"}


@given(bar_frames(), st.sampled_from(PARAMS), st.none() | st.integers(0, 2**16))
@settings(max_examples=100, deadline=None)
def test_the_kernels_agree_with_the_plain_reading_on_any_bars(
    bars: pl.DataFrame, params: EngineParams, seed: int | None
) -> None:
    assert_agrees(bars, KEY, params, micro_bos=None if seed is None else micro_signs(seed, bars.height))


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernels_agree_on_a_long_stretch_of_each_kind(kind: str) -> None:
    bars = make_bars([Stretch("walk", 240, 1), Stretch(kind, 700, 2), Stretch("waves", 240, 3)])
    # every other parameter set, so that neighbouring kinds meet all of them
    for number in range(KINDS.index(kind) % 2, len(PARAMS), 2):
        assert_agrees(bars, KEY, PARAMS[number], micro_bos=micro_signs(number, bars.height))


def test_the_kernels_agree_on_bars_in_which_everything_occurs_fifty_times() -> None:
    kinds = ("waves", "walk", "shelves", "jumps", "rough", "spikes", "flat", "holes")
    seen: Counter[str] = Counter()
    # four series rather than a long one: what is ACTIVE is counted at their ends
    for seed in range(4):
        bars = make_bars([Stretch(kind, 240, seed + number) for number, kind in enumerate(kinds)])
        for number, params in enumerate(PARAMS):
            reading = assert_agrees(bars, KEY, params, micro_bos=micro_signs(seed + number, bars.height))
            assert reading is not None
            seen += occurrences(reading)
    assert_enough_was_seen(seen)


@given(stretches(max_size=4, max_bars=400), st.sampled_from(PARAMS))
@settings(max_examples=15, deadline=None)
def test_a_symbol_s_series_agree_with_the_breaks_of_their_sub_timeframes(
    drawn: list[Stretch], params: EngineParams
) -> None:
    minutes = make_bars(drawn, step=Timeframe("1m").us)
    assert_symbol_agrees({"1m": minutes, "3m": bars_of(minutes, "3m"), "15m": bars_of(minutes, "15m")}, params)


@needs_real_bars
def test_the_kernels_agree_on_real_bars_of_every_timeframe_to_an_hour() -> None:
    minutes = read_real_bars()
    assert_symbol_agrees({"1m": minutes, **{tf: bars_of(minutes, tf) for tf in SUB}}, EngineParams())


@needs_real_bars
@pytest.mark.parametrize("params", PARAMS[1:3], ids=["zigzag", "fine zigzag"])
def test_the_kernels_agree_on_real_bars_in_zigzag(params: EngineParams) -> None:
    minutes = read_real_bars()
    assert_symbol_agrees({tf: bars_of(minutes, tf) for tf in ("3m", "30m")}, params)


def bars_of(minutes: pl.DataFrame, tf: str) -> pl.DataFrame:
    """Minutes as bars of another timeframe; where some are missing a bar is made of those there are."""
    return minutes.group_by_dynamic("open_time", every=tf).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )


def assert_symbol_agrees(bars: dict[str, pl.DataFrame], params: EngineParams) -> None:
    """A symbol's engine against readings that learn their `micro_bos` from one another; shortest timeframe first."""
    sub = {tf: of for tf, of in SUB.items() if tf in bars and of in bars}
    found = SymbolEngine("binance_usdm", "BTCUSDT", dict.fromkeys(bars, params), sub=sub).advance(bars)
    if bars["3m"].is_empty():
        return
    readings: dict[str, Reading] = {}
    for tf, frame in bars.items():
        step = Timeframe(tf).us
        signs = reference.micro_bos(frame, step, readings[sub[tf]]) if tf in sub else None
        readings[tf] = reference.read(frame, params, step, signs)
        assert_same_rows(found[Timeframe(tf)], readings[tf])

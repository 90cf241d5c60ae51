"""The laws of engine-spec section 0, bit for bit, on bars that make indicators stumble."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import EngineParams, SeriesEngine
from tests.engine.bits import assert_same_bits, joined
from tests.engine.strategies import KEY, KINDS, STEP, Stretch, bar_frames, make_bars, stretches

some_bars = settings(max_examples=60, deadline=None)


def whole(bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = SeriesEngine(KEY, EngineParams()).advance(bars)
    return rows.indicators, rows.regimes


def assert_same_tables(left: tuple[pl.DataFrame, pl.DataFrame], right: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    for one, other in zip(left, right, strict=True):
        assert_same_bits(one, other)


@given(bar_frames(), st.lists(st.integers(0, 720), max_size=12))
@some_bars
def test_law_1_any_way_of_cutting_the_bars_gives_the_same_rows(bars: pl.DataFrame, cuts: list[int]) -> None:
    engine = SeriesEngine(KEY, EngineParams())
    edges = [0, *sorted(min(cut, bars.height) for cut in cuts), bars.height]
    pieces = [bars.slice(start, end - start) for start, end in pairwise(edges)]
    assert_same_tables(joined(engine.advance(piece) for piece in pieces), whole(bars))


@pytest.mark.parametrize("kind", KINDS)
def test_law_1_one_bar_at_a_time_gives_the_rows_of_one_call(kind: str) -> None:
    # beyond every warm-up (218 bars) and into the third block of the features' kernel (256 each)
    bars = make_bars([Stretch("walk", 100, 7), Stretch(kind, 440, 8)])
    engine = SeriesEngine(KEY, EngineParams())
    assert_same_tables(joined(engine.advance(bars.slice(t, 1)) for t in range(bars.height)), whole(bars))


@pytest.mark.parametrize("piece", [1_000, 4_095, 4_096, 4_097, 9_999])
def test_law_1_holds_across_the_spans_of_a_long_call(piece: int) -> None:
    bars = make_bars([Stretch(kind, 1_800, seed) for seed, kind in enumerate(KINDS)])
    engine = SeriesEngine(KEY, EngineParams())
    assert_same_tables(joined(engine.advance(part) for part in bars.iter_slices(piece)), whole(bars))


@given(stretches(max_size=4), st.sampled_from([1, 7]))
@settings(max_examples=15, deadline=None)
def test_law_2_a_restart_at_every_bar_changes_nothing(drawn: list[Stretch], step: int) -> None:
    bars = make_bars(drawn)
    engine = SeriesEngine(KEY, EngineParams())
    outputs = [engine.advance(bars.clear())]
    for start in range(0, bars.height, step):
        engine = SeriesEngine.restore(engine.snapshot())
        outputs.append(engine.advance(bars.slice(start, step)))
    assert_same_tables(joined(outputs), whole(bars))


@given(stretches(), stretches(), st.integers(0, 720))
@some_bars
def test_law_3_rows_are_the_same_whatever_bars_follow(drawn: list[Stretch], other: list[Stretch], at: int) -> None:
    known = make_bars(drawn).head(at)
    futures = [make_bars([*drawn, *other]).slice(known.height)]
    if known.height:
        last = int(known["open_time"].to_physical()[-1])
        futures.append(make_bars(other, scale=64.0, start=last))
    expected = whole(known)
    for future in futures:
        indicators, regimes = whole(pl.concat([known, future]))
        until = indicators.head(known.height)
        assert_same_tables((until, regimes.head(expected[1].height)), expected)
        later = regimes.slice(expected[1].height)["ts"]
        assert later.is_empty() or not known.height or later[0] > until["ts"][-1]


@given(stretches())
@some_bars
def test_law_4_the_state_has_one_size_from_the_first_bar_on(drawn: list[Stretch]) -> None:
    engine = SeriesEngine(KEY, EngineParams())
    sizes = {len(engine.snapshot())}
    for piece in make_bars(drawn).iter_slices(97):
        engine.advance(piece)
        sizes.add(len(engine.snapshot()))
    assert len(sizes) == 1


@given(stretches(), st.integers(0, 2**16))
@some_bars
def test_law_5_a_bar_after_a_hole_is_simply_the_next_bar(drawn: list[Stretch], seed: int) -> None:
    bars = make_bars(drawn)
    skipped = np.random.default_rng(seed).choice([0, 0, 0, 1, 500], bars.height).cumsum()
    apart = bars.with_columns(
        (pl.col("open_time").to_physical() + pl.Series(skipped, dtype=pl.Int64) * STEP).cast(bars.schema["open_time"])
    )
    dense, holed = whole(bars), whole(apart)
    # vwap alone asks what day it is
    assert_same_bits(holed[0].drop("vwap", "ts"), dense[0].drop("vwap", "ts"))
    assert_same_bits(holed[1].drop("ts"), dense[1].drop("ts"))
    assert holed[0]["ts"].to_list() == (apart["open_time"] + KEY.tf.duration).to_list()

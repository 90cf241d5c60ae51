"""The kernels against the slow reading of sections 1 and 2, bit for bit."""

import polars as pl
import pytest
from hypothesis import given, settings

from contracts import SeriesKey
from engine import EngineParams, SeriesEngine
from engine.features import COLUMNS
from tests.engine import reference
from tests.engine.bits import assert_same_bits
from tests.engine.real_bars import needs_real_bars, read_real_bars
from tests.engine.strategies import KEY, KINDS, Stretch, bar_frames, make_bars


def assert_agrees(bars: pl.DataFrame, key: SeriesKey = KEY) -> None:
    rows = SeriesEngine(key, EngineParams()).advance(bars)
    columns = reference.indicators(bars) if bars.height else {name: [] for name in COLUMNS}
    ts = bars["open_time"] + key.tf.duration
    expected = pl.DataFrame({"ts": ts, **columns}, schema={"ts": ts.dtype, **dict.fromkeys(COLUMNS, pl.Float64)})
    assert_same_bits(rows.indicators.drop("venue", "symbol", "tf"), expected)
    classified = reference.regimes(bars, columns)
    assert rows.regimes["ts"].to_list() == ts.gather([t for t, _, _ in classified]).to_list()
    assert rows.regimes["regime"].to_list() == [regime for _, regime, _ in classified]
    assert rows.regimes["vol_state"].to_list() == [vol_state for _, _, vol_state in classified]


@given(bar_frames())
@settings(max_examples=60, deadline=None)
def test_the_kernels_agree_with_the_plain_reading_on_any_bars(bars: pl.DataFrame) -> None:
    assert_agrees(bars)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernels_agree_on_a_long_stretch_of_each_kind(kind: str) -> None:
    assert_agrees(make_bars([Stretch("walk", 240, 1), Stretch(kind, 700, 2), Stretch("walk", 240, 3)]))


def test_the_random_bars_reach_every_regime_and_vol_state() -> None:
    bars = make_bars([Stretch("ramp", 150, 5), *(Stretch(kind, 200, 1) for kind in ("walk", "spikes", "flat", "walk"))])
    columns = reference.indicators(bars)
    seen = {(regime, vol_state) for _, regime, vol_state in reference.regimes(bars, columns)}
    assert seen == {("SHOCK", "SHOCK"), ("TREND", "OK"), ("RANGE", "OK"), ("RANGE", "CHOP")}


@needs_real_bars
@pytest.mark.parametrize("tf", ["1m", "15m"])
def test_the_kernels_agree_on_real_bars(tf: str) -> None:
    key = SeriesKey("binance_usdm", "BTCUSDT", tf)
    bars = read_real_bars()
    if tf != "1m":
        bars = bars.group_by_dynamic("open_time", every=tf).agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    assert_agrees(bars, key)

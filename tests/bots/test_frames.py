import re
import warnings
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import talib

from bots.frames import IndicatorRejected, Repaints, add_indicators, indicator_names, repaint_of, repaints
from contracts import to_us
from engine import EngineParams, SeriesEngine
from tests.engine.strategies import KEY, Stretch, make_bars

BARS = make_bars([Stretch("rough", 400, 3)])


def test_columns_are_appended_under_the_librarys_names_and_the_frame_is_kept() -> None:
    more = add_indicators(BARS, "supertrend", ("rsi", {"length": 7}))
    assert more.columns == [*BARS.columns, "SUPERT_7_3.0", "SUPERTd_7_3.0", "SUPERTl_7_3.0", "SUPERTs_7_3.0", "RSI_7"]
    assert more.select(BARS.columns).equals(BARS)
    assert set(more.dtypes[len(BARS.columns) :]) == {pl.Float64()}


def test_values_are_those_of_an_independent_library_and_undefined_ones_are_null() -> None:
    column = add_indicators(BARS, ("willr", {"length": 14}))["WILLR_14"]
    high, low, close = (BARS[name].to_numpy() for name in ("high", "low", "close"))
    expected = talib.WILLR(high, low, close, timeperiod=14)
    assert column.null_count() == 13
    assert column.is_nan().sum() == 0
    np.testing.assert_allclose(column.to_numpy()[13:], expected[13:], rtol=1e-9)


def test_an_engine_frame_with_its_bars_can_be_extended() -> None:
    indicators = SeriesEngine(KEY, EngineParams()).advance(BARS).indicators
    joined = BARS.hstack(indicators.select("ema20", "atr14"))
    assert add_indicators(joined, "cci").columns[-3:-1] == ["ema20", "atr14"]


def test_an_indicator_that_is_anchored_to_the_day_sees_utc_days() -> None:
    day = add_indicators(BARS, "vwap").filter(pl.col("open_time").dt.date() == datetime(2022, 1, 3, tzinfo=UTC).date())
    first = day.row(0, named=True)
    assert to_us(first["open_time"]) % 86_400_000_000 == 0
    assert first["VWAP_D"] == pytest.approx((first["high"] + first["low"] + first["close"]) / 3)


def test_a_prefix_keeps_the_librarys_names_apart() -> None:
    assert add_indicators(BARS, "rsi", prefix="ta_").columns[-1] == "ta_RSI_14"


def test_a_column_that_is_there_already_is_refused() -> None:
    with pytest.raises(IndicatorRejected, match=r"rsi\(\): the frame has RSI_14 already; give a prefix"):
        add_indicators(BARS, "rsi", "rsi")


def test_an_unknown_name_is_told_with_near_matches() -> None:
    with pytest.raises(IndicatorRejected, match=r"no indicator 'super_trend': did you mean .*supertrend"):
        add_indicators(BARS, "super_trend")
    with pytest.raises(IndicatorRejected, match=r"indicator_names\(\) lists them"):
        add_indicators(BARS, "zzzzzzzz")
    assert "supertrend" in indicator_names()


def test_what_the_library_refuses_is_told_with_its_words() -> None:
    with pytest.raises(IndicatorRejected, match=r"mavp\(\) on 400 bars: pandas-ta-classic raised .*periods"):
        add_indicators(BARS, "mavp")


def test_too_few_bars_are_told() -> None:
    with pytest.raises(IndicatorRejected, match=r"rsi\(length=14\): pandas-ta-classic computes nothing from 5 bars"):
        add_indicators(BARS.head(5), ("rsi", {"length": 14}))


def test_a_profile_is_not_one_value_a_bar() -> None:
    with pytest.raises(IndicatorRejected, match="10 rows for 400 bars: it is not one value a bar"):
        add_indicators(BARS, "vp")


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (BARS.drop("volume"), "the frame lacks volume"),
        (BARS.reverse(), "open_time must be ascending"),
        (BARS.with_columns(pl.col("open_time").dt.replace_time_zone(None)), "received Datetime"),
    ],
)
def test_what_are_no_bars_is_refused(frame: pl.DataFrame, told: str) -> None:
    with pytest.raises(IndicatorRejected, match=told):
        add_indicators(frame, "rsi")


def test_the_librarys_own_warnings_do_not_reach_the_caller() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        add_indicators(BARS, "vwap", "supertrend", "kst")
    assert caught == []


@pytest.mark.parametrize("name", ["ema", "rsi", "supertrend", "atr", "macd"])
def test_an_indicator_of_the_past_does_not_repaint(name: str) -> None:
    assert not repaints(BARS, name)
    add_indicators(BARS, name, check=True)


def test_a_centred_oscillator_repaints_and_its_first_changed_bar_is_named() -> None:
    """Centred DPO(20) at bar i is the close minus the mean around it: its last 11 bars are not final."""
    found = repaint_of(BARS, "dpo")
    assert found is not None
    assert found.column == "DPO_20"
    assert found.before is None
    assert found.after is not None
    behind = (found.known_until - found.open_time) / KEY.tf.duration
    assert 0 <= behind <= 11
    with pytest.raises(Repaints, match=re.escape(f"dpo() repaints: {found}")):
        add_indicators(BARS, "dpo", check=True)
    assert not repaints(BARS, "dpo", centered=False)


def test_the_lagging_span_of_ichimoku_is_the_future() -> None:
    found = repaint_of(BARS, "ichimoku")
    assert found is not None
    assert found.column == "ICS_26"
    assert not repaints(BARS, "ichimoku", include_chikou=False)


def test_a_line_fitted_through_all_bars_changes_at_the_first_of_them() -> None:
    found = repaint_of(BARS, "tos_stdevall")
    assert found is not None
    assert found.open_time == BARS["open_time"][0]
    assert found.before != found.after

"""Golden bars for engine-spec section 2: the features of each bar are written down, so is the row they make."""

from dataclasses import dataclass

import numpy as np
import pytest

from engine import EngineParams, warm_up
from engine.regime import NO_ROW, REGIMES, VOL_STATES, regimes
from engine.state import SeriesState
from tests.engine.hand_bars import hand_bars, rows_of

NAN = float("nan")


@dataclass(frozen=True)
class Bar:
    """Features of one bar; a calm one unless said otherwise."""

    adx: float = 22.0
    natr_rank: float = 0.5
    bbw_rank: float = 0.5
    true_range: float = 1.0
    atr: float = 1.0


def classify(bars: list[Bar], params: EngineParams | None = None) -> list[tuple[str, str] | None]:
    warm_up()
    used = EngineParams() if params is None else params
    codes = np.empty((2, len(bars)), np.uint8)
    rows = regimes(
        SeriesState.at_start(EngineParams()).regime,
        np.array([bar.true_range for bar in bars], np.float64),
        np.array([bar.atr for bar in bars], np.float64),
        np.array([bar.adx for bar in bars], np.float64),
        np.array([bar.natr_rank for bar in bars], np.float64),
        np.array([bar.bbw_rank for bar in bars], np.float64),
        codes[0],
        codes[1],
        used.shock_tr,
        used.shock_rank,
        used.trend_adx,
        used.range_adx,
        used.chop_rank,
    )
    found = [None if a == NO_ROW else (REGIMES[a], VOL_STATES[b]) for a, b in codes.T]
    assert rows == len([row for row in found if row])
    return found


def test_a_strong_adx_is_a_trend_and_a_weak_one_a_range_both_bounds_as_written() -> None:
    found = classify([Bar(adx=25.0), Bar(adx=19.999), Bar(adx=60.0)])
    assert found == [("TREND", "OK"), ("RANGE", "OK"), ("TREND", "OK")]


def test_between_the_bounds_the_last_calm_regime_goes_on() -> None:
    found = classify([Bar(adx=30), Bar(adx=24.9), Bar(adx=20.0), Bar(adx=19), Bar(adx=20.0), Bar(adx=24.9)])
    assert [row[0] for row in found if row] == ["TREND", "TREND", "TREND", "RANGE", "RANGE", "RANGE"]


def test_between_the_bounds_with_nothing_before_it_is_a_range() -> None:
    assert classify([Bar(adx=22)]) == [("RANGE", "OK")]


def test_a_true_range_above_three_times_the_atr_of_the_bar_before_is_a_shock() -> None:
    # 3·2 = 6 itself is no shock; the atr of the same bar (9) plays no part
    found = classify([Bar(atr=2.0), Bar(true_range=6.0, atr=9.0), Bar(atr=2.0), Bar(true_range=6.001)])
    assert found == [("RANGE", "OK"), ("RANGE", "OK"), ("RANGE", "OK"), ("SHOCK", "SHOCK")]


def test_a_rank_of_197_in_199_is_no_shock_and_198_is_one() -> None:
    # 197/199 = 0.98995 and 198/199 = 0.99497 around the limit of 0.99
    assert classify([Bar(natr_rank=197 / 199), Bar(natr_rank=198 / 199)]) == [("RANGE", "OK"), ("SHOCK", "SHOCK")]


def test_a_shock_wins_over_a_trend_and_does_not_disturb_what_was_before_it() -> None:
    found = classify([Bar(adx=30), Bar(adx=10, natr_rank=1.0), Bar(adx=22)])
    assert [row[0] for row in found if row] == ["TREND", "SHOCK", "TREND"]


def test_only_a_range_with_narrow_bands_is_chop_the_bound_included() -> None:
    found = classify([Bar(adx=10, bbw_rank=0.20), Bar(adx=10, bbw_rank=0.2000001), Bar(adx=40, bbw_rank=0.0)])
    assert found == [("RANGE", "CHOP"), ("RANGE", "OK"), ("TREND", "OK")]


@pytest.mark.parametrize("undefined", [Bar(adx=NAN), Bar(natr_rank=NAN), Bar(bbw_rank=NAN)])
def test_a_bar_without_one_of_its_three_features_has_no_row_and_is_not_remembered(undefined: Bar) -> None:
    assert classify([Bar(adx=40), undefined, Bar(adx=22)]) == [("TREND", "OK"), None, ("TREND", "OK")]


def test_parameters_move_the_bounds() -> None:
    params = EngineParams(shock_tr=1.5, shock_rank=0.9, trend_adx=40, range_adx=30, chop_rank=0.6)
    found = classify(
        [Bar(adx=35), Bar(adx=45), Bar(adx=29), Bar(natr_rank=0.9), Bar(adx=29, bbw_rank=0.61), Bar(true_range=1.6)],
        params,
    )
    assert found == [
        ("RANGE", "CHOP"),
        ("TREND", "OK"),
        ("RANGE", "CHOP"),
        ("SHOCK", "SHOCK"),
        ("RANGE", "OK"),
        ("SHOCK", "SHOCK"),
    ]


def test_the_first_row_of_a_series_is_that_of_bar_218() -> None:
    rows = rows_of(hand_bars([100.0 + t % 5 for t in range(221)]))
    assert rows.regimes["ts"].to_list() == rows.indicators["ts"].to_list()[218:]


def test_a_jump_after_quiet_bars_is_a_shock_and_the_quiet_bars_before_are_chop() -> None:
    # flat bars: adx 0, both ranks 0. Then a jump of 3: its true range is above 3·0
    rows = rows_of(hand_bars([100.0] * 220 + [103.0])).regimes
    assert rows["regime"].to_list() == ["RANGE", "RANGE", "SHOCK"]
    assert rows["vol_state"].to_list() == ["CHOP", "CHOP", "SHOCK"]

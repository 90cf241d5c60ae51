import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine import EngineParams


def test_the_defaults_are_those_of_the_specification() -> None:
    assert EngineParams().model_dump() == {
        "shock_tr": 3.0,
        "shock_rank": 0.99,
        "trend_adx": 25.0,
        "range_adx": 20.0,
        "chop_rank": 0.2,
        "swing_mode": "pivot",
        "pivot_n": 3,
        "zigzag_k": 2.0,
        "eq_tol": 0.1,
        "fvg_min_atr": 0.3,
        "ob_lookback": 50,
        "confluence_bars": 3,
        "expiry_bars": 200,
        "max_zones": 64,
        "max_inversions": 64,
        "retest_window": 8,
        "retest_tol": 0.25,
        "rsi_long": (40.0, 55.0),
        "rsi_short": (45.0, 60.0),
        "tp_r": (1.5, 2.0, 3.0),
        "ttl_bars": 6,
    }


def test_the_hash_is_the_sha256_of_the_sorted_json_of_all_values() -> None:
    text = (
        '{"chop_rank":0.2,"confluence_bars":3,"eq_tol":0.1,"expiry_bars":200,"fvg_min_atr":0.3,"max_inversions":64,'
        '"max_zones":64,"ob_lookback":50,"pivot_n":3,"range_adx":20.0,"retest_tol":0.25,"retest_window":8,'
        '"rsi_long":[40.0,55.0],"rsi_short":[45.0,60.0],"shock_rank":0.99,"shock_tr":3.0,"swing_mode":"pivot",'
        '"tp_r":[1.5,2.0,3.0],"trend_adx":25.0,"ttl_bars":6,"zigzag_k":2.0}'
    )
    assert EngineParams().hash == hashlib.sha256(text.encode()).hexdigest()


def test_a_whole_number_means_the_same_as_its_float() -> None:
    assert EngineParams(trend_adx=30).hash == EngineParams(trend_adx=30.0).hash


@given(st.sampled_from(["shock_tr", "shock_rank", "trend_adx", "range_adx", "chop_rank"]), st.floats(0.001, 1.0))
def test_any_other_value_has_another_hash(name: str, value: float) -> None:
    values = EngineParams().model_dump() | {"range_adx": 0.5, "trend_adx": 0.6}
    if name == "range_adx":
        values["trend_adx"] = 1.0
    if name == "trend_adx":
        values["range_adx"] = 0.0
    one, other = EngineParams(**values), EngineParams(**values | {name: value})
    assert (one.hash == other.hash) == (one == other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shock_tr": 0.0},
        {"shock_tr": float("inf")},
        {"shock_rank": 1.01},
        {"shock_rank": float("nan")},
        {"trend_adx": 101},
        {"range_adx": -1},
        {"chop_rank": "0.2"},
        {"range_adx": 26.0},
        {"pivot": 3},
        {"swing_mode": "fractal"},
        {"pivot_n": 1},
        {"pivot_n": 11},
        {"pivot_n": 3.0},
        {"zigzag_k": 0.0},
        {"eq_tol": -0.1},
        {"fvg_min_atr": float("nan")},
        {"ob_lookback": 0},
        {"ob_lookback": 200},
        {"confluence_bars": -1},
        {"expiry_bars": 0},
        {"max_zones": 0},
        {"max_zones": 257},
        {"max_inversions": 0},
        {"retest_window": 0},
        {"retest_tol": -1.0},
        {"rsi_long": (55.0, 40.0)},
        {"rsi_short": (45.0, 101.0)},
        {"tp_r": ()},
        {"tp_r": (2.0, 2.0)},
        {"tp_r": (0.0, 1.0)},
        {"ttl_bars": 0},
    ],
)
def test_values_out_of_bounds_and_unknown_names_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        EngineParams(**wrong)


def test_zero_has_no_sign() -> None:
    assert EngineParams(fvg_min_atr=-0.0).hash == EngineParams(fvg_min_atr=0.0).hash


def test_parameters_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        EngineParams().trend_adx = 30.0  # type: ignore[misc]  # the point of the test

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.gates import GATES
from risk.texts import rendered


@given(
    gate=st.sampled_from(GATES),
    passed=st.booleans(),
    value=st.none() | st.integers(0, 2) | st.floats(-1e6, 1e6),
    limit=st.none() | st.floats(-1e6, 1e6),
)
def test_whatever_a_table_holds_can_be_rendered(
    gate: str, *, passed: bool, value: float | None, limit: float | None
) -> None:
    if gate in ("trading_state", "tradable", "vol_guard"):
        value = None if value is None else int(abs(value)) % 3
    text = rendered(gate, passed=passed, value=value, limit=limit)
    assert text
    assert "nan" not in text
    assert "inf" not in text


@given(st.sampled_from(GATES), st.sampled_from([math.nan, math.inf]))
def test_a_number_that_does_not_exist_renders_as_null_does(gate: str, nothing: float) -> None:
    for passed in (True, False):
        null = rendered(gate, passed=passed, value=None, limit=1.0)
        assert rendered(gate, passed=passed, value=nothing, limit=1.0) == null


@given(st.sampled_from(GATES), st.booleans())
def test_a_number_that_does_not_exist_is_never_told_as_zero(gate: str, passed: bool) -> None:  # noqa: FBT001
    assert "0" not in rendered(gate, passed=passed, value=None, limit=1.0).replace("ema200", "")
    assert "0" not in rendered(gate, passed=passed, value=1.0, limit=None).replace("ema200", "")


def test_a_gate_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no gate 'luck': they are trading_state, tradable, "):
        rendered("luck", passed=True, value=1.0, limit=1.0)


@pytest.mark.parametrize(
    ("gate", "passed", "value", "limit", "text"),
    [
        ("trading_state", True, 0.0, 0.0, "trading is ACTIVE"),
        ("tradable", False, 2.0, 0.0, "spot cannot be sold short"),
        ("fresh", False, -2.5, 60.0, "the bar closes 2.500 s after the clock: it cannot be known yet"),
        ("news_guard", True, -90.0, 30.0, "90 min before an event of the calendar, 30 min are kept clear"),
        ("stop_distance", False, -0.25, 3.0, "the stop lies on the wrong side of the entry, by 0.25 atr14"),
        ("stop_distance", False, None, 3.0, "the distance of the stop cannot be told: no atr14, or no price"),
        (
            "size",
            False,
            None,
            0.0,
            "nothing can be sized: a price lies outside the venue's bounds, or the first target at the entry",
        ),
        ("reward", True, None, 3.0, "there are no fees and no slippage"),
        ("reward", False, None, 3.0, "the first target cannot be told"),
        ("daily_drawdown", False, None, 0.03, "the value of daily_drawdown is not defined"),
        ("max_positions", False, None, 4.0, "the value of max_positions is not defined"),
        ("cooldown", False, None, 4.0, "the value of cooldown is not defined"),
        ("total_drawdown", False, 0.25, None, "the limit of total_drawdown is not defined, its value is 0.25"),
        ("leverage", True, 0.438, 3.0, "notional ÷ equity would be 0.438, at most 3"),
    ],
)
def test_texts_say_the_numbers(gate: str, value: float | None, limit: float | None, text: str, *, passed: bool) -> None:
    assert rendered(gate, passed=passed, value=value, limit=limit) == text

"""Parameters by name: what is said of names and values that are none."""

from __future__ import annotations

import pytest

from backtest import BacktestConfig, BacktestRefused
from backtest.trials import configured


def test_parameters_go_where_their_names_say() -> None:
    found = configured(BacktestConfig(), {"engine.ttl_bars": 9, "profile.reward": 2.0})
    assert (found.params.ttl_bars, found.profile.reward) == (9, 2.0)
    assert configured(BacktestConfig(), {}) == BacktestConfig()


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"profile.risk_fracton": 0.01}, "no parameter 'profile.risk_fracton': did you mean profile.risk_fraction"),
        ({"reward": 2.0}, "no parameter 'reward': did you mean profile.reward?"),
        ({"engine.reward": 2.0}, "no parameter 'engine.reward': did you mean profile.reward?"),
        ({"profile.fvg_min_atr": 2.0}, "no parameter 'profile.fvg_min_atr': did you mean engine.fvg_min_atr?"),
        ({"profile.zzz": 2.0}, "no parameter 'profile.zzz': name one as engine.… or profile.… (docs/profiles.md"),
        ({"profile.name": "mine"}, "no parameter 'profile.name'"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_nearest_of_both_homes(params: dict[str, object], told: str) -> None:
    with pytest.raises(BacktestRefused) as refused:
        configured(BacktestConfig(), params)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (  # YAML 1.1 takes 5e-1 for a text
            {"engine.fvg_min_atr": "5e-1"},
            "the parameters fvg_min_atr=5e-1 were refused: fvg_min_atr: Input should be a valid number, received '5e-",
        ),
        (
            {"engine.range_adx": 30.0},
            "the parameters range_adx=30.0 were refused: limits: range_adx must not exceed trend_adx, received 30.0",
        ),
        ({"profile.leverage": 4}, "the parameters leverage=4 were refused: leverage: Input should be less than or"),
    ],
)
def test_a_value_that_is_refused_stands_in_the_message(params: dict[str, object], told: str) -> None:
    with pytest.raises(BacktestRefused) as refused:
        configured(BacktestConfig(), params)
    assert str(refused.value).startswith(told)

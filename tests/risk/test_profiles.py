import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import risk
from contracts import Timeframe
from risk import SHIPPED, ProfileRefused, RiskProfile, parse_profile, shipped_profile

# Engine-spec section 7, read off the table and the paragraph on the bracket.
TABLE = {
    "fresh_share": 0.5,
    "fresh_seconds": 60.0,
    "news_high": (-30, 30),
    "news_med": (-10, 10),
    "funding": (-10, 10),
    "funding_rate": 0.0005,
    "triggers": 2,
    "cooldown_bars": 4,
    "stop_guard_stops": 3,
    "stop_guard_hours": 24,
    "stop_guard_lock_hours": 12,
    "low_profit_r": -2.0,
    "low_profit_hours": 7 * 24,
    "low_profit_lock_hours": 24,
    "daily_drawdown": 0.03,
    "total_drawdown": 0.10,
    "max_positions": 4,
    "stop_atr": (0.5, 3.0),
    "symbol_exposure": 1.0,
    "direction_exposure": 2.0,
    "portfolio_heat": 0.02,
    "leverage": 3,
    "reward": 3.0,
    "targets": ((1.5, 0.33), (2.0, 0.33), (3.0, 0.34)),
    "after_first": "keep",
    "max_bars": None,
    "risk_fraction": 0.005,
}


def test_the_default_profile_is_the_table_of_the_specification() -> None:
    values = shipped_profile("default").model_dump()
    assert {name: values[name] for name in TABLE} == TABLE
    assert set(values) - set(TABLE) == {"name", "capital_share", "slippage", "trail_atr"}
    assert shipped_profile("default") == RiskProfile()


def test_the_default_file_spells_out_every_number() -> None:
    text = (Path(risk.__file__).parent / "shipped" / "default.yaml").read_text()
    assert set(yaml.safe_load(text)) == set(RiskProfile.model_fields)


def test_the_shipped_profiles_bear_their_names_and_go_from_less_risk_to_more() -> None:
    profiles = [shipped_profile(name) for name in SHIPPED]
    assert [profile.name for profile in profiles] == ["conservative", "default", "aggressive"]
    for name in ("risk_fraction", "daily_drawdown", "total_drawdown", "max_positions", "symbol_exposure"):
        values = [getattr(profile, name) for profile in profiles]
        assert values == sorted(set(values)), name
    assert len({profile.hash for profile in profiles}) == 3


def test_the_hash_is_the_sha256_of_the_sorted_json_of_all_numbers_without_the_name() -> None:
    text = (
        '{"after_first":"keep","capital_share":1.0,"cooldown_bars":4,"daily_drawdown":0.03,"direction_exposure":2.0,'
        '"fresh_seconds":60.0,"fresh_share":0.5,"funding":[-10,10],"funding_rate":0.0005,"leverage":3,'
        '"low_profit_hours":168,"low_profit_lock_hours":24,"low_profit_r":-2.0,"max_bars":null,"max_positions":4,'
        '"news_high":[-30,30],"news_med":[-10,10],"portfolio_heat":0.02,"reward":3.0,"risk_fraction":0.005,'
        '"slippage":0.0002,"stop_atr":[0.5,3.0],"stop_guard_hours":24,"stop_guard_lock_hours":12,'
        '"stop_guard_stops":3,"symbol_exposure":1.0,"targets":[[1.5,0.33],[2.0,0.33],[3.0,0.34]],'
        '"total_drawdown":0.1,"trail_atr":2.0,"triggers":2}'
    )
    assert RiskProfile().hash == hashlib.sha256(text.encode()).hexdigest()
    assert RiskProfile(name="another").hash == RiskProfile().hash


@given(st.sampled_from(["risk_fraction", "daily_drawdown", "portfolio_heat", "reward"]), st.floats(0.006, 0.02))
def test_any_other_value_has_another_hash(name: str, value: float) -> None:
    changed = RiskProfile(**{name: value})  # type: ignore[arg-type] # all are floats
    assert (changed.hash == RiskProfile().hash) == (getattr(RiskProfile(), name) == value)


def test_a_file_states_what_differs_from_the_defaults() -> None:
    profile = parse_profile(
        "name: mine\ntargets: [[1, 0.5], [2, 0.5]]\nafter_first: trail\nmax_bars: 96\n", "mine.yaml"
    )
    assert profile == RiskProfile(name="mine", targets=((1.0, 0.5), (2.0, 0.5)), after_first="trail", max_bars=96)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("targets: [[1.5, 0.5], [2, 0.4]]", "the shares of the targets must sum to 1, received [0.5, 0.4]"),
        ("targets: [[2, 0.5], [2, 0.5]]", "targets must ascend, received [2.0, 2.0]: put the nearest first"),
        ("news_high: [30, -30]", "news_high: a window goes from minutes before (0 or less) to minutes after"),
        ("funding: [5, 10]", "funding: a window goes from minutes before (0 or less) to minutes after (0 or more)"),
        ("leverage: 4", "leverage: Input should be less than or equal to 3, received 4"),
        ("leverage: 2.5", "leverage: Input should be a valid integer"),
        ("stop_atr: [3, 3]", "the least distance of the stop must be below the greatest, received [3.0, 3.0]"),
        ("risk_fraction: 0.03", "risk_fraction must not exceed portfolio_heat, received 0.03 and 0.02: lower risk_fr"),
        ("daily_drawdown: 0.2", "daily_drawdown must not exceed total_drawdown, received 0.2 and 0.1"),
        ("symbol_exposure: 3", "symbol_exposure must not exceed direction_exposure, received 3.0 and 2.0"),
        ("risk_fraction: 0", "risk_fraction: Input should be greater than 0, received 0"),
        ("capital_share: 1.5", "capital_share: Input should be less than or equal to 1, received 1.5"),
        ("slippage: 0.0000015", "slippage counts whole parts per million, received 1.5e-06: 2e-06 would do"),
        ("low_profit_r: 2", "low_profit_r: Input should be less than 0, received 2"),
        ("daily_drawdown: .nan", "daily_drawdown: Input should be"),
        ("max_positions: 0", "max_positions: Input should be greater than or equal to 1, received 0"),
        ("max_positions: '4'", "max_positions: Input should be a valid integer, received '4'"),
        ("after_first: hope", "after_first: Input should be 'keep', 'breakeven' or 'trail', received 'hope'"),
        ("max_postions: 4", "max_postions: no such field; did you mean max_positions?"),
        ("name: My Profile", "name: String should match pattern"),
        ("leverage: 1\nreward: 2\nleverage: 2", "stated twice: leverage; keep one of each"),
        ("- leverage", "must map names of fields to values, received list"),
        ("", "must map names of fields to values, received NoneType"),
        ("leverage: [", "cannot be read as YAML"),
        ("leverage: !!python/object:os.system {}", "cannot be read as YAML"),
    ],
)
def test_an_impossible_profile_is_refused_with_its_file_field_and_value(text: str, reason: str) -> None:
    with pytest.raises(ProfileRefused) as refused:
        parse_profile(text, "mine.yaml")
    assert "mine.yaml" in str(refused.value)
    assert reason in str(refused.value)


def test_a_profile_that_is_not_shipped_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        ProfileRefused, match=r"no risk profile '\.\./x' is shipped: use one of conservative, default, a"
    ):
        shipped_profile("../x")


def test_a_profile_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RiskProfile().leverage = 1  # type: ignore[misc] # that is the point


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
@pytest.mark.parametrize("name", ["risk_fraction", "reward", "slippage", "fresh_seconds", "symbol_exposure"])
def test_no_limit_is_negative_or_no_number(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        RiskProfile(**{name: value})  # type: ignore[arg-type] # that is the point


def test_the_look_back_covers_windows_and_the_locks_after_them() -> None:
    # 7 d and 24 h of lock; 100 bars of a day are more.
    assert RiskProfile().look_back(Timeframe("15m")) == timedelta(days=8)
    fields: dict[str, Any] = {"cooldown_bars": 100}
    assert RiskProfile(**fields).look_back(Timeframe("1d")) == timedelta(days=100)
    assert RiskProfile(stop_guard_hours=200, stop_guard_lock_hours=10).look_back(Timeframe("1m")) == timedelta(
        hours=210
    )

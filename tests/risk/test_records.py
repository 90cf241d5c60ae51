from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from risk import GATES, RiskProfile
from risk.records import HOUR, LOSSES, MINUTE, NEVER, STOPS, VERDICT, limits_of, nothing_yet, rules_of
from tests.contracts.instruments import rules
from tests.risk.builders import SPOT


def test_every_number_of_the_default_profile_stands_in_its_record() -> None:
    row = limits_of(RiskProfile())[0]
    assert {name: row[name] for name in (row.dtype.names or ()) if not row.dtype[name].shape} == {
        "risk_fraction": 0.005,
        "capital_share": 1.0,
        "slippage_ppm": 200,
        "targets": 3,
        "fresh_share": 0.5,
        "fresh_us": 60e6,
        "high_before": 30 * MINUTE,
        "high_after": 30 * MINUTE,
        "med_before": 10 * MINUTE,
        "med_after": 10 * MINUTE,
        "funding_before": 10 * MINUTE,
        "funding_after": 10 * MINUTE,
        "funding_rate": 0.0005,
        "triggers": 2,
        "cooldown_bars": 4,
        "stops": 3,
        "stops_within": 24 * HOUR,
        "stops_lock": 12 * HOUR,
        "losses_r": -2.0,
        "losses_within": 168 * HOUR,
        "losses_lock": 24 * HOUR,
        "daily_drawdown": 0.03,
        "total_drawdown": 0.10,
        "positions": 4,
        "stop_atr_least": 0.5,
        "stop_atr_most": 3.0,
        "symbol_exposure": 1.0,
        "direction_exposure": 2.0,
        "heat": 0.02,
        "leverage": 3.0,
        "reward": 3.0,
    }
    assert row["target_r"].tolist() == [1.5, 2, 3, 0, 0, 0, 0, 0]
    assert row["target_share"].tolist() == [0.33, 0.33, 0.34, 0, 0, 0, 0, 0]


def test_windows_keep_their_sides() -> None:
    row = limits_of(RiskProfile(news_high=(-60, 5), news_med=(-7, 0), funding=(-3, 2)))[0]
    assert (row["high_before"], row["high_after"]) == (60 * MINUTE, 5 * MINUTE)
    assert (row["med_before"], row["med_after"]) == (7 * MINUTE, 0)
    assert (row["funding_before"], row["funding_after"]) == (3 * MINUTE, 2 * MINUTE)


def test_rules_are_counted_in_ticks_and_steps() -> None:
    row = rules_of(rules())[0]
    # 556.80 / 0.1, 4,529,764 / 0.1; a stop is a market order: 120 is less than 1000.
    assert (row["least_ticks"], row["most_ticks"]) == (5568, 45_297_640)
    assert (row["least_steps"], row["most_steps"]) == (1, 120_000)
    assert (row["trading"], row["futures"], row["fee"], row["leverage"]) == (1, 1, 0.0005, 20)
    assert (row["least_notional"], row["most_notional"]) == (50, np.inf)


@pytest.mark.parametrize(
    ("least", "market", "steps"),
    [("0.0015", None, 2), ("0.001", "0.0041", 5), ("0.005", "0.001", 5), ("0", None, 1)],
)
def test_the_least_quantity_is_rounded_up_to_whole_steps(least: str, market: str | None, steps: int) -> None:
    stated = rules(min_qty=Decimal(least), market_min_qty=None if market is None else Decimal(market))
    assert rules_of(stated)["least_steps"][0] == steps


def test_quantities_are_counted_in_what_both_a_limit_and_a_market_order_may_be_of() -> None:
    stated = {"market_step_size": Decimal("0.03"), "min_qty": Decimal("0.04"), "max_qty": Decimal(1)}
    row = rules_of(rules(**stated))[0]
    # Multiples of 0.03: 0.06 is the first above 0.04, 0.99 the last below 1.
    assert (row["step"], row["least_steps"], row["most_steps"]) == (0.03, 2, 33)


def test_what_a_venue_does_not_limit_is_not_limited() -> None:
    stated = rules(min_price=None, max_price=None, max_qty=None, market_max_qty=None, min_notional=None, **SPOT)
    row = rules_of(stated)[0]
    assert (row["least_ticks"], row["most_ticks"], row["most_steps"]) == (1, 2**53, 2**53)
    assert (row["least_notional"], row["futures"]) == (0, 0)


@pytest.mark.parametrize(("stated", "most"), [({"max_leverage": Decimal("2.5")}, 2), (SPOT, 1)])
def test_leverage_is_the_one_that_can_be_set(stated: dict[str, Any], most: int) -> None:
    assert rules_of(rules(**stated))["leverage"][0] == most


def test_the_dearer_fee_counts() -> None:
    assert rules_of(rules(maker_fee=Decimal("0.001")))["fee"][0] == 0.001


def test_the_verdict_has_a_place_for_every_gate() -> None:
    assert VERDICT["value"].shape == VERDICT["limit"].shape == (len(GATES),)
    assert len(GATES) < 63  # bits of an int64


def test_before_the_first_exit_nothing_has_begun() -> None:
    assert nothing_yet(STOPS)["tripped"][0] == NEVER
    assert nothing_yet(LOSSES)["last_stop"][0] == NEVER

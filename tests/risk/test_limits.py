"""Quantities that are reduced to fit; what fails is in test_evaluation."""

from decimal import Decimal
from typing import Any

import numba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import GATES, Decision, RiskProfile, decide
from risk.limits import whole_within
from tests.contracts.instruments import rules
from tests.risk.builders import context, position, signal


def decided(profile: RiskProfile | None = None, **account: Any) -> Decision:  # noqa: ANN401 - the model checks them
    return decide(signal(), context(**account), profile or RiskProfile())


def value(decision: Decision, gate: str) -> float | None:
    return decision.gates[GATES.index(gate)].value


def test_a_quantity_is_reduced_to_what_the_symbol_may_still_hold() -> None:
    # 10,000 − 7,000 = 3,000 at 60,000: 0.05 instead of 0.073, less a step where the limit would be met exactly.
    decision = decided(positions=(position(7000, symbol="BTCUSDT"),))
    assert decision.size == Decimal("0.049")
    assert value(decision, "symbol_exposure") == pytest.approx(0.994)
    assert decided(positions=(position(6990, symbol="BTCUSDT"),)).size == Decimal("0.050")


def test_a_quantity_is_reduced_to_what_the_direction_may_still_hold() -> None:
    # 20,000 − 17,500 = 2,500: 0.0416…
    decision = decided(positions=(position(17_500),))
    assert decision.size == Decimal("0.041")
    assert value(decision, "direction_exposure") == pytest.approx((17_500 + 0.041 * 60_000) / 10_000)


def test_the_other_direction_takes_no_room() -> None:
    assert decided(positions=(position(19_000, side="SHORT"),)).size == Decimal("0.073")


def test_a_quantity_is_reduced_to_what_all_stops_together_may_lose() -> None:
    # 200 − 170 = 30 of 683.60005 a unit: 0.0438…
    decision = decided(positions=(position(8500, stop=Decimal(98)),))
    assert decision.size == Decimal("0.043")
    assert value(decision, "portfolio_heat") == pytest.approx((170 + 0.043 * 683.60005) / 10_000)


def test_a_quantity_is_reduced_to_what_may_be_borrowed() -> None:
    # 30,000 − 26,010 of the other direction − 1,000 = 2,990: 0.0498…
    decision = decided(positions=(position(26_010, side="SHORT"), position(1000, symbol="SOLUSDT")))
    assert decision.size == Decimal("0.049")
    assert value(decision, "leverage") == pytest.approx((27_010 + 0.049 * 60_000) / 10_000)


def test_the_tightest_limit_decides() -> None:
    decision = decided(positions=(position(17_500), position(5000, symbol="BTCUSDT", side="SHORT")))
    assert decision.size == Decimal("0.041")


def test_a_share_of_the_capital_is_a_smaller_account() -> None:
    # Half of 10,000: a budget of 25, 25 / 683.60005 = 0.0365…; exposures are of the half.
    decision = decided(RiskProfile(capital_share=0.5))
    assert decision.size == Decimal("0.036")
    assert value(decision, "symbol_exposure") == pytest.approx(0.036 * 60_000 / 5000)
    assert value(decision, "daily_drawdown") == 0


def test_the_most_that_the_venue_takes_in_one_order_caps_the_quantity() -> None:
    assert decided(rules=rules(market_max_qty=Decimal("0.05"))).size == Decimal("0.05")
    assert decided(rules=rules(max_notional=Decimal(3001))).size == Decimal("0.05")


@numba.njit(error_model="numpy")
def _whole(money: float, unit: float) -> int:
    return whole_within(money, unit)


@settings(deadline=None)
@given(st.floats(1e-6, 1e9), st.floats(1e-9, 1e6))
def test_what_surely_fits_never_exceeds_what_there_is(money: float, unit: float) -> None:
    count = int(_whole(money, unit))
    assert Decimal(unit) * count <= Decimal(money)
    exact = Decimal(money) / Decimal(unit)
    assert count >= exact * (1 - Decimal("1e-12")) - 1 or count == 2**53


@pytest.mark.parametrize("money", [0.0, -1.0, float("nan")])
def test_of_nothing_there_is_nothing(money: float) -> None:
    assert _whole(money, 1.0) == 0
    assert _whole(1.0, money) == 0

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.instruments import rules


def test_prices_round_to_the_tick_below_and_above() -> None:
    assert rules().price_below(Decimal("60000.17")) == Decimal("60000.1")
    assert rules().price_above(Decimal("60000.11")) == Decimal("60000.2")


def test_a_price_on_the_grid_stays_where_it_is_either_way() -> None:
    price = Decimal("60000.1")
    assert rules().price_below(price) == price == rules().price_above(price)


def test_a_tick_that_is_no_power_of_ten_is_a_grid_like_any_other() -> None:
    odd = rules(tick_size=Decimal("0.25"))
    assert odd.price_below(Decimal("1000.74")) == Decimal("1000.50")
    assert odd.price_above(Decimal("1000.51")) == Decimal("1000.75")


def test_quantities_round_down() -> None:
    assert rules().quantity_below(Decimal("0.0019999")) == Decimal("0.001")
    assert rules().quantity_below(Decimal("0.0009")) == 0


def test_a_market_order_keeps_both_steps() -> None:
    # Multiples of 0.004 and of 0.01 are multiples of 0.02.
    coarse = rules(step_size=Decimal("0.004"), market_step_size=Decimal("0.01"))
    assert coarse.quantity_below(Decimal("0.079")) == Decimal("0.076")
    assert coarse.quantity_below(Decimal("0.079"), market=True) == Decimal("0.06")


def test_a_market_order_without_a_step_of_its_own_keeps_the_common_one() -> None:
    assert rules(market_step_size=None).quantity_below(Decimal("0.0079"), market=True) == Decimal("0.007")


@pytest.mark.parametrize(
    ("step", "market", "lot"),
    [
        ("0.001", None, "0.001"),
        ("0.001", "0.01", "0.01"),
        ("0.004", "0.01", "0.02"),
        ("1", "0.5", "1"),
        ("3", "2", "6"),
    ],
)
def test_a_lot_is_the_least_quantity_that_is_a_multiple_of_both_steps(step: str, market: str | None, lot: str) -> None:
    stated = rules(step_size=Decimal(step), market_step_size=None if market is None else Decimal(market))
    assert stated.lot_size == Decimal(lot)


def test_the_venue_says_what_is_traded_there_whatever_the_contract_is_called() -> None:
    assert rules(contract_type="CURRENT_QUARTER").is_futures
    assert rules(contract_type="SPOT").is_futures
    assert not rules(venue="binance_spot").is_futures


def test_leverage_is_set_in_whole_numbers_and_there_is_none_on_spot() -> None:
    assert rules(max_leverage=Decimal("2.5")).most_leverage == 2
    assert rules(max_leverage=Decimal(20)).most_leverage == 20
    assert rules(venue="binance_spot", max_leverage=Decimal(5)).most_leverage == 1


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_what_is_no_number_is_not_rounded(value: str) -> None:
    with pytest.raises(ValueError, match="a finite number"):
        rules().price_below(Decimal(value))


def test_an_order_within_all_filters_is_not_refused() -> None:
    assert rules().refusal(Decimal("0.001"), Decimal("60000.1")) is None
    assert rules().refusal(Decimal(120), Decimal("60000.17"), market=True) is None


@pytest.mark.parametrize(
    ("quantity", "price", "market", "reason"),
    [
        ("0.1", "556.7", False, "PRICE_FILTER: 556.7 is below the least of 556.8"),
        ("0.1", "4529764.1", False, "PRICE_FILTER: 4529764.1 is above the most of 4529764"),
        ("0.1", "60000.15", False, "PRICE_FILTER: 60000.15 is no multiple of the tick 0.1"),
        ("0.1", "0", False, "PRICE_FILTER: 0 is no positive number"),
        ("0.0005", "600000", False, "LOT_SIZE: 0.0005 is below the least of 0.001"),
        ("0.0015", "60000", False, "LOT_SIZE: 0.0015 is no multiple of the step 0.001"),
        ("1001", "60000", False, "LOT_SIZE: 1001 is above the most of 1000"),
        ("120.001", "60000", True, "MARKET_LOT_SIZE: 120.001 is above the most of 120"),
        ("0.001", "49999.9", False, "NOTIONAL: 49.9999 is below the least of 50"),
        ("-1", "60000", False, "LOT_SIZE: -1 is no positive number"),
        ("NaN", "60000", False, "LOT_SIZE: NaN is no positive number"),
    ],
)
def test_a_refusal_names_the_filter_the_value_and_the_limit(
    quantity: str, price: str, *, market: bool, reason: str
) -> None:
    assert rules().refusal(Decimal(quantity), Decimal(price), market=market) == reason


def test_a_market_order_off_its_own_step_is_refused() -> None:
    coarse = rules(market_step_size=Decimal("0.01"))
    reason = "MARKET_LOT_SIZE: 0.105 is no multiple of the step 0.01"
    assert coarse.refusal(Decimal("0.105"), Decimal(60000), market=True) == reason
    assert coarse.refusal(Decimal("0.105"), Decimal(60000)) is None


def test_a_notional_above_the_most_is_refused() -> None:
    capped = rules(max_notional=Decimal(1000))
    assert capped.refusal(Decimal("0.1"), Decimal(10001)) == "NOTIONAL: 1000.1 is above the most of 1000"


GRIDS = st.sampled_from([Decimal(t) for t in ("0.00000001", "0.00001", "0.001", "0.01", "0.1", "0.25", "0.5", "1")])


@given(st.decimals(Decimal("0.0001"), Decimal(10**6), places=6), GRIDS)
def test_rounding_moves_a_price_by_less_than_a_tick_and_to_the_stated_side(price: Decimal, grid: Decimal) -> None:
    below, above = rules(tick_size=grid).price_below(price), rules(tick_size=grid).price_above(price)
    assert below <= price <= above
    assert price - below < grid
    assert above - price < grid
    assert below % grid == above % grid == 0

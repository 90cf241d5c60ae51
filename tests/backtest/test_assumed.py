"""Rules read off the first bars of an instrument."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from backtest.assumed import FIRST_BARS, assumed_rules
from contracts import InstrumentKey

SPOT, PERPETUAL = InstrumentKey("binance_spot", "AAAUSDT"), InstrumentKey("binance_usdm", "AAAUSDT")


def bars(closes: list[float], **others: list[float]) -> pl.DataFrame:
    return pl.DataFrame(dict.fromkeys(("open", "high", "low", "close"), closes) | others)


def test_rules_are_assumed_on_the_careful_side() -> None:
    rules = assumed_rules(SPOT, bars([1000.25, 1001.5, 999.75]))
    assert (rules.tick_size, rules.step_size, rules.min_notional) == (Decimal("0.01"), Decimal("0.00001"), Decimal(10))
    assert (rules.taker_fee, rules.max_leverage, rules.fees_source) == (Decimal("0.001"), Decimal(1), "conservative")
    assert assumed_rules(PERPETUAL, bars([1000.25])).max_leverage == 3


def test_what_comes_after_the_first_bars_decides_nothing() -> None:
    first = [100.5] * FIRST_BARS
    assert assumed_rules(SPOT, bars([*first, 101.123, 0.5])) == assumed_rules(SPOT, bars(first))
    assert assumed_rules(SPOT, bars([*first[1:], 101.123])).tick_size == Decimal("0.001")


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_the_tick_is_the_finest_step_of_any_price(column: str) -> None:
    assert assumed_rules(SPOT, bars([100.5, 101.0], **{column: [100.5, 101.125]})).tick_size == Decimal("0.001")


@pytest.mark.parametrize(
    ("price", "lot"),
    [(60_000.0, "0.000001"), (1_000.0, "0.0001"), (99.0, "0.001"), (1.0, "0.1"), (0.5, "0.1"), (0.00001234, "1")],
)
def test_a_lot_is_worth_a_hundredth_to_a_tenth_of_a_quote_unit_or_is_one(price: float, lot: str) -> None:
    assert assumed_rules(SPOT, bars([price])).step_size == Decimal(lot)
    assert lot == "1" or Decimal("0.01") <= Decimal(lot) * Decimal(str(price)) <= Decimal("0.1")


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        (0.00001234, "0.00000001"),
        (0.912345678912, "0.00000001"),
        (1.123456789, "0.0000001"),
        (50_000.123456789, "0.001"),  # a tick of 0.0001 would be less than 1e-8 of the price
        (99_999_999.5, "1"),
    ],
)
def test_prices_that_nobody_rounded_get_the_finest_tick_that_a_venue_would_have(price: float, tick: str) -> None:
    rules = assumed_rules(SPOT, bars([price]))
    assert rules.tick_size == Decimal(tick)
    assert rules.max_notional is not None
    assert rules.max_notional / (rules.tick_size * rules.step_size) < 2**57


def test_prices_that_are_none_are_left_to_the_check_of_bars() -> None:
    assert assumed_rules(SPOT, bars([float("nan"), 0.0, 100.5])) == assumed_rules(SPOT, bars([100.5]))
    assert assumed_rules(SPOT, bars([float("nan")])).tick_size == 1

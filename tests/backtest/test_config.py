"""What a backtest may be asked, and what is said of the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from backtest import BacktestConfig, BacktestRefused
from backtest.config import ALWAYS, FUNDING_SCHEMA
from risk import shipped_profile
from tests.backtest.markets import ONE, TWO, config, rules_of

START = datetime(2024, 1, 1, tzinfo=UTC)


def refusal(**changes: Any) -> str:  # noqa: ANN401 - anything
    with pytest.raises(BacktestRefused) as refused:
        config(**changes)
    return str(refused.value)


@pytest.mark.parametrize(
    "capital", [10_000, 10_000.0, "10000", "1e4", Decimal("1E+4"), np.int64(10_000), np.float32(1e4)]
)
def test_an_amount_may_be_written_in_any_way_and_is_the_same_question(capital: Any) -> None:  # noqa: ANN401
    asked = BacktestConfig(capital=capital)
    assert isinstance(asked.capital, Decimal)
    assert asked.capital == 10_000
    assert asked.hash == BacktestConfig().hash


def test_a_float_is_the_decimal_that_it_is_written_as() -> None:
    assert BacktestConfig(capital=0.1).capital == Decimal("0.1")  # type: ignore[arg-type] # that is the question
    assert BacktestConfig(maintenance_margin=0.025).maintenance_margin == Decimal("0.025")  # type: ignore[arg-type]


@pytest.mark.parametrize("capital", [0, -5, Decimal(0), "0"])
def test_capital_must_be_above_zero(capital: object) -> None:
    assert refusal(capital=capital) == f"a backtest needs capital above 0 to risk a part of it, received {capital}"


@pytest.mark.parametrize("capital", [None, True, "ten", "", float("nan"), Decimal("inf"), [1], 1j])
def test_what_is_no_amount_is_refused_with_what_was_received(capital: object) -> None:
    told = refusal(capital=capital)
    assert told == f"capital is {capital!r}: a finite number would do, as a Decimal, an int, a float or its text"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profile": "aggressive"}, "hand on the profile itself, risk.shipped_profile('aggressive')"),
        ({"profile": {"leverage": 2}}, "profile is a dict: hand on a RiskProfile"),
        ({"params": {"ttl_bars": 2}}, "params is a dict: hand on a EngineParams"),
        ({"params": None}, "params is a NoneType: hand on a EngineParams"),
        ({"sample": timedelta(0)}, "sample is datetime.timedelta(0): the equity curve needs a time between two points"),
        ({"sample": 60}, "sample is 60: the equity curve needs a time between"),
        ({"ambiguity": "hope"}, "ambiguity is 'hope': 'stop' or 'target' would do"),
        ({"trade": "15m"}, "hand on a tuple of timeframes, ('15m',)"),
        ({"trade": ("7m",)}, "unknown timeframe '7m': use one of 1m"),
        ({"sub": {"15m": "7m"}}, "unknown timeframe '7m': use one of 1m"),
        ({"rules": {ONE: []}}, "no version of the rules of binance_usdm:AAAUSDT"),
        ({"rules": {ONE: [(ALWAYS, rules_of(TWO))]}}, "must be its own"),
        ({"rules": {ONE: [(START, rules_of(ONE)), (ALWAYS, rules_of(ONE))]}}, "stand in the order of time"),
        ({"rules": {str(ONE): [(ALWAYS, rules_of(ONE))]}}, "rules are told by instrument, as InstrumentKey.parse("),
        ({"funding": {ONE.series("1m"): pl.DataFrame()}}, "funding are told by instrument, as InstrumentKey.parse("),
    ],
)
def test_a_value_that_is_none_is_answered_with_what_would_do(changes: dict[str, object], told: str) -> None:
    assert told in refusal(**changes)


def settled(*rows: tuple[object, object, object]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=FUNDING_SCHEMA, orient="row")


def hours(count: int) -> datetime:
    return START + timedelta(hours=count)


def test_settlements_without_marks_are_funding() -> None:
    frame = settled((hours(0), 0.0001, None), (hours(8), -0.0002, 42_000.5))
    assert config(funding={ONE: frame}).funding[ONE] is frame
    assert config(funding={ONE: settled()}).funding[ONE].is_empty()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ((hours(8), None, 100.0), "row 1 has a rate that is no finite fraction: (datetime"),
        ((hours(8), float("nan"), 100.0), "row 1 has a rate that is no finite fraction: (datetime"),
        ((hours(8), float("-inf"), 100.0), "row 1 has a rate that is no finite fraction: (datetime"),
        ((hours(8), 0.0001, 0.0), "row 1 has a mark_price that is neither null nor positive"),
        ((hours(8), 0.0001, -1.0), "row 1 has a mark_price that is neither null nor positive"),
        ((hours(8), 0.0001, float("nan")), "row 1 has a mark_price that is neither null nor positive"),
        ((hours(8), 0.0001, float("inf")), "row 1 has a mark_price that is neither null nor positive"),
        ((hours(0), 0.0001, 100.0), "row 1 does not come after the row before it"),
        ((hours(-1), 0.0001, 100.0), "row 1 does not come after the row before it"),
        ((None, 0.0001, 100.0), "row 1 has no funding_time"),
    ],
)
def test_a_settlement_that_would_poison_the_account_is_refused_by_its_row(
    row: tuple[object, object, object], told: str
) -> None:
    funding = {ONE: settled((hours(0), 0.0001, 100.0), row, (hours(16), 0.0001, 100.0))}
    message = refusal(funding=funding)
    assert message.startswith("funding of binance_usdm:AAAUSDT: ")
    assert told in message


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (settled().drop("rate"), "look at rate in funding_time Datetime"),
        (settled().with_columns(pl.col("funding_time").dt.replace_time_zone(None)), "look at funding_time in"),
        (settled().with_columns(pl.col("funding_time").dt.convert_time_zone("Asia/Tokyo")), "look at funding_time in"),
        (settled().with_columns(pl.col("rate").cast(pl.String)), "look at rate in"),
        (pl.DataFrame(), "look at funding_time, rate, mark_price in no columns"),
        (settled().lazy(), "is a LazyFrame: hand on a polars DataFrame"),
    ],
)
def test_funding_of_another_form_is_answered_with_the_form(frame: object, told: str) -> None:
    assert told in refusal(funding={ONE: frame})


def test_a_configuration_is_one_short_line() -> None:
    years = settled(*((hours(8 * count), 0.0001, None) for count in range(3_000)))
    asked = config(profile=shipped_profile("default"), capital="2500.50", trade=("15m",), funding={ONE: years})
    assert repr(asked) == (
        f"BacktestConfig(profile default {asked.profile.hash[:12]}, engine {asked.params.hash[:12]}, capital 2500.5, "
        f"trades 15m, rules of 2, {asked.hash[:12]})"
    )

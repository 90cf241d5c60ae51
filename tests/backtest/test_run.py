"""What can be asked of a backtest and what cannot: holes, spans, rules that are not known, signals that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from backtest import BacktestConfig, BacktestRefused, run_backtest
from backtest.config import ALWAYS, assumed_rules
from backtest.windows import Market
from contracts import InstrumentKey, SeriesKey
from tests.backtest.markets import ONE, TWO, config, market, rules_of

MARKET = market(400)
MINUTES = ONE.series("1m")
START = datetime(2022, 1, 1, tzinfo=UTC)


def test_without_rules_some_are_assumed_on_the_careful_side() -> None:
    prices = pl.Series([1000.25, 1001.5, 999.75])
    rules = assumed_rules(InstrumentKey("binance_spot", "AAAUSDT"), prices)
    assert (rules.tick_size, rules.step_size, rules.min_notional) == (Decimal("0.01"), Decimal("0.00001"), Decimal(10))
    assert (rules.taker_fee, rules.max_leverage, rules.fees_source) == (Decimal("0.001"), Decimal(1), "conservative")
    result = run_backtest({MINUTES: MARKET[MINUTES]}, BacktestConfig())
    assert result.decisions.height > 1_000
    assert any("assumed" in sentence for sentence in result.assumptions)


def test_spot_is_never_sold_short() -> None:
    spot = InstrumentKey("binance_spot", "AAAUSDT")
    asked = config(rules={spot: [(ALWAYS, rules_of(ONE, venue="binance_spot", contract_type="SPOT"))]}, sub={})
    result = run_backtest({spot.series("1m"): MARKET[MINUTES]}, asked)
    assert set(result.trades["side"]) == {"LONG"}
    assert "tradable" in set(result.decisions["reason"].drop_nulls())


def test_rules_hold_from_their_day_on() -> None:
    later = START + timedelta(days=3)
    halted = rules_of(ONE, status="BREAK")
    asked = config(rules={ONE: [(ALWAYS, rules_of(ONE)), (later, halted)]}, sub={})
    result = run_backtest({MINUTES: MARKET[MINUTES]}, asked)
    tradable = result.decisions.filter(pl.col("reason") == "tradable")
    assert tradable.height > 100
    assert tradable["ts"].min() == result.decisions.filter(pl.col("ts") >= later)["ts"].min()
    assert result.trades["placed_ts"].max() < later  # type: ignore[operator] # instants


def test_bars_with_holes_are_traded_around_them() -> None:
    hole = pl.col("open_time").is_between(START + timedelta(days=2), START + timedelta(days=2, hours=3), closed="left")
    holed = {key: frame.filter(~hole) for key, frame in MARKET.items()}
    result = run_backtest(holed, config())
    assert result.trades.height > 20
    inside = pl.col("ts").is_between(START + timedelta(days=2), START + timedelta(days=2, hours=3), closed="right")
    assert result.decisions.filter(inside).height == 0
    assert result.equity["ts"].diff().drop_nulls().n_unique() == 1  # the curve goes on over the hole


def test_series_of_different_spans_share_the_account_while_they_are_there() -> None:
    late = START + timedelta(days=2)
    spans = {
        key: frame.filter((pl.col("open_time") >= late) | (key.instrument == ONE)) for key, frame in MARKET.items()
    }
    result = run_backtest(spans, config())
    assert result.start == START
    of_two = result.decisions.filter(pl.col("symbol") == TWO.symbol)
    assert of_two.height > 0
    assert of_two["ts"].min() > late  # type: ignore[operator] # instants


def test_a_stop_on_the_wrong_side_is_refused_by_its_gate_and_never_traded() -> None:
    bars = {MINUTES: MARKET[MINUTES]}
    read = Market.read(bars, config().params, sub={})
    tables = dict(read.tables[MINUTES])
    tables["signals_raw"] = tables["signals_raw"].with_columns(sl_hint=2 * pl.col("entry_hint") - pl.col("sl_hint"))
    result = run_backtest(bars, config(sub={}), tables={MINUTES: tables})
    assert result.trades.is_empty()
    assert "stop_distance" not in {gate["gate"] for gate in result.explain(0)["gates"] if gate["passed"]}


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (MARKET[MINUTES].drop("volume"), "volume is missing"),
        (MARKET[MINUTES].reverse(), "out of order"),
        (MARKET[MINUTES].with_columns(pl.col("open_time") + timedelta(seconds=30)), "off the grid"),
        (MARKET[MINUTES].with_columns(low=pl.lit(0.0)), "low must be finite and positive"),
        (MARKET[MINUTES].with_columns(close=pl.lit(float("nan"))), "close must be finite and positive"),
        (MARKET[MINUTES].clear(), "no bars to trade"),
    ],
    ids=["column", "order", "grid", "zero", "nan", "empty"],
)
def test_bars_that_cannot_be_are_refused(frame: pl.DataFrame, told: str) -> None:
    with pytest.raises(BacktestRefused, match=told):
        run_backtest({MINUTES: frame}, config(sub={}))


def test_tables_of_other_bars_are_refused() -> None:
    read = Market.read({MINUTES: MARKET[MINUTES]}, config().params, sub={})
    fewer = {MINUTES: MARKET[MINUTES].head(3_000)}
    with pytest.raises(BacktestRefused, match="belongs to no bar"):
        run_backtest(fewer, config(sub={}), tables=read.tables)
    with pytest.raises(BacktestRefused, match="indicators, regimes, zones, signals_raw are needed"):
        run_backtest(fewer, config(sub={}), tables={})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"capital": Decimal(0)}, "capital above 0"),
        ({"capital": Decimal("NaN")}, "capital above 0"),
        ({"sample": timedelta(0)}, "time between two points"),
        ({"rules": {ONE: []}}, "no version of the rules"),
        ({"rules": {ONE: [(ALWAYS, rules_of(TWO))]}}, "must be its own"),
        ({"trade": ("4h",)}, "nothing to trade"),
        ({"sub": {"15m": "3m"}}, "hand on those bars too"),
        ({"rules": {ONE: [(ALWAYS, rules_of(ONE))], TWO: [(ALWAYS, rules_of(TWO, quote="USDC"))]}}, "one capital"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(BacktestRefused, match=told):
        run_backtest(MARKET, config(**changes))


def test_a_key_names_its_timeframe() -> None:
    with pytest.raises(BacktestRefused, match="off the grid"):
        run_backtest({SeriesKey(ONE.venue, ONE.symbol, "1h"): MARKET[MINUTES].slice(1)}, config(sub={}))

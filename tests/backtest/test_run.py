"""What can be asked of a backtest and what cannot: holes, spans, rules that are not known, signals that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from backtest import BacktestConfig, BacktestRefused, Session, run_backtest, with_rules
from backtest.config import ALWAYS
from backtest.windows import Market
from contracts import InstrumentKey, SeriesKey
from tests.backtest.markets import ONE, TWO, config, market, rules_of

MARKET = market(400)
MINUTES = ONE.series("1m")
START = datetime(2022, 1, 1, tzinfo=UTC)


def test_without_rules_some_are_assumed_and_without_a_configuration_the_default_holds() -> None:
    result = run_backtest({MINUTES: MARKET[MINUTES]})
    assert result.decisions.height > 1_000
    assert any("assumed" in sentence for sentence in result.assumptions)
    assert result.fingerprint == run_backtest({MINUTES: MARKET[MINUTES]}, BacktestConfig()).fingerprint


def test_assumed_rules_come_from_the_shortest_series_whatever_the_order_of_series() -> None:
    quarters = ONE.series("15m")
    coarse = {quarters: MARKET[quarters].with_columns(pl.col("open", "high", "low", "close").round(0))}
    both = [{MINUTES: MARKET[MINUTES]} | coarse, coarse | {MINUTES: MARKET[MINUTES]}]
    assert {with_rules(bars, BacktestConfig()).rules[ONE][0][1].tick_size for bars in both} == {Decimal("0.00001")}


def test_the_zone_of_a_trade_is_the_one_that_the_engine_names_for_its_signal() -> None:
    asked = config()
    result = run_backtest(MARKET, asked)
    tables = Market.read(MARKET, asked.params, sub=asked.sub).tables
    zones = {
        (key.symbol, str(key.tf), row["kind"], row["created_ts"]): (row["price_lo"], row["price_hi"])
        for key, of in tables.items()
        for row in of["zones"].iter_rows(named=True)
    }
    named = {row["signal_id"]: row for of in tables.values() for row in of["signals_raw"].iter_rows(named=True)}
    for trade, zone in zip(result.trades.iter_rows(named=True), result.zones.iter_rows(named=True), strict=True):
        signal = named[trade["signal_id"]]
        assert zone["trade_id"] == trade["trade_id"]
        assert (zone["zone_kind"], zone["zone_created_ts"]) == (signal["zone_kind"], signal["zone_created_ts"])
        of_zone = (trade["symbol"], trade["tf"], signal["zone_kind"], signal["zone_created_ts"])
        assert (zone["zone_lo"], zone["zone_hi"]) == zones[of_zone]
    assert set(result.zones["zone_kind"]) == {"OB", "FVG"}


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
        ({"trade": ("4h",)}, "nothing to trade"),
        ({"sub": {"15m": "3m"}}, "hand on those bars too"),
        ({"rules": {ONE: [(ALWAYS, rules_of(ONE))], TWO: [(ALWAYS, rules_of(TWO, quote="USDC"))]}}, "one capital"),
    ],
)
def test_a_configuration_that_does_not_fit_the_bars_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(BacktestRefused, match=told):
        run_backtest(MARKET, config(**changes))


def test_a_key_names_its_timeframe() -> None:
    with pytest.raises(BacktestRefused, match="off the grid"):
        run_backtest({SeriesKey(ONE.venue, ONE.symbol, "1h"): MARKET[MINUTES].slice(1)}, config(sub={}))


BARS = MARKET[MINUTES].head(100)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (BARS, "bars are handed on by series, {SeriesKey.parse('binance_spot:BTCUSDT:15m'): bars}, received a DataFr"),
        ({"binance_spot:BTCUSDT:15m": BARS}, "is no series key: SeriesKey.parse('binance_spot:BTCUSDT:15m') names one"),
        ({"BTCUSDT": BARS}, "'BTCUSDT' is no series key: SeriesKey.parse('binance_spot:BTCUSDT:15m') names one"),
        ({ONE: BARS}, "is no series key: SeriesKey.parse('binance_spot:BTCUSDT:15m') names one"),
        ({MINUTES: BARS.lazy()}, "bars are a polars.DataFrame, received a polars.LazyFrame: collect() it"),
        ({MINUTES: BARS.to_dicts()}, "received a builtins.list: polars.DataFrame(…) makes one"),
        ({MINUTES: BARS.rename({"open_time": "ts"})}, "received columns ts, open, high, low, close, volume: open_time"),
        ({MINUTES: BARS.drop("volume", "high")}, "high is missing; volume is missing"),
        ({MINUTES: BARS.with_columns(pl.col("close").cast(pl.String))}, "close is String"),
        ({MINUTES: BARS.with_columns(pl.col("open_time").dt.epoch("ms"))}, "open_time is Int64"),
        ({MINUTES: BARS.with_columns(pl.col("open_time").dt.replace_time_zone(None))}, "open_time is Datetime("),
    ],
)
def test_what_are_no_bars_is_answered_with_what_bars_are(given: Any, told: str) -> None:  # noqa: ANN401 - anything
    with pytest.raises(BacktestRefused) as refused:
        run_backtest(given)
    assert told in str(refused.value)


def test_what_is_no_configuration_is_refused() -> None:
    with pytest.raises(BacktestRefused, match="config is a dict: hand on a BacktestConfig"):
        run_backtest({MINUTES: BARS}, {"capital": 10})  # type: ignore[arg-type] # what a newcomer may try


def test_a_session_is_told_series_by_their_keys() -> None:
    with pytest.raises(BacktestRefused, match=r"SeriesKey.parse\('binance_spot:BTCUSDT:15m'\) names one"):
        Session(["binance_spot:BTCUSDT:15m"], BacktestConfig(), start=START)  # type: ignore[list-item] # a newcomer's
    session = Session([MINUTES], config(), start=START)
    with pytest.raises(BacktestRefused, match="is no series key"):
        session.advance({str(MINUTES): BARS})  # type: ignore[dict-item] # a newcomer's
    with pytest.raises(BacktestRefused, match=r"received a polars\.LazyFrame"):
        session.advance({MINUTES: BARS.lazy()})  # type: ignore[dict-item] # a newcomer's


def test_a_session_without_rules_is_told_how_to_assume_some() -> None:
    bars = {MINUTES: MARKET[MINUTES]}
    with pytest.raises(BacktestRefused, match=r"assume some: with_rules\(bars, config\)"):
        Session([MINUTES], BacktestConfig(), start=START)
    session = Session([MINUTES], with_rules(bars, BacktestConfig()), start=START)
    session.advance(bars)
    assert session.finish().fingerprint == run_backtest(bars).fingerprint


def test_a_capital_beyond_counting_is_sized_down_where_rules_bound_an_order_and_refused_where_none_does() -> None:
    bars = {MINUTES: MARKET[MINUTES]}
    rich = run_backtest(bars, BacktestConfig(capital=Decimal(10**12), profile=config().profile))
    assert rich.trades.height > 10
    assert rich.trades["notional"].max() == pytest.approx(10_000_000, rel=1e-3)  # the largest order assumed
    # Ticks of 0.01 × steps of 0.001: 2⁵⁷ of them are worth 1.44e12, which EAGER's exposure of 1.0 lets the capital be.
    unbound = {ONE: [(ALWAYS, rules_of(ONE, max_qty=None, market_max_qty=None))]}
    with pytest.raises(BacktestRefused, match="about 1441151880759 would do, or rules with a largest quantity"):
        run_backtest(bars, config(capital=Decimal(10**13), rules=unbound, sub={}))
    assert run_backtest(bars, config(capital=Decimal(10**12), rules=unbound, sub={})).trades.height > 10


def test_a_result_is_one_short_line_whatever_it_holds() -> None:
    bars = MARKET | {ONE.series("5m"): MARKET[ONE.series("15m")].head(0)}
    result = run_backtest(bars, config())
    assert repr(result) == (
        "BacktestResult(binance_usdm:AAAUSDT:1m, binance_usdm:BBBUSDT:1m, binance_usdm:AAAUSDT:5m and 2 more, "
        f"2022-01-01 00:00 to 2022-01-05 04:00, {result.trades.height} trades, "
        f"net {result.trades['pnl'].sum():.2f}, fingerprint {result.fingerprint[:12]})"
    )
    parts = [result.written, result.written.conditions, Market(bars, {})]
    assert all(len(repr(one)) < 200 for one in parts)


@pytest.mark.parametrize("row", [10**6, -1, "x", 1.5, None])
def test_a_decision_that_is_none_cannot_be_explained(row: Any) -> None:  # noqa: ANN401 - anything
    result = run_backtest({MINUTES: MARKET[MINUTES]})
    assert result.explain(0)["ts"] == result.decisions["ts"][0]
    with pytest.raises(BacktestRefused) as refused:
        result.explain(row)
    assert str(refused.value) == (
        f"there is no decision {row!r} to explain: give the number of a row of `decisions`, which has "
        f"{result.decisions.height}"
    )

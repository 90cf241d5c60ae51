"""A portfolio over the same bars: in one go, in pieces, interrupted, cut off."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from backtest import BacktestRefused, BacktestResult, Session, run_backtest
from backtest.windows import Market
from contracts import SeriesKey
from tests.backtest.markets import ONE, TWO, between, config, market, until

BARS = 600  # quarters of an hour: six days
MARKET = market(BARS)
START = datetime(2022, 1, 1, tzinfo=UTC)
END = START + BARS * timedelta(minutes=15)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def whole() -> BacktestResult:
    """All of the market in one call."""
    return run_backtest(MARKET, config())


def fed(cuts: list[datetime], *, restart: bool = False) -> BacktestResult:
    """The market in pieces that end at these instants, and at its end."""
    keys = list(MARKET)
    session = Session(keys, config(), start=START)
    before = START
    for cut in [*cuts, END]:
        session.advance(between(MARKET, before, cut), until=cut)
        before = cut
        if restart:
            session = Session.restored(session.saved(), keys, config(), start=START)
    return session.finish()


def test_the_market_is_one_in_which_much_happens(whole: BacktestResult) -> None:
    assert whole.trades.height > 50
    assert set(whole.trades["symbol"]) == {ONE.symbol, TWO.symbol}
    assert set(whole.trades["tf"]) == {"1m", "15m"}
    assert {"STOP", "TARGET", "TRAIL", "TIME"} <= set(whole.trades["exit_reason"])
    assert whole.opened > whole.trades.height  # some were never filled
    assert {"still_valid", "max_positions", "symbol_free", "vol_guard"} <= set(whole.decisions["reason"].drop_nulls())


def test_the_same_run_has_the_same_fingerprint_and_another_profile_another(whole: BacktestResult) -> None:
    assert run_backtest(MARKET, config()).fingerprint == whole.fingerprint
    other = config(profile=config().profile.model_copy(update={"risk_fraction": 0.004}))
    assert run_backtest(MARKET, other).fingerprint != whole.fingerprint


@given(st.lists(st.integers(1, BARS * 15 - 1), max_size=6, unique=True).map(sorted))
@settings(max_examples=8, deadline=None)
def test_wherever_the_bars_are_cut_everything_comes_out_the_same(whole: BacktestResult, minutes: list[int]) -> None:
    result = fed([START + minute * MINUTE for minute in minutes])
    assert result.fingerprint == whole.fingerprint
    assert_frame_equal(result.trades, whole.trades)
    assert_frame_equal(result.fills, whole.fills)
    assert_frame_equal(result.equity, whole.equity)


def test_a_large_market_is_walked_in_parts_with_the_same_result(whole: BacktestResult) -> None:
    assert run_backtest(MARKET, config(), at_once=1_700).fingerprint == whole.fingerprint
    market_of = Market.read(MARKET, config().params, sub=config().sub)
    assert run_backtest(MARKET, config(), tables=market_of.tables).fingerprint == whole.fingerprint
    assert run_backtest(MARKET, config(), tables=market_of.tables, at_once=1_700).fingerprint == whole.fingerprint


def test_series_that_are_not_traded_only_answer_finer_questions() -> None:
    asked = config(trade=("15m",))
    result = run_backtest(MARKET, asked)
    assert set(result.decisions["tf"]) == {"15m"}
    read = Market.read(MARKET, asked.params, sub=asked.sub, traded=asked.trade)
    assert run_backtest(MARKET, asked, tables=read.tables).fingerprint == result.fingerprint
    plain = config(trade=("15m",), sub={})
    alone = Market.read(MARKET, plain.params, sub={}, traded=plain.trade)
    assert {str(key.tf) for key in alone.tables} == {"15m"}  # the engine did not look at minutes
    assert run_backtest(MARKET, plain, tables=alone.tables).fingerprint == run_backtest(MARKET, plain).fingerprint


def test_bar_by_bar_gives_what_one_call_gives(whole: BacktestResult) -> None:
    some = range((BARS - 20) * 15, BARS * 15)  # each call costs what a live bar costs: five hours of them do
    result = fed([START + minute * MINUTE for minute in some])
    assert result.fingerprint == whole.fingerprint
    assert_frame_equal(result.decisions, whole.decisions)


def test_a_session_that_is_saved_and_restored_between_bars_goes_on_as_if_it_had_not_been(
    whole: BacktestResult,
) -> None:
    cuts = sorted(random.Random(7).sample(range(1, BARS * 15), 12))
    result = fed([START + minute * MINUTE for minute in cuts], restart=True)
    assert result.fingerprint == whole.fingerprint
    assert_frame_equal(result.decisions, whole.decisions)


def test_what_is_decided_by_an_instant_does_not_depend_on_what_follows(whole: BacktestResult) -> None:
    for bars in (40, 111, 207):
        cut = START + bars * timedelta(minutes=15)
        short = run_backtest(until(MARKET, cut), config())
        assert_frame_equal(short.decisions, whole.decisions.filter(pl.col("ts") <= cut))
        ended = pl.col("exit_ts") < cut
        assert_frame_equal(short.trades.filter(ended & (pl.col("exit_reason") != "END")), whole.trades.filter(ended))
        assert_frame_equal(short.equity.filter(pl.col("ts") < cut), whole.equity.filter(pl.col("ts") < cut))


def test_a_saved_session_of_another_configuration_or_with_damaged_bytes_is_refused() -> None:
    keys = list(MARKET)
    session = Session(keys, config(), start=START)
    data = session.saved()
    with pytest.raises(BacktestRefused, match="another configuration"):
        Session.restored(data, keys, config(ambiguity="target"), start=START)
    with pytest.raises(BacktestRefused, match="other series"):
        Session.restored(data, keys[:2], config(), start=START)
    with pytest.raises(BacktestRefused, match="begin it anew"):
        Session.restored(data[: len(data) // 2], keys, config(), start=START)


def test_a_bar_that_comes_too_late_or_too_early_is_refused() -> None:
    session = Session(list(MARKET), config(), start=START)
    cut = START + timedelta(hours=5)
    session.advance(until(MARKET, cut), until=cut)
    late = {ONE.series("1m"): MARKET[ONE.series("1m")].filter(pl.col("open_time") == cut - 2 * MINUTE)}
    with pytest.raises(BacktestRefused, match="comes too late"):
        session.advance(late, tables={ONE.series("1m"): _no_tables()})
    early = {ONE.series("1m"): MARKET[ONE.series("1m")].filter(pl.col("open_time") == cut)}
    with pytest.raises(BacktestRefused, match="after the instant"):
        session.advance(early, until=cut, tables={ONE.series("1m"): _no_tables()})
    strange = SeriesKey("binance_usdm", "ZZZUSDT", "1m")
    with pytest.raises(BacktestRefused, match="none of the session's series"):
        session.advance({strange: MARKET[ONE.series("1m")]})


def _no_tables() -> dict[str, pl.DataFrame]:
    """The engine's tables without rows."""
    from engine import frames

    return {
        "indicators": frames.INDICATOR_SCHEMA.to_frame(),
        "regimes": frames.REGIME_SCHEMA.to_frame(),
        "zones": frames.ZONE_SCHEMA.to_frame(),
        "signals_raw": frames.SIGNAL_SCHEMA.to_frame(),
    }

"""The adapters of the libraries, not the libraries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from backtest import BacktestConfig, run_backtest
from bench.backtest import KEY, PROFILE
from bench.backtest_peers import Entries, backtesting_trades, backtrader_trades, entries_of
from bench.bars import generated_bars

BARS = generated_bars(6_000).with_columns(pl.col("open", "high", "low", "close").round(1))
PEERS = [backtesting_trades, backtrader_trades]
Peer = Callable[..., int]


def test_an_entry_stands_at_the_bar_after_which_our_bracket_was_placed() -> None:
    result = run_backtest({KEY: BARS}, BacktestConfig(profile=PROFILE))
    entries = entries_of(BARS, result)
    assert len(entries) == result.trades.height > 2
    for (bar, (side, stop, target)), trade in zip(entries.items(), result.trades.iter_rows(named=True), strict=True):
        assert BARS["open_time"][bar] + timedelta(minutes=1) == trade["placed_ts"]
        assert side == (1 if trade["side"] == "LONG" else -1)
        assert stop == trade["stop"]
        assert target - trade["entry"] == pytest.approx(2 * (trade["entry"] - stop))
        assert side * (target - stop) > 0


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_makes_the_trades_it_is_told_of_on_either_side(peer: Peer) -> None:
    close = BARS["close"]
    entries: Entries = {
        1_000: (1, close[1_000] * 0.995, close[1_000] * 1.005),
        4_000: (-1, close[4_000] * 1.005, close[4_000] * 0.995),
    }
    assert peer(BARS, entries, fee=0.0005) == 2
    assert peer(BARS, {}, fee=0.0005) == 0


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_holds_one_position_at_a_time(peer: Peer) -> None:
    close = BARS["close"]
    entries: Entries = {bar: (1, close[bar] * 0.995, close[bar] * 1.005) for bar in range(1_000, 1_005)}
    assert peer(BARS, entries, fee=0.0005) == 1


def test_using_the_libraries_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for peer in (backtesting_trades, backtrader_trades):
        peer(BARS.head(200), {}, fee=0.0005)
    assert capfd.readouterr() == ("", "")

"""What is measured of a backtest. That the figures are reached, the bench itself says."""

from __future__ import annotations

import pytest

from bench import backtest
from bench.backtest import run
from bench.backtest_scale import Portfolio
from risk.gates import GATES


def small(*, symbols: int, bars: int) -> Portfolio:
    """A portfolio that nobody traded: twice the stated time, and less than the stated memory."""
    share = symbols * bars / (50 * 525_600)
    return Portfolio(symbols * bars, 120.0 * share, 60.0 * share, 2**31, 5, 7, "")


def test_a_smoke_run_measures_rates_ratios_and_the_portfolio_with_what_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, bars in (("_SMOKE_BARS", 6_000), ("_SMOKE_BACKTESTING_BARS", 2_000), ("_SMOKE_BACKTRADER_BARS", 2_000)):
        monkeypatch.setattr(backtest, name, bars)
    monkeypatch.setattr(backtest, "in_its_own_process", small)
    measured = {one.name.removeprefix("backtest: "): one for one in run(smoke=True)}
    assert [(name, one.unit, one.target) for name, one in measured.items()] == [
        ("given the engine's frames", "bars/s", 2.5e6),
        ("from raw bars", "bars/s", 1e6),
        ("given the engine's frames against backtesting.py", "×", 10.0),
        ("given the engine's frames against backtrader", "×", 50.0),
        ("300 parameter sets over a year of 15m on two cores", "s", 9.0),
        ("one portfolio of many symbols, time", "s", pytest.approx(120 * 1_000_000 / 26_280_000)),
        ("one portfolio of many symbols, memory", "GiB", 8.0),
    ]
    first = measured["given the engine's frames"].detail
    assert first["bars"] == 6_000
    assert int(first["trades"]) > 2
    assert first["gates_recorded"] == int(first["decisions"]) * len(GATES) > 10_000
    portfolio = measured["one portfolio of many symbols, time"]
    assert portfolio.passed  # twice the time is what a smoke run may take
    assert measured["one portfolio of many symbols, memory"].value == 2.0

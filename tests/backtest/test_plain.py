"""The compiled loop against the portfolio in plain Python: the same decisions, brackets and money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from backtest import BacktestConfig, BacktestResult, run_backtest
from backtest.config import FUNDING_SCHEMA
from risk import CalendarWindow
from risk.gates import GATES
from tests.backtest.markets import EAGER, ONE, config, market
from tests.backtest.plain import Plain, plain_backtest

MARKET = market(300, seed=5)
START = datetime(2022, 1, 1, tzinfo=UTC)

# Funding every two hours at rates that hurt, news that keep out of the market, and stops that go to the entry.
EVENTFUL = config(
    profile=EAGER.model_copy(update={"after_first": "breakeven", "max_bars": None, "funding": (-3, 3)}),
    funding={
        ONE: pl.DataFrame(
            [(START + timedelta(hours=2 * n), (-1) ** n * 4e-4, 1000.0 + n if n % 3 else None) for n in range(38)],
            schema=FUNDING_SCHEMA,
            orient="row",
        )
    },
    calendar=[
        CalendarWindow(
            ts_start=START + timedelta(hours=hours),
            ts_end=START + timedelta(hours=hours, minutes=20),
            severity=severity,
            currency="USD",
            known_from=START + timedelta(hours=hours - 1),
        )
        for hours, severity in ((30, "HIGH"), (44, "MED"), (61, "HIGH"))
    ],
)


@pytest.fixture(scope="module", params=[config(), EVENTFUL], ids=["calm", "eventful"])
def asked(request: pytest.FixtureRequest) -> BacktestConfig:
    """What is asked of both."""
    given: BacktestConfig = request.param
    return given


@pytest.fixture(scope="module")
def ours(asked: BacktestConfig) -> BacktestResult:
    """The compiled run."""
    return run_backtest(MARKET, asked)


@pytest.fixture(scope="module")
def plain(asked: BacktestConfig) -> Plain:
    """The plain one."""
    return plain_backtest(MARKET, asked)


def test_what_was_asked_for_happens(asked: BacktestConfig, ours: BacktestResult) -> None:
    if asked is EVENTFUL:
        assert ours.trades["funding"].abs().sum() > 0
        assert {"news_guard", "funding_guard"} <= set(ours.decisions["reason"].drop_nulls())
        assert "BREAKEVEN" in set(ours.trades["exit_reason"])


def test_every_decision_is_the_one_that_decide_makes(ours: BacktestResult, plain: Plain) -> None:
    got = [
        (row["ts"], row["signal_id"], str(row["side"]), row["reason"], row["passed"])
        for row in ours.decisions.iter_rows(named=True)
    ]
    expected = [
        (
            one.ts,
            one.signal_id,
            one.side,
            one.reason,
            sum(gate.passed << GATES.index(gate.gate) for gate in one.gates),
        )
        for one in plain.decisions
    ]
    assert len(expected) > 2_000
    assert got == expected


def test_what_is_explained_is_what_decide_says(ours: BacktestResult, plain: Plain) -> None:
    for row in range(0, len(plain.decisions), 23):
        told, expected = ours.explain(row), plain.decisions[row]
        assert [(gate["gate"], gate["passed"]) for gate in told["gates"]] == [
            (gate.gate, gate.passed) for gate in expected.gates
        ]
        for mine, theirs in zip(told["gates"], expected.gates, strict=True):
            for name in ("value", "limit"):
                assert mine[name] == (
                    None if getattr(theirs, name) is None else pytest.approx(getattr(theirs, name), rel=1e-9, abs=1e-12)
                )
        assert (told["entry"], told["sl"], told["size"]) == (expected.entry, expected.sl, expected.size)


def test_every_trade_has_the_same_prices_quantity_reason_and_money(ours: BacktestResult, plain: Plain) -> None:
    trades = ours.trades
    assert trades.height == len(plain.ended) > 30
    for row, ended in zip(trades.iter_rows(named=True), plain.ended, strict=True):
        order = ended.held.order
        assert row["signal_id"] == ended.held.decision.signal_id
        assert (row["entry_ts"], row["exit_ts"]) == (ended.held.fills[0].at, ended.exit_ts)
        assert row["entry"] == float(order.entry_price or 0)
        assert row["qty"] == float(ended.held.decision.size)
        assert row["exit_reason"] == order.exit_reason
        assert row["guesses"] == order.guesses
        for name in ("pnl", "fees", "funding", "r", "mfe_r", "mae_r"):
            assert row[name] == pytest.approx(float(getattr(order, name)), rel=1e-9, abs=1e-9)
    fills = [fill for ended in plain.ended for fill in ended.held.fills]
    assert [(row["ts"], row["role"], row["price"], row["qty"]) for row in ours.fills.iter_rows(named=True)] == [
        (fill.at, fill.role, float(fill.price), float(fill.quantity)) for fill in fills
    ]


def test_both_end_with_the_same_money(ours: BacktestResult, plain: Plain) -> None:
    assert ours.equity["equity"][-1] == pytest.approx(float(plain.equity), rel=1e-12)
    assert plain.equity != config().capital

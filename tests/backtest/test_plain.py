"""The compiled loop against the portfolio in plain Python: the same decisions, brackets and money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from backtest import BacktestConfig, BacktestResult, run_backtest
from backtest.config import ALWAYS, FUNDING_SCHEMA
from contracts import SeriesKey, to_us
from risk import CalendarWindow
from risk.gates import GATES
from tests.backtest.markets import EAGER, ONE, TWO, config, market, rules_of
from tests.backtest.plain import Plain, plain_backtest

START = datetime(2022, 1, 1, tzinfo=UTC)


def holey(bars: dict[SeriesKey, pl.DataFrame]) -> dict[SeriesKey, pl.DataFrame]:
    """The bars of TWO have a hole while an entry waits, and end while a position is open; those of ONE go on."""
    minutes = (pl.col("open_time") - START).dt.total_minutes()
    there = ~minutes.is_between(HOLE.start, HOLE.stop, closed="left") & (minutes < LAST)
    return {key: frame.filter(there) if key.instrument == TWO else frame for key, frame in bars.items()}


HOLE, LAST = range(2692, 2992), 4395
BREAK = START + timedelta(minutes=3060, seconds=30)
MARKET = holey(market(300, seed=5))

# ONE is not traded for an hour, which begins while a position is open. Funding every two hours at rates that hurt, news
# that keep out of the market, and stops that go to the entry.
EVENTFUL = config(
    profile=EAGER.model_copy(update={"after_first": "breakeven", "max_bars": None, "funding": (-3, 3)}),
    rules={
        ONE: [
            (ALWAYS, rules_of(ONE)),
            (BREAK, rules_of(ONE, status="BREAK")),
            (BREAK + timedelta(hours=1), rules_of(ONE)),
        ],
        TWO: [(ALWAYS, rules_of(TWO))],
    },
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
    waited = ours.written.rows("trades")
    expired = waited["left_us"][(waited["entered"] == 0) & (waited["symbol"] == 1)]
    assert to_us(START + timedelta(minutes=HOLE.start + 5)) in expired
    ended = ours.trades.filter(pl.col("exit_reason") == "END")
    assert (TWO.symbol, START + timedelta(minutes=LAST)) in ended.select("symbol", "exit_ts").rows()
    assert ((ONE.symbol, BREAK) in ended.select("symbol", "exit_ts").rows()) == (asked is EVENTFUL)
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


def test_both_went_as_high_and_fell_as_deep(ours: BacktestResult, plain: Plain) -> None:
    assert ours.book["peak"][0] == pytest.approx(float(plain.peak), rel=1e-12)
    assert ours.max_drawdown == pytest.approx(float(plain.drawdown), rel=1e-9)
    assert plain.drawdown > 0

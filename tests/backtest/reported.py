"""A finished run for reports, from the few numbers that a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.assumptions import assumptions_of
from backtest.config import BacktestConfig
from backtest.metrics import Metrics, daily_returns, metrics_of
from contracts import SeriesKey
from risk.gates import GATES
from tests.backtest.markets import ONE, TWO, config
from tests.backtest.results import START, equity_of, trades_of

CAPITAL = 10_000.0
KEYS = (ONE.series("15m"), TWO.series("15m"))
EVERY_GATE = (1 << len(GATES)) - 1


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Of a run: its series alone."""

    keys: Sequence[SeriesKey] = KEYS


@dataclass(frozen=True, kw_only=True)
class Told:
    """A run as a report reads it."""

    trades: pl.DataFrame
    equity: pl.DataFrame
    decisions: pl.DataFrame
    fills: pl.DataFrame
    zones: pl.DataFrame
    config: BacktestConfig = field(default_factory=config)
    start: datetime = START
    until: datetime = START + timedelta(days=40)
    fingerprint: str = "f" * 64
    written: Rows = field(default_factory=Rows)
    ladder: Sequence[float] = (103.0, 106.0)

    @property
    def metrics(self) -> Metrics:
        """Of the frames; the drawdown and the turnover are made up."""
        return metrics_of(self.trades, self.equity, capital=CAPITAL, max_drawdown=0.1, open_share=0.25, turnover=3.0)

    @property
    def daily_returns(self) -> NDArray[np.float64]:
        """Of the curve, which begins with the capital."""
        return daily_returns(self.equity, capital=CAPITAL)

    @property
    def assumptions(self) -> list[str]:
        """Of the configuration."""
        return assumptions_of(self.config, self)

    def explain(self, row: int, /) -> dict[str, Any]:
        """The ladder, the row's number added to every price."""
        return {"tp_ladder": [(Decimal(str(price)) + row, Decimal(1)) for price in self.ladder]}


def told(r: Sequence[float], *, equity: Sequence[float] = (10_000.0, 10_100.0, 9_900.0), **changes: Any) -> Told:  # noqa: ANN401 - the class checks them
    """A run with a trade for each r, placed by a decision each, after one decision that `trigger` refused.

    Args:
        r: Results in units of risk; 100 quote units are one.
        equity: The curve, a row an hour.
        changes: Other fields of `Told`.
    """
    trades = full(trades_of(r, symbols=[ONE.symbol, TWO.symbol], sides=["LONG", "SHORT"], fees=1.0))
    fills = pl.DataFrame(
        [
            row
            for trade in trades.iter_rows(named=True)
            for row in (
                (trade["trade_id"], trade["entry_ts"], "ENTRY", trade["entry"], 1.0, 0.5, True),
                (trade["trade_id"], trade["exit_ts"], "STOP", trade["exit"], 1.0, 0.5, False),
            )
        ],
        schema={
            "trade_id": pl.Int64(),
            "ts": pl.Datetime("us", "UTC"),
            "role": pl.String(),
            "price": pl.Float64(),
            "qty": pl.Float64(),
            "fee": pl.Float64(),
            "maker": pl.Boolean(),
        },
        orient="row",
    )
    run = Told(
        trades=trades,
        equity=below_peaks(equity_of(equity)),
        decisions=decisions_of(trades),
        fills=fills,
        zones=zones_of(trades),
    )
    return replace(run, **changes)


def zones_of(trades: pl.DataFrame) -> pl.DataFrame:
    """Of each trade its zone from 97 to 99, made an hour before the order: OB, FVG, none, and again."""
    kind = pl.col("trade_id") % 3
    known = pl.when(kind < 2)
    return trades.select(
        "trade_id",
        zone_kind=pl.when(kind == 0).then(pl.lit("OB")).when(kind == 1).then(pl.lit("FVG")),
        zone_created_ts=known.then(pl.col("placed_ts") - pl.duration(hours=1)),
        zone_lo=known.then(97.0),
        zone_hi=known.then(99.0),
    )


def below_peaks(equity: pl.DataFrame) -> pl.DataFrame:
    """A curve with its drawdown."""
    peak = pl.col("equity").cum_max()
    return equity.with_columns(drawdown=(peak - pl.col("equity")) / peak)


def full(trades: pl.DataFrame) -> pl.DataFrame:
    """Trades with every column that a run writes."""
    number = pl.col("trade_id")
    return trades.with_columns(
        signal_id=pl.format("signal-{}", number),
        venue=pl.lit(ONE.venue),
        tf=pl.lit("15m"),
        placed_ts=pl.col("entry_ts") - pl.duration(minutes=15),
        entry=pl.lit(100.0),
        exit=pl.lit(101.5),
        stop=pl.lit(98.0),
        qty=pl.lit(1.0),
        notional=pl.lit(100.0),
        guesses=pl.lit(0, pl.Int64),
        mfe_r=pl.lit(1.25),
        mae_r=pl.lit(-0.5),
        regime=pl.when(number % 2 == 0).then(pl.lit("TREND")),
        zone_strength=(number % 3).cast(pl.Int16),
    )


def decisions_of(trades: pl.DataFrame) -> pl.DataFrame:
    """A refusal by `trigger`, then for each trade the decision that placed it."""
    gate = GATES.index("trigger")
    first = {"ts": START, "signal_id": "refused", "venue": ONE.venue, "symbol": ONE.symbol, "tf": "15m"}
    rows = [{**first, "side": "HOLD", "reason": "trigger", "passed": EVERY_GATE ^ (1 << gate)}] + [
        {
            **{name: trade[name] for name in ("signal_id", "venue", "symbol", "tf")},
            "ts": trade["placed_ts"],
            "side": "BUY" if trade["side"] == "LONG" else "SELL",
            "reason": None,
            "passed": EVERY_GATE,
        }
        for trade in trades.iter_rows(named=True)
    ]
    return pl.DataFrame(
        rows,
        schema={
            "ts": pl.Datetime("us", "UTC"),
            **dict.fromkeys(("signal_id", "venue", "symbol", "tf"), pl.String()),
            "side": pl.Enum(["SELL", "HOLD", "BUY"]),
            "reason": pl.Enum(GATES),
            "passed": pl.Int32(),
        },
    )

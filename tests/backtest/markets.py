"""Markets of several symbols and timeframes for tests: seeded walks, rules with fees so small that signals are worth
taking, and a profile that takes many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from backtest import BacktestConfig
from backtest.config import ALWAYS
from bench.walks import Walk
from contracts import InstrumentKey, InstrumentRules, SeriesKey
from risk import RiskProfile
from tests.contracts.instruments import rules

ONE, TWO = InstrumentKey("binance_usdm", "AAAUSDT"), InstrumentKey("binance_usdm", "BBBUSDT")

# Passes as much as it can, so that the account, not the signal, decides.
EAGER = RiskProfile(
    name="eager",
    triggers=0,
    reward=0.5,
    cooldown_bars=1,
    stop_guard_stops=8,
    stop_guard_lock_hours=1,
    low_profit_r=-20.0,
    daily_drawdown=0.5,
    total_drawdown=0.9,
    max_positions=2,
    after_first="trail",
    max_bars=25,
)


def rules_of(key: InstrumentKey, **changes: Any) -> InstrumentRules:  # noqa: ANN401 - the model checks them
    """Rules with a tick of a cent, lots of a thousandth and tiny fees."""
    fields: dict[str, Any] = {
        "symbol": key.symbol,
        "base": key.symbol.removesuffix("USDT"),
        "tick_size": Decimal("0.01"),
        "min_price": None,
        "max_price": None,
        "min_notional": Decimal(5),
        "market_max_qty": None,
        "maker_fee": Decimal("0.00001"),
        "taker_fee": Decimal("0.00002"),
    }
    return rules(**fields | changes)


def market(bars: int, *, seed: int = 1) -> dict[SeriesKey, pl.DataFrame]:
    """Minutes and quarters of an hour of two instruments: `bars` quarters each."""
    found = {}
    for number, key in enumerate((ONE, TWO)):
        walk = Walk.of(seed=seed + 100 * number, bars=bars)
        found[key.series("1m")] = walk.sub_bars
        found[key.series("15m")] = walk.bars
    return found


def unnested(*tfs: str, bars: int, seed: int = 1) -> dict[SeriesKey, pl.DataFrame]:
    """Bars of ONE in some timeframes, of which longer ones need not nest; `bars` quarters of an hour."""
    walk = Walk.of(seed=seed, bars=bars)
    base = walk.sub_bars if "1m" in tfs else walk.bars
    return {ONE.series(tf): _longer(base, tf) for tf in tfs}


def _longer(bars: pl.DataFrame, tf: str) -> pl.DataFrame:
    first, last = (getattr(pl.col(name), end)() for name, end in (("open", "first"), ("close", "last")))
    grouped = bars.group_by_dynamic("open_time", every=tf)
    return grouped.agg(first, pl.col("high").max(), pl.col("low").min(), last, pl.col("volume").sum())


def config(**changes: Any) -> BacktestConfig:  # noqa: ANN401 - the class checks them
    """A run of `market` under EAGER."""
    asked = BacktestConfig(
        profile=EAGER, rules={key: [(ALWAYS, rules_of(key))] for key in (ONE, TWO)}, sub={"15m": "1m"}
    )
    return replace(asked, **changes)


def until(bars: Mapping[SeriesKey, pl.DataFrame], instant: datetime) -> dict[SeriesKey, pl.DataFrame]:
    """The bars that have ended by an instant."""
    return between(bars, datetime.min.replace(tzinfo=instant.tzinfo), instant)


def between(bars: Mapping[SeriesKey, pl.DataFrame], after: datetime, last: datetime) -> dict[SeriesKey, pl.DataFrame]:
    """The bars that end after one instant and by another."""
    found = {}
    for key, frame in bars.items():
        length = timedelta(microseconds=key.tf.us)
        ends = pl.col("open_time") + length
        found[key] = frame.filter((ends > after if after.year > 1 else pl.lit(value=True)) & (ends <= last))
    return found

"""Markets made by hand for tests of the portfolio: a few bars of a few instruments, and signals that stand in them.

No engine looks at the bars. Minutes are counted from `START`.

    a = hand_made(ONE, level(100.0, minutes=range(5)), [Idea(at=2, side=1, entry=100.0, stop=99.0)])
    traded([a], asked())
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from backtest import BacktestConfig, BacktestResult, Session
from backtest.config import ALWAYS
from backtest.market import Stretch
from backtest.records import FOREVER, SIGNAL
from backtest.written import TOLD_SCHEMA
from contracts import InstrumentKey, to_us
from risk import RiskProfile
from tests.backtest.markets import rules_of

START = datetime(2022, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

# Every gate that looks at the signal or at losses passes; what is tested is tightened in its test. No slippage.
LOOSE = RiskProfile(
    name="loose",
    slippage=0.0,
    triggers=0,
    reward=0.0,
    cooldown_bars=0,
    stop_guard_lock_hours=0,
    low_profit_lock_hours=0,
    daily_drawdown=1.0,
    total_drawdown=1.0,
    stop_atr=(0.01, 100.0),
    portfolio_heat=1.0,
    symbol_exposure=100.0,
    direction_exposure=100.0,
)

# Open, high, low, close, by the minute a bar opens.
Bars = dict[int, tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class Idea:
    """A signal: told at the end of the bar that opens at minute `at`."""

    at: int
    side: int
    entry: float
    stop: float
    ttl: int = 6


def level(price: float, *, minutes: Iterable[int]) -> Bars:
    """Bars that open and close at a price and reach a fifth to both sides, by the minute they open."""
    return dict.fromkeys(minutes, (price, price + 0.2, price - 0.2, price))


def hand_made(instrument: InstrumentKey, bars: Bars, ideas: Sequence[Idea] = (), *, tf: str = "1m") -> Stretch:
    """A series with its signals; an ATR of one, no zones, every volatility fine."""
    key = instrument.series(tf)
    minutes = sorted(bars)
    signals = np.zeros(len(ideas), SIGNAL)
    for row, idea in zip(signals, ideas, strict=True):
        row["bar"], row["ts"] = minutes.index(idea.at), _us(idea.at) + key.tf.us
        row["side"], row["entry"], row["stop"], row["ttl_bars"] = idea.side, idea.entry, idea.stop, idea.ttl
        row["atr14"] = row["structure"] = 1
        row["zone_ends"] = FOREVER
    told = [{"signal_id": f"{instrument.symbol} {tf} {idea.at}", "agent": "hand", "score": 0.5} for idea in ideas]
    return Stretch(
        key,
        np.array([_us(minute) for minute in minutes], np.int64),
        tuple(np.array([bars[minute][k] for minute in minutes]) for k in range(4)),
        np.zeros(len(minutes), np.int8),
        signals,
        pl.DataFrame(told, schema=TOLD_SCHEMA),
    )


def asked(instruments: Sequence[InstrumentKey], *, profile: RiskProfile = LOOSE, **changes: Any) -> BacktestConfig:  # noqa: ANN401 - the class checks them
    """A run of these instruments under `LOOSE`, the account looked at every minute."""
    fields: dict[str, Any] = {
        "profile": profile,
        "rules": {key: [(ALWAYS, rules_of(key))] for key in instruments},
        "sub": {},
        "sample": MINUTE,
    }
    return BacktestConfig(**fields | changes)


def traded(stretches: Sequence[Stretch], config: BacktestConfig, *, cuts: Sequence[int] = ()) -> BacktestResult:
    """Trade all of it, in calls that end at these minutes."""
    first = min(int(one.open_time[0]) for one in stretches)
    last = max(int(one.open_time[-1]) + one.key.tf.us for one in stretches)
    session = Session([one.key for one in stretches], config, start=START + timedelta(microseconds=first - _us(0)))
    before = first
    for until in [*(_us(cut) for cut in cuts), last]:
        parts = {one.key: _between(one, before, until) for one in stretches}
        session.step(parts, until=START + timedelta(microseconds=until - _us(0)))
        before = until
    return session.finish()


def verdicts(result: BacktestResult, instrument: InstrumentKey) -> list[tuple[int, str | None]]:
    """What was said of its signals: the minute, and the gate that refused; None = a bracket was placed."""
    own = result.decisions.filter(pl.col("symbol") == instrument.symbol)
    return [((ts - START) // MINUTE, reason) for ts, reason in own.select("ts", "reason").iter_rows()]


def _between(stretch: Stretch, after: int, until: int) -> Stretch:
    """The bars and signals that end after one instant and by another."""
    ends = stretch.open_time + stretch.key.tf.us
    bars = (ends > after) & (ends <= until)
    now = (stretch.signals["ts"] > after) & (stretch.signals["ts"] <= until)
    signals = stretch.signals[now].copy()
    signals["bar"] -= int((ends <= after).sum())
    prices = tuple(column[bars] for column in stretch.prices)
    told = stretch.told.filter(pl.Series(now))
    return Stretch(stretch.key, stretch.open_time[bars], prices, stretch.vol_state[bars], signals, told)


def _us(minute: int) -> int:
    return to_us(START + minute * MINUTE)

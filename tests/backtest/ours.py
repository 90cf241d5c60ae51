"""Our side of the cross-check: `run_backtest` asked for the brackets that `tests.backtest.peer` is asked for.

The loop, the decision and the fill model are the ones of every run; the engine's tables are written by hand, with a
signal for each bracket, and the profile lets all of them pass.

    done(our_run(bars, [Ask(bar=3, side=1, entry=99.0, stop=98.0, target=101.0)]))
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from backtest import BacktestConfig, BacktestResult, run_backtest
from backtest.config import ALWAYS
from contracts import InstrumentKey
from contracts.candles import BAR_SCHEMA
from risk import RiskProfile
from risk.gates import VOL_STATES
from tests.backtest.markets import rules_of
from tests.backtest.peer import Ask, Done

KEY = InstrumentKey("binance_usdm", "NULLUSDT").series("15m")
FINER = KEY.instrument.series("1m")

# Nothing of it stands in a bracket's way: every gate is as wide as a profile may state it.
OPEN_HANDED: dict[str, Any] = {
    "name": "open-handed",
    "risk_fraction": 1e-5,
    "slippage": 0.0,
    "targets": ((2.0, 1.0),),
    "triggers": 0,
    "cooldown_bars": 0,
    "stop_guard_lock_hours": 0,
    "low_profit_lock_hours": 0,
    "daily_drawdown": 1.0,
    "total_drawdown": 1.0,
    "portfolio_heat": 1.0,
    "stop_atr": (1e-6, 100.0),
    "symbol_exposure": 100.0,
    "direction_exposure": 100.0,
    "leverage": 1,
    "reward": 0.0,
}


def our_run(
    bars: pl.DataFrame,
    asks: Sequence[Ask],
    *,
    commission: float = 0.0,
    finer: pl.DataFrame | None = None,
    **changes: object,
) -> BacktestResult:
    """`run_backtest` with a signal for each bracket: its target must be at 2 R of its limit, its bar that of the ask.

    Args:
        bars: Of `KEY`.
        asks: The brackets.
        commission: Of maker and taker.
        finer: Of `FINER`.
        changes: Of OPEN_HANDED.
    """
    fee = Decimal(str(commission))
    profile = RiskProfile.model_validate(OPEN_HANDED | {"max_bars": asks[0].max_bars} | changes)
    config = BacktestConfig(
        profile=profile,
        capital=Decimal(10**9),
        trade=(str(KEY.tf),),
        rules={KEY.instrument: [(ALWAYS, rules_of(KEY.instrument, maker_fee=fee, taker_fee=fee, max_qty=None))]},
    )
    given = {KEY: bars} if finer is None else {KEY: bars, FINER: finer}
    return run_backtest(given, config, tables={KEY: tables(bars, asks)})


def tables(bars: pl.DataFrame, asks: Sequence[Ask]) -> dict[str, pl.DataFrame]:
    """The engine's tables as if it had had these ideas."""
    ts = (bars["open_time"] + KEY.tf.duration).alias("ts")
    rows = len(asks)
    return {
        "indicators": pl.DataFrame([ts]).with_columns(atr14=pl.lit(1.0)),
        "regimes": pl.DataFrame([ts]).with_columns(
            regime=pl.lit("RANGE"), vol_state=pl.lit("OK", dtype=pl.Enum(VOL_STATES))
        ),
        "zones": pl.DataFrame(
            schema={
                "kind": pl.String,
                "created_ts": BAR_SCHEMA["open_time"],
                "ended_ts": BAR_SCHEMA["open_time"],
                "price_lo": pl.Float64,
                "price_hi": pl.Float64,
                "strength": pl.Int16,
            }
        ),
        "signals_raw": pl.DataFrame(
            {
                "signal_id": [f"{number:024x}" for number in range(rows)],
                "agent": ["cross-check"] * rows,
                "ts": ts.gather([ask.bar for ask in asks]),
                "side_hint": ["LONG" if ask.side > 0 else "SHORT" for ask in asks],
                "entry_hint": [ask.entry for ask in asks],
                "sl_hint": [ask.stop for ask in asks],
                "ttl_bars": [ask.ttl for ask in asks],
                "score": [0.5] * rows,
                "structure_ok": [True] * rows,
                "features": ["{}"] * rows,
                "zone_kind": pl.Series([None] * rows, dtype=pl.String),
                "zone_created_ts": pl.Series([None] * rows, dtype=BAR_SCHEMA["open_time"]),
            }
        ),
    }


def done(result: BacktestResult) -> list[Done]:
    """Our trades, by their ask."""
    found = [
        Done(
            int(row["signal_id"], 16),
            row["entry_ts"],
            row["exit_ts"],
            row["entry"],
            row["exit"],
            row["pnl"] / row["qty"],
        )
        for row in result.trades.iter_rows(named=True)
    ]
    return sorted(found, key=lambda one: one.ask)


def our_trades(bars: pl.DataFrame, asks: Sequence[Ask], **changes: Any) -> list[Done]:  # noqa: ANN401 - see `our_run`
    """The same of a run."""
    return done(our_run(bars, asks, **changes))

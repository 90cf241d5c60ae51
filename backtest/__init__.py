"""Portfolio simulation over the engine, the decision and the fill model, and what a result is worth.

Names are imported when they are first used: statistics need no compiler.

    from backtest import BacktestConfig, run_backtest
    result = run_backtest({SeriesKey("binance_spot", "BTCUSDT", "15m"): bars})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtest.config import BacktestConfig, BacktestRefused
    from backtest.result import BacktestResult
    from backtest.run import run_backtest, with_rules
    from backtest.session import Session

__all__ = ["BacktestConfig", "BacktestRefused", "BacktestResult", "Session", "run_backtest", "with_rules"]

_HOMES = {
    "BacktestConfig": "backtest.config",
    "BacktestRefused": "backtest.config",
    "BacktestResult": "backtest.result",
    "Session": "backtest.session",
    "run_backtest": "backtest.run",
    "with_rules": "backtest.run",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)

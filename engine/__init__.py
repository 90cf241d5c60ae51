"""Pure mathematics on closed bars: no I/O, no clock. Time comes in with the bars.

Names are imported when they are first used: the worker of a plug-in bot needs `engine.plugins` alone, and must not
wait for a compiler.

    engine = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "15m"), EngineParams())
    engine.advance(bars).indicators
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contracts.kernel import warm_up
    from engine.params import EngineParams
    from engine.series import ENGINE_VERSION, TABLES, SeriesEngine, SeriesRows
    from engine.snapshot import SnapshotRefused
    from engine.symbol import SymbolEngine

__all__ = [
    "ENGINE_VERSION",
    "TABLES",
    "EngineParams",
    "SeriesEngine",
    "SeriesRows",
    "SnapshotRefused",
    "SymbolEngine",
    "warm_up",
]

_HOMES = {
    "ENGINE_VERSION": "engine.series",
    "TABLES": "engine.series",
    "EngineParams": "engine.params",
    "SeriesEngine": "engine.series",
    "SeriesRows": "engine.series",
    "SnapshotRefused": "engine.snapshot",
    "SymbolEngine": "engine.symbol",
    "warm_up": "engine.series",  # which knows every kernel
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)

"""Pure mathematics on closed bars: no I/O, no clock. Time comes in with the bars.

engine = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "15m"), EngineParams())
engine.advance(bars).indicators
"""

from engine.kernel import warm_up
from engine.params import EngineParams
from engine.series import ENGINE_VERSION, SeriesEngine, SeriesRows
from engine.snapshot import SnapshotRefused

__all__ = ["ENGINE_VERSION", "EngineParams", "SeriesEngine", "SeriesRows", "SnapshotRefused", "warm_up"]

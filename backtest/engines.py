"""The engines of a portfolio's instruments: of the series that are traded, and of their sub-timeframes.

Invariant: a call that raises has changed no engine.

    engines = Engines(traded, keys, config)
    engines.advance(instrument, {key: january})[key]["zones"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtest.config import BacktestRefused
from backtest.market import TABLES
from backtest.saved import of_bytes
from engine import SymbolEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from backtest.config import BacktestConfig
    from backtest.market import Tables
    from contracts import InstrumentKey, SeriesKey


class Engines:
    """One engine for each instrument of which something is traded.

    Args:
        traded: The series whose signals are traded.
        keys: All that there are.
        config: Of the run: engine parameters and sub-timeframes.

    Raises:
        BacktestRefused: A sub-timeframe is none of the series.
    """

    def __init__(self, traded: Sequence[SeriesKey], keys: Sequence[SeriesKey], config: BacktestConfig) -> None:
        self._traded = frozenset(traded)
        self._engines = {
            instrument: _engine(instrument, traded, keys, config)
            for instrument in sorted({key.instrument for key in traded})
        }

    def advance(self, instrument: InstrumentKey, bars: Mapping[SeriesKey, pl.DataFrame]) -> dict[SeriesKey, Tables]:
        """What an instrument's engine makes of new bars: `TABLES` of each series that is traded.

        Raises:
            BacktestRefused: A bar cannot be, or comes too late.
        """
        engine = self._engines.get(instrument)
        given = {str(key.tf): frame for key, frame in bars.items() if engine and str(key.tf) in engine.engines}
        if engine is None or not given:
            return {}
        try:
            rows = {instrument.series(tf): made for tf, made in engine.advance(given).items()}
        except ValueError as error:  # the engine's word for bars that cannot be; its message names series and row
            raise BacktestRefused(str(error)) from error
        return {
            key: {table: made.frame(table) for table in TABLES} for key, made in rows.items() if key in self._traded
        }

    def saved(self) -> dict[str, NDArray[Any]]:
        """All of them as arrays by name."""
        return {
            f"engine.{instrument}.{tf}": of_bytes(snapshot)
            for instrument, engine in self._engines.items()
            for tf, snapshot in engine.snapshots().items()
        }

    def restore(self, arrays: Mapping[str, NDArray[np.uint8]]) -> None:
        """Take the place of those that `saved` was taken from."""
        for instrument, engine in self._engines.items():
            blobs = {tf: arrays[f"engine.{instrument}.{tf}"].tobytes() for tf in engine.engines}
            sub = {tf: str(of) for tf, of in engine.sub.items()}
            self._engines[instrument] = SymbolEngine.restore(blobs, sub=sub)


def _engine(
    instrument: InstrumentKey, traded: Sequence[SeriesKey], keys: Sequence[SeriesKey], config: BacktestConfig
) -> SymbolEngine:
    own = [str(key.tf) for key in traded if key.instrument == instrument]
    sub = {tf: of for tf, of in config.sub.items() if tf in own}
    missing = [tf for tf in sub.values() if instrument.series(tf) not in keys]
    if missing:
        msg = f"micro_bos of {instrument} comes from {', '.join(missing)}: hand on those bars too"
        raise BacktestRefused(msg)
    params = dict.fromkeys(sorted({*own, *sub.values()}), config.params)
    return SymbolEngine(instrument.venue, instrument.symbol, params, sub=sub)

"""The same indicators by TA-Lib and by pandas-ta-classic, for ratios in benchmarks and for parity in tests.

TA-Lib computes eight functions, without state, volume averages or ranks. pandas-ta-classic (its own Python, TA-Lib
switched off) with the obvious pandas around it computes every column of table `indicators`.

Both are development dependencies, so they are imported when first used.

    pandas_columns(pandas_bars(bars))["rsi14"]
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

TALIB_FUNCTIONS = 8
_RANKED = 199


def talib_columns(bars: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """EMA 20, 50 and 200, RSI, MACD, ATR, ADX and BBANDS; NaN before their first values.

    Args:
        bars: A bar frame (`contracts.candles.BAR_SCHEMA`).
    """
    import talib

    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    macd, signal, hist = talib.MACD(close, 12, 26, 9)
    upper, mid, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    return {
        "ema20": talib.EMA(close, 20),
        "ema50": talib.EMA(close, 50),
        "ema200": talib.EMA(close, 200),
        "rsi14": talib.RSI(close, 14),
        "macd": macd,
        "macd_signal": signal,
        "macd_hist": hist,
        "atr14": talib.ATR(high, low, close, 14),
        "adx14": talib.ADX(high, low, close, 14),
        "bb_mid": mid,
        "bb_upper": upper,
        "bb_lower": lower,
    }


def pandas_bars(bars: pl.DataFrame) -> Any:  # noqa: ANN401 - a pandas frame, which is imported lazily and untyped
    """A bar frame as pandas-ta-classic wants it: indexed by open time, without a time zone."""
    import pandas as pd

    columns = {name: bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(bars["open_time"].dt.replace_time_zone(None).to_numpy()))


def pandas_columns(frame: Any) -> dict[str, Any]:  # noqa: ANN401 - see pandas_bars
    """Every column of table `indicators`, as pandas series; NaN before their first values.

    Args:
        frame: What `pandas_bars` made.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces what pandas 4 will change, which is not ours to mend
        import pandas_ta_classic as ta

        high, low, close, volume = frame["high"], frame["low"], frame["close"], frame["volume"]
        macd = ta.macd(close, 12, 26, 9, talib=False)
        bands = ta.bbands(close, 20, 2.0, talib=False)
        lower, mid, upper = (bands.iloc[:, i] for i in range(3))
        natr = ta.natr(high, low, close, 14, talib=False)
        return {
            "ema20": ta.ema(close, 20, talib=False),
            "ema50": ta.ema(close, 50, talib=False),
            "ema200": ta.ema(close, 200, talib=False),
            "rsi14": ta.rsi(close, 14, talib=False),
            "macd": macd.iloc[:, 0],
            "macd_signal": macd.iloc[:, 2],
            "macd_hist": macd.iloc[:, 1],
            "atr14": ta.atr(high, low, close, 14, talib=False),
            "adx14": ta.adx(high, low, close, 14, talib=False).iloc[:, 0],
            "bb_mid": mid,
            "bb_upper": upper,
            "bb_lower": lower,
            "vwap": ta.vwap(high, low, close, volume),
            "vwma20": ta.vwma(close, volume, 20),
            "natr": natr,
            "natr_rank": _rolling_rank(natr),
            "bbw_rank": _rolling_rank((upper - lower) / mid),
        }


def _rolling_rank(values: Any) -> Any:  # noqa: ANN401 - see pandas_bars
    """Share of the 199 values before each one that are strictly below it."""
    return (values.rolling(_RANKED + 1).rank(method="min") - 1) / _RANKED

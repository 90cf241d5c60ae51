"""Parity with the libraries people compare with: 1e-9 relative, once differing seeds have decayed.

A seed's weight falls by 11/13 a bar in EMA12 and by 13/14 in Wilder's averages: after 400 bars below 1e-12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from bench.bars import generated_bars
from bench.engine_peers import pandas_bars, pandas_columns, talib_columns
from contracts import SeriesKey
from engine import EngineParams, SeriesEngine
from engine.features import COLUMNS
from tests.engine.real_bars import needs_real_bars, read_real_bars

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECAY = 600
# Bars after which a column agrees with the peer; what is not named agrees from its first value on. Both peers seed the
# smoothed movements of ADX with 13 sums; TA-Lib seeds its EMA12 at the bar where EMA26 begins.
TALIB_DECAY = {"macd": DECAY, "macd_signal": DECAY, "macd_hist": DECAY, "adx14": DECAY}
PANDAS_DECAY = {"adx14": DECAY}


def our_columns(bars: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    table = SeriesEngine(SeriesKey("binance_usdm", "BTCUSDT", "1m"), EngineParams()).advance(bars).indicators
    return {name: table[name].fill_null(float("nan")).to_numpy() for name in COLUMNS}


def assert_close(name: str, ours: NDArray[np.float64], theirs: NDArray[np.float64], price: float) -> None:
    # what is a difference of prices carries the rounding of prices, however small it is itself
    rounding = price * 1e-12 if name.startswith("macd") else 0.0
    np.testing.assert_allclose(theirs, ours, rtol=1e-9, atol=rounding, err_msg=name)


def assert_parity_with_talib(bars: pl.DataFrame) -> None:
    ours, theirs = our_columns(bars), talib_columns(bars)
    assert len(theirs) == 12
    for name, column in theirs.items():
        first = int(np.isnan(ours[name]).sum())
        if name not in TALIB_DECAY:
            assert np.isnan(column).sum() == first, name
        start = TALIB_DECAY.get(name, first)
        assert_close(name, ours[name][start:], column[start:], float(bars["close"][0]))


def assert_parity_with_pandas(bars: pl.DataFrame) -> None:
    ours, theirs = our_columns(bars), pandas_columns(pandas_bars(bars))
    assert tuple(theirs) == COLUMNS
    for name, column in theirs.items():
        start = PANDAS_DECAY.get(name, int(np.isnan(ours[name]).sum()))
        assert_close(name, ours[name][start:], column.to_numpy()[start:], float(bars["close"][0]))


def test_generated_bars_agree_with_talib() -> None:
    assert_parity_with_talib(generated_bars(5_000))


def test_generated_bars_agree_with_pandas_ta_classic() -> None:
    assert_parity_with_pandas(generated_bars(5_000))


@needs_real_bars
def test_real_bars_agree_with_talib() -> None:
    assert_parity_with_talib(read_real_bars())


@needs_real_bars
def test_real_bars_agree_with_pandas_ta_classic() -> None:
    assert_parity_with_pandas(read_real_bars())


def test_a_flat_window_is_where_rsi_differs_from_talib_on_purpose() -> None:
    bars = generated_bars(40).with_columns(*(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")))
    assert our_columns(bars)["rsi14"][14:] == pytest.approx(50.0)
    assert talib_columns(bars)["rsi14"][14:] == pytest.approx(0.0)

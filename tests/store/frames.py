"""Small candle frames for tests of the store."""

from datetime import UTC, datetime, timedelta

import polars as pl

from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA

KEY = SeriesKey("binance_usdm", "BTCUSDT", "1m")
T0 = datetime(2022, 1, 1, tzinfo=UTC)
SEEN = datetime(2022, 2, 1, 12, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def candles(slots: list[int], *, close: str | dict[int, str] = "100.5") -> pl.DataFrame:
    """One-minute candles in the given slots after T0; `close` is the only value that differs."""
    closes = close if isinstance(close, dict) else dict.fromkeys(slots, close)
    rows = [
        (T0 + minutes(slot), "100.10", "200", "50", closes[slot], "12.500", 7, "3.25", "1250.0000") for slot in slots
    ]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")

r"""The two frames a candle travels in, and the digest that says which candles a result was made from.

* A *candle frame* is what the exchange said: prices and volumes are its own decimal text, never a float.
* A *bar frame* is what the engine reads: the same values as float64.

Digest of a month = sha256 over one line a candle, in order of open time:
`open_time_us|o|h|l|c|v|quote_vol|trades|taker_buy_vol`, decimals without trailing zeros, each line ended by `\n`.
Chain: chain₀ = sha256(series key text ‖ first open time in µs), chain = sha256(previous chain ‖ month's digest
[‖ digest of the sub-timeframe's month]); digests and chains enter as their 64 hex characters (ASCII). Equal chains
therefore mean equal candles from the first to this month, whatever route they took into the database.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from contracts.series import SeriesKey

DECIMALS = ("open", "high", "low", "close", "volume", "quote_vol", "taker_buy_vol")

CANDLE_SCHEMA = pl.Schema(
    {
        "open_time": pl.Datetime("us", "UTC"),
        "open": pl.String(),
        "high": pl.String(),
        "low": pl.String(),
        "close": pl.String(),
        "volume": pl.String(),
        "trades": pl.Int64(),
        "taker_buy_vol": pl.String(),
        "quote_vol": pl.String(),
    }
)

BAR_SCHEMA = pl.Schema(
    {
        "open_time": pl.Datetime("us", "UTC"),
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
    }
)

# What the exchange may send as a number (its own rule for requests): plain digits, no sign, no exponent; and, so that
# one value has one canonical text, no leading zeros.
DECIMAL_PATTERN = r"^(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?$"


def trimmed(column: str) -> pl.Expr:
    """The decimal text of `column` without trailing zeros (`1.500` → `1.5`, `20.0` → `20`)."""
    text = pl.col(column)
    with_point = text.str.strip_chars_end("0").str.strip_chars_end(".")
    return pl.when(text.str.contains(".", literal=True)).then(with_point).otherwise(text)


def digest(candles: pl.DataFrame) -> str:
    """The digest of a candle frame.

    Args:
        candles: A candle frame (`CANDLE_SCHEMA`), sorted by open time, without nulls.

    Returns:
        64 hex characters; the digest of no candles is the sha256 of nothing.
    """
    decimals = {name: trimmed(name) for name in DECIMALS}
    line = pl.concat_str(
        pl.col("open_time").dt.epoch("us").cast(pl.String),
        decimals["open"],
        decimals["high"],
        decimals["low"],
        decimals["close"],
        decimals["volume"],
        decimals["quote_vol"],
        pl.col("trades").cast(pl.String),
        decimals["taker_buy_vol"],
        separator="|",
    )
    lines = candles.select(line.alias("line"))
    return hashlib.sha256(lines.write_csv(include_header=False, quote_style="never").encode()).hexdigest()


def chain_start(key: SeriesKey, first_open_time_us: int) -> str:
    """chain₀ of a series: what its first month's chain is built on."""
    return hashlib.sha256(f"{key}{first_open_time_us}".encode()).hexdigest()


def chain_next(previous: str, month_digest: str, sub_digest: str = "") -> str:
    """The chain after one more month.

    Args:
        previous: Chain of the month before, or `chain_start`.
        month_digest: Digest of this month's candles.
        sub_digest: Digest of the same month of the configured sub-timeframe; empty where there is none.
    """
    return hashlib.sha256(f"{previous}{month_digest}{sub_digest}".encode()).hexdigest()


def bars(candles: pl.DataFrame) -> pl.DataFrame:
    """The bar frame of a candle frame: each decimal text becomes the nearest float64."""
    return candles.select(
        "open_time", *(pl.col(name).cast(pl.Float64) for name in ("open", "high", "low", "close", "volume"))
    )

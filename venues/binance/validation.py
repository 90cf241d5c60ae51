"""Which rows are candles: one vectorised pass over raw text rows, however they arrived.

Invariant: every row that comes in is accounted for once, as a candle, as a quarantined row with its reason, or in the
count of dropped duplicates; the texts of a candle are exactly those that came in. A refused row never stops the
others. Prices are compared as the nearest doubles, which keeps the order of the decimals; where two different texts
give one double, the decimals themselves decide. Close times are ignored: files of 2017 and 2018 carry odd ones, and a
candle's close follows from its open time.

    parsed = judge(raw, Timeframe.M1, start=month_start, end=month_end)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import polars as pl

from contracts.candles import CANDLE_SCHEMA, DECIMAL_PATTERN, DECIMALS, trimmed
from contracts.timeframe import Timeframe, to_us

# The twelve fields of a kline, in Binance's order, archive and REST alike.
FIELDS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_vol",
    "trades",
    "taker_buy_vol",
    "taker_buy_quote_vol",
    "ignored",
)
RAW_SCHEMA = pl.Schema(dict.fromkeys(FIELDS, pl.String()))
QUARANTINE_SCHEMA = pl.Schema({"open_time": pl.Datetime("us", "UTC"), "payload": pl.String(), "reason": pl.String()})

# Milliseconds stay below this until the year 33658, microseconds are above it since 2001.
_MICROSECONDS_FROM = 10**15
# The year 10000: no datetime of Python reaches it.
_END_OF_TIME_US = 253_402_300_800 * 10**6
# `market.candles.trades` is an integer of four bytes.
_MOST_TRADES = 2**31 - 1

_PRICES = ("open", "high", "low", "close")
# The first of each pair may not be below the second.
_PRICE_ORDER = (("high", "open"), ("high", "low"), ("high", "close"), ("open", "low"), ("close", "low"))
_TAKER_ORDER = ("volume", "taker_buy_vol")
_ORDERED = (*_PRICE_ORDER, _TAKER_ORDER)


class Refusal(StrEnum):
    """Why a row was quarantined."""

    OPEN_TIME = "open_time_unreadable"
    NUMBER = "number_unreadable"
    TRADES = "trades_unreadable"
    OFF_GRID = "off_grid"
    OUTSIDE = "outside_window"
    PRICE = "price_not_positive"
    ORDER = "prices_contradict"
    TAKER = "taker_above_volume"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class ParsedCandles:
    """What a file or an answer held.

    Attributes:
        candles: A candle frame (`CANDLE_SCHEMA`), ascending, one row an open time.
        quarantined: `QUARANTINE_SCHEMA`: the refused rows; `payload` is the row's fields as received, joined by
            commas, `open_time` is null where it could not be read, `reason` is a `Refusal`.
        duplicates: Rows dropped because an equal row of the same open time was kept.
    """

    candles: pl.DataFrame
    quarantined: pl.DataFrame
    duplicates: int


def judge(raw: pl.DataFrame, tf: Timeframe, *, start: datetime, end: datetime) -> ParsedCandles:
    """Divide raw rows into candles and refused ones.

    Args:
        raw: Rows as text (`RAW_SCHEMA`); null means an empty field.
        tf: The timeframe whose grid the open times must lie on.
        start: First instant a candle may open at.
        end: First instant after the window.
    """
    rows = _read(raw)
    checks = _checks(tf, start=to_us(start), end=to_us(end))
    suspect = rows.select(pl.any_horizontal(*checks.values(), _tied())).to_series()
    good, refused = rows, [rows.clear().with_columns(reason=pl.lit(None, dtype=pl.String))]
    # Filtering and sorting copy every text; a clean month in order needs neither.
    if suspect.any():
        judged = _with_reasons(rows.with_row_index("row").filter(suspect), checks)
        bad = judged.filter(pl.col("reason").is_not_null())
        good = rows.with_row_index("row").join(bad, on="row", how="anti", maintain_order="left").drop("row")
        refused.append(bad.drop("row"))
    if not good["us"].is_sorted():
        good = good.sort("us", maintain_order=True)
    duplicates = 0
    if good["us"].is_duplicated().any():
        distinct = good.filter(pl.struct("us", *map(trimmed, DECIMALS), "trades_count").is_first_distinct())
        duplicates = good.height - distinct.height
        contested = pl.col("us").is_duplicated()
        refused.append(distinct.filter(contested).with_columns(reason=pl.lit(Refusal.CONFLICT.value)))
        good = distinct.filter(~contested)
    return ParsedCandles(_candles(good), _quarantined(pl.concat(refused)), duplicates)


_INSTANT = pl.col("us").cast(pl.Datetime("us", "UTC"))


def _candles(good: pl.DataFrame) -> pl.DataFrame:
    values = {"open_time": _INSTANT, "trades": pl.col("trades_count")}
    return good.select(values.get(name, pl.col(name)).alias(name) for name in CANDLE_SCHEMA)


def _quarantined(refused: pl.DataFrame) -> pl.DataFrame:
    payload = pl.concat_str((pl.col(name).fill_null("") for name in FIELDS), separator=",")
    return refused.select(
        pl.when(pl.col("us") < _END_OF_TIME_US).then(_INSTANT).alias("open_time"),
        payload.alias("payload"),
        pl.col("reason"),
    )


def _digits(name: str, *, at_most: int) -> pl.Expr:
    # The whole number in a text of plain digits; null for any other text.
    text = pl.col(name)
    return pl.when(text.str.contains(rf"^[0-9]{{1,{at_most}}}$")).then(text).cast(pl.Int64, strict=False)


def _read(raw: pl.DataFrame) -> pl.DataFrame:
    # Adds `us` (open time), `trades_count`, `readable` and the doubles `~<name>`.
    stated = pl.col("stated")
    readable = (pl.col(name).str.contains(DECIMAL_PATTERN).fill_null(value=False) for name in DECIMALS)
    doubles = {f"~{name}": pl.col(name).cast(pl.Float64, strict=False) for name in (*_PRICES, *_TAKER_ORDER)}
    return raw.with_columns(
        stated=_digits("open_time", at_most=16),
        trades_count=_digits("trades", at_most=10),
        readable=pl.all_horizontal(readable),
        **doubles,
    ).with_columns(us=pl.when(stated >= _MICROSECONDS_FROM).then(stated).otherwise(stated * 1000))


def _checks(tf: Timeframe, *, start: int, end: int) -> dict[Refusal, pl.Expr]:
    # What refuses a row, first reason first.
    us, trades = pl.col("us"), pl.col("trades_count")
    return {
        Refusal.OPEN_TIME: us.is_null(),
        Refusal.OFF_GRID: us % tf.us != 0,
        Refusal.OUTSIDE: (us < start) | (us >= end),
        Refusal.NUMBER: ~pl.col("readable"),
        Refusal.TRADES: trades.is_null() | (trades > _MOST_TRADES),
        Refusal.PRICE: pl.any_horizontal(pl.col(f"~{name}") <= 0 for name in _PRICES),
        Refusal.ORDER: pl.any_horizontal(pl.col(f"~{a}") < pl.col(f"~{b}") for a, b in _PRICE_ORDER),
        Refusal.TAKER: pl.col("~volume") < pl.col("~taker_buy_vol"),
    }


def _tied() -> pl.Expr:
    # Two decimals further apart than a double resolves compare as their doubles; these rows do not show it.
    return pl.any_horizontal(
        (pl.col(f"~{a}") == pl.col(f"~{b}")) & pl.col(a).ne_missing(pl.col(b)) for a, b in _ORDERED
    )


def _with_reasons(suspects: pl.DataFrame, checks: dict[Refusal, pl.Expr]) -> pl.DataFrame:
    first = pl.coalesce(pl.when(fails).then(pl.lit(refusal.value)) for refusal, fails in checks.items())
    judged = suspects.with_columns(reason=first)
    exact = [
        row["reason"] or _contradiction(row)
        for row in judged.select("reason", *_PRICES, "volume", "taker_buy_vol").iter_rows(named=True)
    ]
    return judged.with_columns(pl.Series("reason", exact, dtype=pl.String))


def _contradiction(row: dict[str, str]) -> str | None:
    below = [(a, b) for a, b in _ORDERED if Decimal(row[a]) < Decimal(row[b])]
    if not below:
        return None
    return Refusal.TAKER.value if below == [_TAKER_ORDER] else Refusal.ORDER.value

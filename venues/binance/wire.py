"""Binance's two ways of writing klines, read into raw text rows: CSV of the archive, JSON arrays of REST.

Pure functions over bytes; nothing here knows a socket. Invariant: text in = text out, no price ever passes through a
float. A content whose *shape* is wrong (columns, types, encoding, nothing at all) is refused as a whole; a single bad
row of the right shape is left to `venues.binance.validation`, which quarantines it.

    parsed = parse_csv(data, Timeframe.M1, start=month, end=next_month, name="BTCUSDT-1m-2022-01.csv")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from contracts.candles import DECIMAL_PATTERN
from contracts.timeframe import Timeframe
from venues.binance.errors import ArchiveRejected, BadAnswer, quoted
from venues.binance.validation import FIELDS, RAW_SCHEMA, ParsedCandles, judge

# Header of USD-M files since about 2022 (binance-api.md §11); spot files and older ones have none.
CSV_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)

KlineRow = tuple[str, ...]
"""The twelve fields of one REST kline as text."""

_COMMAS = len(FIELDS) - 1
_WHOLE_NUMBERS = ("open_time", "close_time", "trades")
_TYPES = tuple(int if name in _WHOLE_NUMBERS else str for name in FIELDS)


def parse_csv(data: bytes, tf: Timeframe, *, start: datetime, end: datetime, name: str) -> ParsedCandles:
    """Read one archive file.

    Args:
        data: The CSV as it stood in the zip.
        tf: Timeframe of the file.
        start: Start of the period the file is named after.
        end: End of that period.
        name: The file's name, for messages.

    Returns:
        Candles, quarantined rows and the number of dropped duplicates.

    Raises:
        ArchiveRejected: The content is empty, no CSV of twelve columns, no UTF-8, or has an unknown header.
    """
    body = _without_header(data.rstrip(b"\r\n"), name)
    if not body:
        msg = f"{name} holds no row; nothing of it was stored"
        raise ArchiveRejected(msg)
    try:
        raw = pl.read_csv(body, has_header=False, schema=RAW_SCHEMA, quote_char=None)
    except (pl.exceptions.PolarsError, ValueError) as error:
        msg = f"{name} is no UTF-8 text of {len(FIELDS)} columns ({error}); it begins {quoted(body)}"
        raise ArchiveRejected(msg) from error
    # The reader refuses rows that are too long and fills those too short with nulls, as it does with empty fields:
    # the sum of commas tells the two apart.
    if raw["ignored"].null_count() and body.count(b",") != _COMMAS * raw.height:
        msg = f"{name} has rows of fewer than {len(FIELDS)} columns (truncated?); it begins {quoted(body)}"
        raise ArchiveRejected(msg)
    return judge(raw, tf, start=start, end=end)


def _without_header(data: bytes, name: str) -> bytes:
    if not data or data[:1].isdigit():
        return data
    first, _, rest = data.partition(b"\n")
    fields = [
        field.strip().lower() for field in first.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").split(",")
    ]
    if ",".join(fields) == CSV_HEADER:
        return rest
    if len(fields) == len(FIELDS) and any(re.fullmatch(DECIMAL_PATTERN, field) for field in fields):
        return data  # a row whose open time is damaged, to be quarantined with its values
    msg = f"{name} begins with neither a row nor the known header: {quoted(first)}; its columns may mean something else"
    raise ArchiveRejected(msg)


def kline_rows(value: object, *, asked: str) -> list[KlineRow]:
    """The rows of a REST answer as text.

    Args:
        value: The decoded JSON body.
        asked: What was attempted and with which key, for messages.

    Raises:
        BadAnswer: Not an array of arrays of twelve, or a field of another JSON type than documented: a price that is
            a JSON number may have lost digits already.
    """
    if not isinstance(value, list):
        msg = f"{asked}: a JSON array of klines was expected, received {_short(value)}"
        raise BadAnswer(msg)
    for row in value:
        # `type` and not isinstance: JSON's true is an int to Python.
        if not isinstance(row, list) or tuple(map(type, row)) != _TYPES:
            msg = (
                f"{asked}: a kline of {len(FIELDS)} fields with prices as strings was expected, received {_short(row)}"
            )
            raise BadAnswer(msg)
    return [tuple(map(str, row)) for row in value]


def parse_rows(rows: Sequence[KlineRow], tf: Timeframe, *, start: datetime, end: datetime) -> ParsedCandles:
    """Read the rows of one or more REST pages.

    Args:
        rows: What `kline_rows` returned.
        tf: Timeframe asked for.
        start: Start of the window asked for.
        end: End of the window asked for.
    """
    return judge(pl.DataFrame(rows, schema=RAW_SCHEMA, orient="row"), tf, start=start, end=end)


def _short(value: object) -> str:
    return quoted(repr(value)[:400].encode())

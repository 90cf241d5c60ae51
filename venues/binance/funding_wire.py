"""Binance's two ways of writing funding rates, read into raw text rows: CSV of the archive, JSON objects of REST.

Pure functions over bytes and decoded JSON; nothing here knows a socket. As with klines (`wire`), a content whose
*shape* is wrong is refused as a whole; a single bad row of the right shape is left to `funding`, which quarantines it.

    parsed = parse_funding_csv(data, start=month, end=next_month, name="BTCUSDT-fundingRate-2024-01.csv")
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from venues.binance.errors import ArchiveRejected, BadAnswer, quoted
from venues.binance.funding import (
    RATE,
    REGULAR,
    FundingInfo,
    FundingTerms,
    ParsedFunding,
    RawFunding,
    judge_funding,
)

# Columns of the archive's files (binance-api.md §11).
CSV_HEADER = "calc_time,funding_interval_hours,last_funding_rate"
_COLUMNS = CSV_HEADER.count(",") + 1
_TERMS = ("fundingIntervalHours", "adjustedFundingRateCap", "adjustedFundingRateFloor")


def parse_funding_csv(data: bytes, *, start: datetime, end: datetime, name: str) -> ParsedFunding:
    """Read one archive file; every rate in it is a regular one, without a mark price.

    Args:
        data: The CSV as it stood in the zip.
        start: Start of the period the file is named after.
        end: End of that period.
        name: The file's name, for messages.

    Raises:
        ArchiveRejected: The content is empty, no CSV of three columns, no UTF-8, or has an unknown header.
    """
    try:
        lines = [line for line in data.decode().removeprefix("\ufeff").splitlines() if line]
    except UnicodeDecodeError as error:
        msg = f"{name} is no UTF-8 text ({error}); it begins {quoted(data)}"
        raise ArchiveRejected(msg) from error
    if lines and lines[0].strip().lower() == CSV_HEADER:
        del lines[0]
    elif lines and not any(map(RATE.fullmatch, lines[0].split(","))):
        msg = f"{name} begins with neither a row nor the known header: {quoted(lines[0].encode())}"
        raise ArchiveRejected(msg)
    if not lines:
        msg = f"{name} holds no row; nothing of it was stored"
        raise ArchiveRejected(msg)
    rows = [line.split(",") for line in lines]
    for line, fields in zip(lines, rows, strict=True):
        if len(fields) != _COLUMNS:
            msg = f"{name} has a row that is not {_COLUMNS} columns wide (truncated?): {quoted(line.encode())}"
            raise ArchiveRejected(msg)
    raw = [RawFunding(time, rate, "", REGULAR, line) for (time, _, rate), line in zip(rows, lines, strict=True)]
    return judge_funding(raw, start=start, end=end)


def funding_rows(value: object, *, symbol: str, asked: str) -> list[tuple[int, RawFunding]]:
    """The rows of a fundingRate answer, each with its stated time in milliseconds.

    Args:
        value: The decoded JSON body.
        symbol: The symbol that was asked for.
        asked: What was attempted and with which key, for messages.

    Raises:
        BadAnswer: Not an array of objects of the documented fields and types, or a row of another symbol.
    """
    if not isinstance(value, list):
        msg = f"{asked}: a JSON array of funding rates was expected, received {_short(value)}"
        raise BadAnswer(msg)
    return [_row(one, symbol=symbol, asked=asked) for one in value]


def read_funding_info(value: object, *, asked_at: datetime, asked: str) -> FundingInfo:
    """The answer of fundingInfo; a row that cannot be read does not stop the others.

    Raises:
        BadAnswer: Not an array of objects that name their symbol.
    """
    if not isinstance(value, list) or not all(isinstance(row, dict) and _is_text(row.get("symbol")) for row in value):
        msg = f"{asked}: a JSON array of funding terms by symbol was expected, received {_short(value)}"
        raise BadAnswer(msg)
    terms: dict[str, FundingTerms] = {}
    unreadable: dict[str, str] = {}
    for row in value:
        hours, cap, floor = (row.get(name) for name in _TERMS)
        if type(hours) is int and 1 <= hours <= 24 and _is_rate(cap) and _is_rate(floor):
            terms[row["symbol"]] = FundingTerms(hours, str(cap), str(floor))
        else:
            unreadable[row["symbol"]] = f"{', '.join(_TERMS)} as text and whole hours were expected in {_short(row)}"
    return FundingInfo(terms, unreadable, asked_at)


def _row(row: Any, *, symbol: str, asked: str) -> tuple[int, RawFunding]:  # noqa: ANN401 - JSON of any shape
    # `type` and not isinstance: JSON's true is an int to Python. Old rows and other backends lack the last two.
    fields: dict[str, Any] = row if isinstance(row, dict) else {}
    time, rate = fields.get("fundingTime"), fields.get("fundingRate")
    mark, kind = fields.get("markPrice") or "", fields.get("rateType") or REGULAR
    if type(time) is not int or not all(map(_is_text, (rate, mark, kind))) or fields.get("symbol") != symbol:
        msg = f"{asked}: a funding rate of {symbol} with its numbers as strings was expected, received {_short(row)}"
        raise BadAnswer(msg)
    payload = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
    return time, RawFunding(str(time), str(rate), mark, kind, payload)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_rate(value: object) -> bool:
    return isinstance(value, str) and RATE.fullmatch(value) is not None


def _short(value: object) -> str:
    return quoted(repr(value)[:400].encode())

"""Settled funding rates of USD-M perpetuals: which rows are settlements, and what the readers hand out.

Pure functions over raw text rows, however they arrived (`funding_wire` reads both ways). Invariant: every row that
comes in is accounted for once, as a settlement, as a quarantined row with its reason, or in the count of dropped
duplicates; rates keep their exact decimal value and never pass through a float. A settlement's time is stated some
milliseconds past the instant it is for and is floored to the second, which makes archive and REST agree about it. The
interval the archive states is not read: it can change at any time, and the distance of consecutive settlements is
what was realised.

    parsed = judge_funding(rows, start=month, end=next_month)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import polars as pl

from contracts import from_us, to_us
from contracts.candles import DECIMAL_PATTERN
from venues.binance.errors import BadAnswer
from venues.binance.validation import QUARANTINE_SCHEMA

FUNDING_SCHEMA = pl.Schema(
    {
        "funding_time": pl.Datetime("us", "UTC"),
        "rate": pl.String(),
        "mark_price": pl.String(),
        "rate_type": pl.String(),
    }
)
REGULAR, SPECIAL = "Regular", "Special"
# A symbol that fundingInfo does not list settles this often (binance-api.md §12).
USUAL_INTERVAL_HOURS = 8

_SECOND_US = 10**6
_MICROSECONDS_FROM = 10**15
_END_OF_TIME_US = 253_402_300_800 * _SECOND_US
_TIME = re.compile(r"[0-9]{1,16}")
_MARK = re.compile(DECIMAL_PATTERN)
# A sign, and an exponent: small rates are where writers of numbers fall back on one.
RATE = re.compile(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")


class FundingRefusal(StrEnum):
    """Why a row was quarantined; the words are those of `validation.Refusal` where they mean the same."""

    TIME = "funding_time_unreadable"
    OUTSIDE = "outside_window"
    NUMBER = "number_unreadable"
    PRICE = "price_not_positive"
    KIND = "rate_type_unknown"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class RawFunding:
    """One row as text.

    Attributes:
        time: Milliseconds (or microseconds, told apart by magnitude) since the epoch.
        rate: The rate, a share of the position's value; positive = longs pay.
        mark_price: Mark price at the settlement; empty = not stated.
        rate_type: `Regular` or `Special`.
        payload: The row as received.
    """

    time: str
    rate: str
    mark_price: str
    rate_type: str
    payload: str


@dataclass(frozen=True, slots=True)
class ParsedFunding:
    """What a file or an answer held.

    Attributes:
        rates: `FUNDING_SCHEMA`, ascending, one row a time and type; `mark_price` is null where it was not stated.
        quarantined: `validation.QUARANTINE_SCHEMA`: the refused rows; `open_time` is the settlement's time, null where
            it could not be read, `payload` the row as received, `reason` a `FundingRefusal`.
        duplicates: Rows dropped because an equal row of the same time and type was kept.
    """

    rates: pl.DataFrame
    quarantined: pl.DataFrame
    duplicates: int

    @property
    def rows(self) -> int:
        """Rows that came in, the refused and the doubled ones included."""
        return self.rates.height + self.quarantined.height + self.duplicates


@dataclass(frozen=True, slots=True)
class FundingAnswer:
    """The settlements of one window, as REST states them.

    Attributes:
        rows: `FUNDING_SCHEMA`, ascending.
        quarantined: As in `ParsedFunding`; payloads are JSON.
        duplicates: Rows dropped because an equal one was kept.
        asked_at: The local clock before the first page.
    """

    rows: pl.DataFrame
    quarantined: pl.DataFrame
    duplicates: int
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class FundingTerms:
    """What fundingInfo says of one symbol whose terms differ from the usual ones.

    Attributes:
        interval_hours: Hours between two settlements from now on.
        cap: Highest rate of one settlement, exact decimal text.
        floor: Lowest rate of one settlement, exact decimal text.
    """

    interval_hours: int
    cap: str
    floor: str


@dataclass(frozen=True, slots=True)
class FundingInfo:
    """The answer of fundingInfo.

    Attributes:
        terms: By symbol; a symbol that is absent here and in `unreadable` has the usual terms.
        unreadable: Why the row of a symbol could not be read.
        asked_at: The local clock before the question.
    """

    terms: Mapping[str, FundingTerms]
    unreadable: Mapping[str, str]
    asked_at: datetime

    def interval_hours(self, symbol: str) -> int:
        """Hours between two settlements of a symbol, as announced now; the past may differ.

        Raises:
            BadAnswer: The symbol's row could not be read.
        """
        if symbol in self.unreadable:
            msg = f"funding terms of {symbol} cannot be read: {self.unreadable[symbol]}"
            raise BadAnswer(msg)
        terms = self.terms.get(symbol)
        return USUAL_INTERVAL_HOURS if terms is None else terms.interval_hours


def judge_funding(rows: Iterable[RawFunding], *, start: datetime, end: datetime) -> ParsedFunding:
    """Divide raw rows into settlements and refused ones.

    Rows of one time and type that agree are one settlement, with the mark price of whichever states it; where they
    contradict each other none is believed and all are quarantined.

    Args:
        rows: In any order.
        start: First instant a settlement may be for.
        end: First instant after the window.
    """
    refused: list[tuple[datetime | None, str, str]] = []
    groups: dict[tuple[int, str], list[RawFunding]] = {}
    for row in rows:
        us = _time_us(row.time)
        reason = _refusal(row, us, start=to_us(start), end=to_us(end))
        if us is None or reason is not None:
            refused.append((None if us is None else from_us(us), row.payload, str(reason)))
        else:
            groups.setdefault((us, row.rate_type), []).append(row)
    rates: list[tuple[datetime, str, str | None, str]] = []
    duplicates = 0
    for (us, kind), same in sorted(groups.items()):
        marks = {Decimal(row.mark_price): row.mark_price for row in reversed(same) if row.mark_price}
        if len({Decimal(row.rate) for row in same}) > 1 or len(marks) > 1:
            refused += [(from_us(us), row.payload, FundingRefusal.CONFLICT.value) for row in same]
            continue
        rates.append((from_us(us), _plain(same[0].rate), next(iter(marks.values()), None), kind))
        duplicates += len(same) - 1
    return ParsedFunding(
        pl.DataFrame(rates, schema=FUNDING_SCHEMA, orient="row"),
        pl.DataFrame(refused, schema=QUARANTINE_SCHEMA, orient="row"),
        duplicates,
    )


def _refusal(row: RawFunding, us: int | None, *, start: int, end: int) -> FundingRefusal | None:
    checks: Sequence[tuple[bool, FundingRefusal]] = (
        (us is None, FundingRefusal.TIME),
        (us is not None and not start <= us < end, FundingRefusal.OUTSIDE),
        (not RATE.fullmatch(row.rate), FundingRefusal.NUMBER),
        (bool(row.mark_price) and not _MARK.fullmatch(row.mark_price), FundingRefusal.NUMBER),
        (row.rate_type not in {REGULAR, SPECIAL}, FundingRefusal.KIND),
    )
    first = next((refusal for fails, refusal in checks if fails), None)
    if first is None and row.mark_price and not Decimal(row.mark_price):
        return FundingRefusal.PRICE
    return first


def _time_us(text: str) -> int | None:
    # Microseconds of the second the settlement is for; None = unreadable.
    if not _TIME.fullmatch(text):
        return None
    stated = int(text)
    us = stated if stated >= _MICROSECONDS_FROM else stated * 1000
    return us - us % _SECOND_US if us < _END_OF_TIME_US else None


def _plain(rate: str) -> str:
    return format(Decimal(rate), "f") if "e" in rate.lower() else rate

"""Reading of request parameters, with the exchange's own refusals (binance-api §3, §10).

Every refusal is HTTP 400 with `{"code": -n, "msg": "…"}`. Order: parameters sent twice, unknown ones (spot), missing
or empty ones, illegal characters, then meaning (interval, symbol, limit). Intervals that cannot be made of minutes or
that run past a day (1s, 3d, 1w, 1M) and shifted time zones are not simulated and refused as invalid.

    query = read_klines(request.query_params.multi_items(), SPOT, history.symbols)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from contracts import Timeframe
from venues.simulator.profiles import VenueProfile

DEFAULT_LIMIT = 500
DEFAULT_FUNDING_LIMIT, MAX_FUNDING_LIMIT = 100, 1000
_DIGITS = "^[0-9]{1,20}$"
_SYMBOL_RULE = r"^[\w\-._&&[^a-z]]{1,50}$"  # Java's notation, as the exchange prints it
_SYMBOL = re.compile(r"(?:(?![a-z])[\w\-.]){1,50}")
_ZERO_ZONE = re.compile(r"[+-]?0{1,2}(:00)?")
MICROSECOND_FLOOR = 10**15
_TEXTS = {
    -1100: "Illegal characters found in parameter '{name}'; legal range is '{legal}'.",
    -1102: "Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
    -1105: "Parameter '{name}' was empty.",
    -1130: "Data sent for parameter '{name}' is not valid.",
}


class ApiError(Exception):
    """A refusal in the exchange's form.

    Attributes:
        status: HTTP status.
        code: The exchange's negative code.
        msg: Its text.
    """

    def __init__(self, code: int, msg: str, *, status: int = 400) -> None:
        super().__init__(msg)
        self.status, self.code, self.msg = status, code, msg


@dataclass(frozen=True, slots=True)
class KlinesQuery:
    """A klines request that can be answered; times in milliseconds, inclusive, None = not given."""

    symbol: str
    tf: Timeframe
    start_ms: int | None
    end_ms: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class FundingQuery:
    """A fundingRate request that can be answered; times in milliseconds, inclusive, None = not given."""

    symbols: tuple[str, ...]
    start_ms: int | None
    end_ms: int | None
    limit: int


def read_klines(items: Sequence[tuple[str, str]], venue: VenueProfile, listed: Collection[str]) -> KlinesQuery:
    """The klines request in these parameters.

    Args:
        items: Names and values as sent.
        venue: Whose rules apply.
        listed: Symbols of the exchange.

    Raises:
        ApiError: The exchange would refuse it.
    """
    known = ["symbol", "interval", "startTime", "endTime", "limit"]
    values = read(items, venue, known=[*known, "timeZone"] if venue.microseconds else known, mandatory=known[:2])
    symbol = values["symbol"]
    if venue.microseconds and not _SYMBOL.fullmatch(symbol):
        raise _refusal(-1100, "symbol", _SYMBOL_RULE)
    start, end = _time(values, "startTime", up=True), _time(values, "endTime", up=False)
    limit = _limit(values, venue, usual=DEFAULT_LIMIT, most=venue.max_limit)
    try:
        tf = Timeframe(values["interval"])
    except ValueError:
        raise ApiError(-1120, "Invalid interval.") from None
    if symbol not in listed:
        raise ApiError(-1121, "Invalid symbol.")
    if not _ZERO_ZONE.fullmatch(values.get("timeZone", "0")):
        raise _refusal(-1130, "timeZone")
    if not venue.microseconds:
        _ordered(start, end)
    return KlinesQuery(symbol, tf, start, end, limit)


def read_funding(items: Sequence[tuple[str, str]], venue: VenueProfile, listed: Collection[str]) -> FundingQuery:
    """The fundingRate request in these parameters; without a symbol it is for all of them.

    Raises:
        ApiError: The exchange would refuse it.
    """
    values = read(items, venue, known=("symbol", "startTime", "endTime", "limit"))
    start, end = _time(values, "startTime", up=True), _time(values, "endTime", up=False)
    limit = _limit(values, venue, usual=DEFAULT_FUNDING_LIMIT, most=MAX_FUNDING_LIMIT)
    _ordered(start, end)
    return FundingQuery(read_symbols(values, listed), start, end, limit)


def read_symbols(values: Mapping[str, str], listed: Collection[str]) -> tuple[str, ...]:
    """The one symbol that is named, or all that are listed.

    Raises:
        ApiError: It is not listed.
    """
    if "symbol" not in values:
        return tuple(listed)
    if values["symbol"] not in listed:
        raise ApiError(-1121, "Invalid symbol.")
    return (values["symbol"],)


def read(
    items: Sequence[tuple[str, str]], venue: VenueProfile, *, known: Sequence[str], mandatory: Sequence[str] = ()
) -> dict[str, str]:
    """Parameters by name.

    Raises:
        ApiError: One was sent twice, is unknown, empty or missing.
    """
    values = dict(items)
    if len(values) != len(items):
        raise ApiError(-1101, "Duplicate values for a parameter detected.")
    read_count = sum(name in known for name in values)
    if not venue.reads_unknown and read_count != len(values):
        msg = f"Not all sent parameters were read; read '{read_count}' parameter(s) but was sent '{len(values)}'."
        raise ApiError(-1104, msg)
    for name in mandatory:
        if not values.get(name):
            raise _refusal(-1102, name)
    for name in known:
        if values.get(name) == "":
            raise _refusal(-1105, name)
    return values


def _time(values: dict[str, str], name: str, *, up: bool) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not re.fullmatch(_DIGITS, text):
        raise _refusal(-1100, name, _DIGITS)
    value = int(text)
    if value < MICROSECOND_FLOOR:
        return value
    return -(-value // 1000) if up else value // 1000


def _ordered(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and start > end:
        raise ApiError(-1023, "Start time is greater than end time.")


def _limit(values: dict[str, str], venue: VenueProfile, *, usual: int, most: int) -> int:
    text = values.get("limit", str(usual))
    if not re.fullmatch(_DIGITS, text):
        raise _refusal(-1100, "limit", _DIGITS)
    limit = int(text)
    if limit < 1 or (limit > most and not venue.clamps_limit):
        raise _refusal(-1130, "limit")
    return min(limit, most)


def _refusal(code: int, name: str, legal: str = "") -> ApiError:
    return ApiError(code, _TEXTS[code].format(name=name, legal=legal))

"""exchangeInfo, read: the trading rules of each symbol, and their one canonical text.

Invariant: two answers that state the same rules, in whatever order and with whatever trailing zeros, give the same
canonical JSON and hash, so `exchange_rules` grows only when a rule changed. A symbol that cannot be read does not hide
the others: it is listed with the reason. Tick and step come from the filters, never from the `*Precision` fields
(Binance says so); fees and leverage, which only a key can read, come from the conservative table and are flagged.

    info = read_exchange_info(value, "binance_usdm", seen_at=now, asked="exchangeInfo of binance_usdm")
    rules_sha256(info.symbols["BTCUSDT"].rules)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from contracts import InstrumentKey, InstrumentRules, from_us
from contracts.candles import DECIMAL_PATTERN
from contracts.instrument import CONSERVATIVE_FEES
from venues.binance.errors import BadAnswer, quoted

FilterValue = str | int | bool | None

# Brackets of leverage need a key; one is right for spot and errs to the safe side for USD-M.
CONSERVATIVE_LEVERAGE = Decimal(1)
# Perpetual contracts carry a delivery date in the year 2100 until their delisting is announced.
_NEVER = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SymbolInfo:
    """One symbol of a market.

    Attributes:
        rules: Its trading rules.
        listed_at: When trading began (USD-M); None on spot, which does not say.
        delisted_at: When trading ended or will end; None = not announced, or spot.
    """

    rules: InstrumentRules
    listed_at: datetime | None
    delisted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExchangeInfo:
    """What one exchangeInfo answer says.

    Attributes:
        seen_at: When it was asked, by the local clock.
        symbols: By symbol.
        unreadable: Symbols whose rules could not be read, with the reason.
        weight_limit: Request weight a minute that the exchange states; None = not stated.
    """

    seen_at: datetime
    symbols: Mapping[str, SymbolInfo]
    unreadable: Mapping[str, str]
    weight_limit: int | None


def read_exchange_info(value: object, venue: str, *, seen_at: datetime, asked: str) -> ExchangeInfo:
    """Read an exchangeInfo body.

    Args:
        value: The decoded JSON body.
        venue: The venue that answered.
        seen_at: When it was asked.
        asked: What was attempted, for messages.

    Raises:
        BadAnswer: The body has no list of symbols.
    """
    entries = value.get("symbols") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(entries, list):
        msg = f"{asked}: an object with a list of symbols was expected, received {quoted(repr(value)[:400].encode())}"
        raise BadAnswer(msg)
    symbols: dict[str, SymbolInfo] = {}
    unreadable: dict[str, str] = {}
    for entry in entries:
        name = str(entry.get("symbol")) if isinstance(entry, dict) else repr(entry)[:40]
        try:
            symbols[name] = _symbol(venue, entry)
        except ValidationError as error:
            unreadable[name] = "; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors())
        except KeyError as error:
            unreadable[name] = f"{error} is missing"
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            unreadable[name] = str(error)
    return ExchangeInfo(seen_at, symbols, unreadable, _weight_limit(value.get("rateLimits")))


def canonical_json(rules: InstrumentRules) -> str:
    """The one text of some rules: keys sorted, decimals plain and without trailing zeros."""
    fields = rules.model_dump(mode="python")
    plain = {name: _plain(value) if isinstance(value, Decimal) else value for name, value in fields.items()}
    filters = sorted(({name: _without_zeros(value) for name, value in one.items()} for one in rules.filters), key=_json)
    return _json({**plain, "filters": filters, "order_types": sorted(rules.order_types)})


def rules_sha256(rules: InstrumentRules) -> str:
    """sha256 of `canonical_json`, 64 hex characters."""
    return hashlib.sha256(canonical_json(rules).encode()).hexdigest()


def _symbol(venue: str, entry: Mapping[str, Any]) -> SymbolInfo:
    symbol = str(entry["symbol"])
    InstrumentKey(venue, symbol)
    filters = {str(one["filterType"]): one for one in entry["filters"]}
    price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
    market_lot = filters.get("MARKET_LOT_SIZE", {})
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    least = notional.get("minNotional", notional.get("notional"))
    maker, taker = CONSERVATIVE_FEES[venue]
    order_types = entry.get("orderTypes") or entry.get("OrderType") or ()
    rules = InstrumentRules(
        venue=venue,
        symbol=symbol,
        status=str(entry["status"]),
        contract_type=str(entry.get("contractType", "SPOT")),
        base=str(entry["baseAsset"]),
        quote=str(entry["quoteAsset"]),
        tick_size=_needed(price, "tickSize"),
        min_price=_limit(price.get("minPrice")),
        max_price=_limit(price.get("maxPrice")),
        step_size=_needed(lot, "stepSize"),
        min_qty=_decimal(lot["minQty"]),
        max_qty=_limit(lot.get("maxQty")),
        market_step_size=_limit(market_lot.get("stepSize")),
        market_min_qty=_limit(market_lot.get("minQty")),
        market_max_qty=_limit(market_lot.get("maxQty")),
        min_notional=_limit(least),
        max_notional=_limit(notional.get("maxNotional")),
        order_types=tuple(sorted(str(one) for one in order_types)),
        filters=tuple(sorted((_flat(one) for one in entry["filters"]), key=_json)),
        maker_fee=maker,
        taker_fee=taker,
        max_leverage=CONSERVATIVE_LEVERAGE,
        fees_source="conservative",
    )
    listed, delisted = _instant(entry.get("onboardDate")), _instant(entry.get("deliveryDate"))
    return SymbolInfo(rules, listed, delisted if delisted is not None and delisted < _NEVER else None)


def _decimal(value: object) -> Decimal:
    # A JSON number arrives as a float or an int and is refused: only the exchange's own text is exact.
    if not isinstance(value, str):
        msg = f"a decimal as text was expected, received {value!r}"
        raise TypeError(msg)
    try:
        number = Decimal(value)
    except InvalidOperation:
        msg = f"{value!r} is no decimal"
        raise ValueError(msg) from None
    if not number.is_finite() or number < 0:
        msg = f"{value!r} is no limit"
        raise ValueError(msg)
    return _trimmed(number)


def _limit(value: object) -> Decimal | None:
    # Zero switches a limit off (binance-api.md §3.4).
    return None if value is None else _decimal(value) or None


def _needed(one: Mapping[str, object], name: str) -> Decimal:
    number = _decimal(one[name])
    if not number:
        msg = f"{one.get('filterType')} states no {name}"
        raise ValueError(msg)
    return number


def _instant(value: object) -> datetime | None:
    return from_us(value * 1000) if isinstance(value, int) and value > 0 else None


def _flat(one: Mapping[str, object]) -> dict[str, FilterValue]:
    # Filters are kept as stated; a nested value (none is known) is kept as its JSON text.
    return {
        str(name): value if value is None or isinstance(value, str | int) else _json(value)
        for name, value in sorted(one.items())
    }


def _weight_limit(rate_limits: object) -> int | None:
    for one in rate_limits if isinstance(rate_limits, list) else ():
        if not isinstance(one, dict) or one.get("rateLimitType") != "REQUEST_WEIGHT":
            continue
        if one.get("interval") == "MINUTE" and one.get("intervalNum") == 1 and isinstance(one.get("limit"), int):
            return int(one["limit"])
    return None


def _trimmed(number: Decimal) -> Decimal:
    text = format(number, "f")
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def _without_zeros(value: FilterValue) -> FilterValue:
    is_decimal = isinstance(value, str) and "." in value and re.fullmatch(DECIMAL_PATTERN, value)
    return _plain(Decimal(str(value))) if is_decimal else value


def _plain(value: Decimal) -> str:
    return format(_trimmed(value), "f")


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

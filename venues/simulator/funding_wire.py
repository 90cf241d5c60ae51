"""Funding as the exchange writes it: fundingRate, fundingInfo, premiumIndex and archive csv (binance-api §11, §12).

Numbers are placed from integers into text, rates and prices with 8 decimals. The archive has no column for the type
of a rate, so special ones are in REST alone; its stated times are not, to the millisecond, those of REST.

    rate_row(settlement, rules)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from venues.simulator.funding import CAP, INTEREST, RATE_DECIMALS, Running, Settlement
from venues.simulator.wire import place

if TYPE_CHECKING:
    from venues.simulator.market import SymbolRules

HEADER = "calc_time,funding_interval_hours,last_funding_rate"
SHOWN_DECIMALS = 8


def rate_row(settlement: Settlement, rules: SymbolRules) -> dict[str, Any]:
    """One row of fundingRate."""
    return {
        "symbol": settlement.symbol,
        "fundingTime": settlement.stated_ms("rest"),
        "fundingRate": _rate(settlement.rate),
        "markPrice": _price(settlement.mark, rules),
        "rateType": "Special" if settlement.special else "Regular",
    }


def info_row(symbol: str, hours: int, *, updated_ms: int) -> dict[str, Any]:
    """One row of fundingInfo."""
    return {
        "symbol": symbol,
        "adjustedFundingRateCap": _rate(CAP),
        "adjustedFundingRateFloor": _rate(-CAP),
        "fundingIntervalHours": hours,
        "disclaimer": False,
        "updateTime": updated_ms,
    }


def premium_row(running: Running, rules: SymbolRules, *, now_ms: int) -> dict[str, Any]:
    """One row of premiumIndex; the index is the mark price itself."""
    mark = _price(running.mark, rules)
    return {
        "symbol": rules.symbol,
        "markPrice": mark,
        "indexPrice": mark,
        "estimatedSettlePrice": mark,
        "lastFundingRate": _rate(running.rate),
        "interestRate": _rate(INTEREST),
        "nextFundingTime": running.next_ms,
        "time": now_ms,
    }


def funding_csv(settlements: Iterable[Settlement]) -> bytes:
    """The csv inside an archive zip."""
    rows = [f"{one.stated_ms('archive')},{one.hours},{_rate(one.rate)}" for one in settlements if not one.special]
    return "\n".join([HEADER, *rows, ""]).encode()


def _rate(units: int) -> str:
    return ("-" if units < 0 else "") + place(abs(units), RATE_DECIMALS, RATE_DECIMALS)


def _price(units: int, rules: SymbolRules) -> str:
    return place(units, rules.price_decimals, max(rules.price_decimals, SHOWN_DECIMALS))

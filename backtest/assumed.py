"""Trading rules for an instrument of which none are recorded, on the careful side where it matters.

They are read off its first bars alone: what comes later decides nothing that was traded before it. The sizes of orders
are bounded on both sides, as they are at a real venue.

Invariant: every order that these rules let pass is counted exactly (ticks × steps stay below 2⁵⁷).

    assumed_rules(key.instrument, bars).tick_size
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from contracts import InstrumentRules
from contracts.instrument import CONSERVATIVE_FEES

if TYPE_CHECKING:
    from contracts import InstrumentKey

# So many bars are looked at: enough to show the last digit that prices are quoted with.
FIRST_BARS = 1_000

# Quote units. Most orders of this size would move the market, which fills do not.
_LEAST_ORDER, _LARGEST_ORDER = Decimal(10), Decimal(10_000_000)

# No venue quotes more digits behind the point, or a tick below this share of the price.
_DIGITS = 8
_FINEST_TICK = 1e-8
_DEAREST_LOT = 0.1


def assumed_rules(key: InstrumentKey, bars: pl.DataFrame) -> InstrumentRules:
    """Rules read off an instrument's first bars.

    The tick is the finest step that their prices show; the lot a power of ten worth 0.01 to 0.1 quote units, or 1 where
    that is worth less; an order is worth 10 to 10,000,000 quote units; fees are those of the worst tier.

    Args:
        key: The instrument.
        bars: Of any of its series, in the order of time; `open`, `high`, `low` and `close` of the first 1,000 are read.
    """
    first = bars.head(FIRST_BARS)
    prices = pl.concat([first[name].rename("price") for name in ("open", "high", "low", "close")])
    prices = prices.filter(prices.is_finite() & (prices > 0))
    middle = float(prices.median() or 1.0)  # type: ignore[arg-type] # of floats
    lot = Decimal(1).scaleb(-_lot_digits(middle))
    maker, taker = CONSERVATIVE_FEES[key.venue]
    is_spot = key.venue == "binance_spot"
    return InstrumentRules(
        venue=key.venue,
        symbol=key.symbol,
        status="TRADING",
        contract_type="SPOT" if is_spot else "PERPETUAL",
        base=key.symbol.removesuffix("USDT") or key.symbol,
        quote="USDT",
        tick_size=Decimal(1).scaleb(-_tick_digits(prices, middle)),
        min_price=None,
        max_price=None,
        step_size=lot,
        min_qty=lot,
        max_qty=None,
        market_step_size=None,
        market_min_qty=None,
        market_max_qty=None,
        min_notional=_LEAST_ORDER,
        max_notional=_LARGEST_ORDER,
        order_types=(),
        filters=(),
        maker_fee=maker,
        taker_fee=taker,
        max_leverage=Decimal(1 if is_spot else 3),
        fees_source="conservative",
    )


def _tick_digits(prices: pl.Series, middle: float) -> int:
    """How many digits behind the point the prices are quoted with."""
    most = max(0, min(_DIGITS, math.floor(-math.log10(middle * _FINEST_TICK))))
    for digits in range(most):
        rounded = (prices * 10**digits).round() / 10**digits
        if ((rounded - prices).abs() < 10.0 ** -(_DIGITS + 2)).all():
            return digits
    return most


def _lot_digits(middle: float) -> int:
    digits = 0
    while 10.0**-digits * middle > _DEAREST_LOT and digits < _DIGITS:
        digits += 1
    return digits

"""Trading rules of an instrument, as the exchange stated them at one moment.

Decimals stay decimals. A value the exchange does not state for the market is None; a filter value of zero
means "not limited" at Binance and becomes None too. Fees and leverage need a key to be read; without one the
shipped table below stands in and `fees_source` says so, so that no result mistakes it for a measured rate.

The only implementation of rounding to tick and step; its twins for compiled code are in `contracts.rounding`.

    rules.price_below(Decimal("100.17"))      # Decimal("100.1") with a tick of 0.1
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Literal

from pydantic import BaseModel, ConfigDict

# The worst published tier of each market (no volume, no token discount): a backtest on them errs to the safe side.
CONSERVATIVE_FEES = {
    "binance_spot": (Decimal("0.001"), Decimal("0.001")),
    "binance_usdm": (Decimal("0.0002"), Decimal("0.0005")),
}


class InstrumentRules(BaseModel):
    """What an order on this instrument had to satisfy at the time of the snapshot.

    Prices are in quote units, quantities in base units, fees are fractions of the notional.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue: str
    symbol: str
    status: str
    contract_type: str
    base: str
    quote: str
    tick_size: Decimal
    min_price: Decimal | None
    max_price: Decimal | None
    step_size: Decimal
    min_qty: Decimal
    max_qty: Decimal | None
    market_step_size: Decimal | None
    market_min_qty: Decimal | None
    market_max_qty: Decimal | None
    min_notional: Decimal | None
    max_notional: Decimal | None
    order_types: tuple[str, ...]
    filters: tuple[dict[str, str | int | bool | None], ...]
    maker_fee: Decimal
    taker_fee: Decimal
    max_leverage: Decimal
    fees_source: Literal["exchange", "conservative"]

    @property
    def is_futures(self) -> bool:
        """Whether contracts are traded, which can be sold short and borrowed for; the venue alone decides it."""
        return self.venue == "binance_usdm"

    @property
    def most_leverage(self) -> int:
        """The greatest leverage that can be set at the venue, which takes whole numbers; 1 on spot."""
        return max(1, int(self.max_leverage)) if self.is_futures else 1

    @property
    def lot_size(self) -> Decimal:
        """What a quantity that a market order is to close must be a multiple of, whatever opened it; base units.

        A venue may hold market orders to a step of their own beside the common one: the least multiple of both.
        """
        if self.market_step_size is None:
            return self.step_size
        scale = min(_exponent(self.step_size), _exponent(self.market_step_size), 0)
        both = math.lcm(*(int(step.scaleb(-scale)) for step in (self.step_size, self.market_step_size)))
        return Decimal(both).scaleb(scale)

    def price_below(self, price: Decimal) -> Decimal:
        """The nearest price on the tick's grid that is not above `price`."""
        return _rounded(price, self.tick_size, ROUND_FLOOR)

    def price_above(self, price: Decimal) -> Decimal:
        """The nearest price on the tick's grid that is not below `price`."""
        return _rounded(price, self.tick_size, ROUND_CEILING)

    def quantity_below(self, quantity: Decimal, *, market: bool = False) -> Decimal:
        """The greatest quantity on the step's grid that is not above `quantity`.

        Args:
            quantity: Base units.
            market: Whether for a market order, which a venue may hold to a step of its own beside the common one.
        """
        return _rounded(quantity, self.lot_size if market else self.step_size, ROUND_FLOOR)

    def refusal(self, quantity: Decimal, price: Decimal, *, market: bool = False) -> str | None:
        """Why the venue would refuse an order; None = it would not.

        Args:
            quantity: Base units.
            price: Of a limit order; for a market order the price its notional is taken at, which no grid binds.
            market: Whether it is a market order (or a stop that becomes one).

        Returns:
            The filter as the venue names it, with the value and the limit; the first in the order price, quantity,
            notional. Filters that depend on the market's moment (PERCENT_PRICE …) are not looked at.
        """
        return (
            (None if market else self._price_refusal(price))
            or self._quantity_refusal(quantity, market=market)
            or _outside("NOTIONAL", quantity * price, least=self.min_notional, most=self.max_notional)
        )

    def _price_refusal(self, price: Decimal) -> str | None:
        outside = _outside("PRICE_FILTER", price, least=self.min_price, most=self.max_price)
        return outside or _off_grid("PRICE_FILTER", price, self.tick_size, "tick")

    def _quantity_refusal(self, quantity: Decimal, *, market: bool) -> str | None:
        refused = _outside("LOT_SIZE", quantity, least=self.min_qty, most=self.max_qty)
        refused = refused or _off_grid("LOT_SIZE", quantity, self.step_size, "step")
        if not market or refused:
            return refused
        name = "MARKET_LOT_SIZE"
        refused = _outside(name, quantity, least=self.market_min_qty, most=self.market_max_qty)
        return refused or _off_grid(name, quantity, self.market_step_size or self.step_size, "step")


def _exponent(value: Decimal) -> int:
    return int(value.as_tuple().exponent)


def _rounded(value: Decimal, grid: Decimal, rounding: str) -> Decimal:
    """`value` on the grid, with as many digits as the grid is written with."""
    if not value.is_finite():
        msg = f"a finite number can be rounded to {grid}, received {value}"
        raise ValueError(msg)
    with localcontext(prec=60):
        return (value / grid).to_integral_value(rounding) * grid


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _outside(name: str, value: Decimal, *, least: Decimal | None, most: Decimal | None) -> str | None:
    if not value.is_finite() or value <= 0:
        return f"{name}: {value} is no positive number"
    if least is not None and value < least:
        return f"{name}: {_plain(value)} is below the least of {_plain(least)}"
    if most is not None and value > most:
        return f"{name}: {_plain(value)} is above the most of {_plain(most)}"
    return None


def _off_grid(name: str, value: Decimal, grid: Decimal, word: str) -> str | None:
    with localcontext(prec=60):
        return f"{name}: {_plain(value)} is no multiple of the {word} {_plain(grid)}" if value % grid else None

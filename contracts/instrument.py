"""Trading rules of an instrument, as the exchange stated them at one moment.

Decimals stay decimals. A value the exchange does not state for the market is None; a filter value of zero
means "not limited" at Binance and becomes None too. Fees and leverage need a key to be read; without one the
shipped table below stands in and `fees_source` says so, so that no result mistakes it for a measured rate.
"""

from __future__ import annotations

from decimal import Decimal
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

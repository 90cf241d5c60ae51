"""What a market is to the rest of the simulator: symbols with their rules, and minutes by block.

Spot and USD-M trade the same path (no basis): a series differs between them only in how it is written down.
A market is a pure function of its inputs: the bar at a given time is the same whatever was asked before, so a later
run never revises an earlier one. Nothing here knows the clock; `history` decides what is visible.

    market.minutes("BTCUSDT", block_of(ms))     # 1m bars of 8 days
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from contracts import DataRejected, Rejected

if TYPE_CHECKING:
    from venues.simulator.bars import Bars

# Longest first, so that FDUSD is not read as a base that ends in "FD".
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY")


class BarsRejected(DataRejected):
    """A file of bars cannot be a market; the message names the file, the place and the remedy."""


class UnknownSymbol(Rejected):
    """The market does not list this symbol."""


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """One listed symbol and the units its bars are counted in.

    Attributes:
        price_decimals: Prices are integers of 10⁻ⁿ quote units; that is also the tick.
        volume_decimals: Base volumes are integers of 10⁻ⁿ base units.
        quote_decimals: Quote volumes are integers of 10⁻ⁿ quote units.
        first_ms: No bar opens before this instant.
        end_ms: No bar opens at or after this instant.
    """

    symbol: str
    base: str
    quote: str
    price_decimals: int
    volume_decimals: int
    quote_decimals: int
    first_ms: int
    end_ms: int

    @property
    def tick(self) -> Decimal:
        """Smallest price difference."""
        return Decimal(1).scaleb(-self.price_decimals)

    @property
    def step(self) -> Decimal:
        """Smallest quantity difference; the exchange states no more than 8 decimals."""
        return Decimal(1).scaleb(-min(self.volume_decimals, 8))


class Market(Protocol):
    """A set of symbols whose 1m bars can be asked for, block by block."""

    @property
    def symbols(self) -> dict[str, SymbolRules]:
        """Listed symbols by name, in listing order."""

    def minutes(self, symbol: str, block: int) -> Bars:
        """All 1m bars of one block, history and future alike; empty where there are none."""


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote asset of a symbol.

    Raises:
        UnknownSymbol: The symbol does not end in a known quote asset.
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    msg = f"cannot list {symbol!r}: its name must end in one of {', '.join(QUOTES)}"
    raise UnknownSymbol(msg)

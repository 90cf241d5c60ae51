"""Names of what the platform keeps: an instrument (`venue:symbol`) and a series (`venue:symbol:tf`).

The text form is used wherever one string is needed (partition keys, logs, files) and parses back to the same key.

    SeriesKey.parse("binance_spot:BTCUSDT:15m") == SeriesKey("binance_spot", "BTCUSDT", "15m")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from contracts.timeframe import Timeframe

VENUES = ("binance_spot", "binance_usdm")

# Binance lists symbols outside ASCII since 2025-11; only what would break a key's text form is refused.
_SYMBOL = re.compile(r"[^\s:|/\\]{1,40}")


@dataclass(frozen=True, slots=True, order=True)
class InstrumentKey:
    """One tradable symbol at one venue.

    Raises:
        ValueError: The venue is not one of `VENUES`, or the symbol cannot be part of a key.
    """

    venue: str
    symbol: str

    def __post_init__(self) -> None:
        if self.venue not in VENUES:
            msg = f"unknown venue {self.venue!r}: use one of {', '.join(VENUES)}"
            raise ValueError(msg)
        if not _SYMBOL.fullmatch(self.symbol) or self.symbol != self.symbol.upper():
            msg = f"{self.symbol!r} is no symbol: upper case, without spaces, ':', '|' or slashes"
            raise ValueError(msg)

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key whose text form is `text`.

        Raises:
            ValueError: `text` is not `venue:symbol`.
        """
        venue, _, symbol = text.partition(":")
        return cls(venue, symbol)

    def series(self, tf: Timeframe | str) -> SeriesKey:
        """This instrument's series of one timeframe."""
        return SeriesKey(self.venue, self.symbol, tf)


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """One series of closed candles.

    `tf` may be given as text; it is stored as a `Timeframe`. Keys of one instrument sort by duration.

    Raises:
        ValueError: Any part is not a known venue, a possible symbol or a supported timeframe.
    """

    venue: str
    symbol: str
    tf: Timeframe

    def __init__(self, venue: str, symbol: str, tf: Timeframe | str) -> None:
        InstrumentKey(venue, symbol)
        object.__setattr__(self, "venue", venue)
        object.__setattr__(self, "symbol", symbol)
        object.__setattr__(self, "tf", Timeframe(tf))

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}:{self.tf}"

    def __lt__(self, other: SeriesKey) -> bool:
        return (self.venue, self.symbol, self.tf.us) < (other.venue, other.symbol, other.tf.us)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key whose text form is `text`.

        Raises:
            ValueError: `text` is not `venue:symbol:tf`.
        """
        parts = text.split(":")
        if len(parts) != 3:
            msg = f"{text!r} is no series key: it reads venue:symbol:tf"
            raise ValueError(msg)
        return cls(*parts)

    @property
    def instrument(self) -> InstrumentKey:
        """The instrument this series belongs to."""
        return InstrumentKey(self.venue, self.symbol)

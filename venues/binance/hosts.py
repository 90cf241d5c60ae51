"""Where Binance answers by default, and what differs between its two markets, as data.

Every address is a default only: the settings may name a simulator or a mirror, and no other module of this room
knows a host. The spot default is the market-data-only host: it needs no key and is not the host orders go to.

    market("binance_usdm").klines_weight(499)      # 2
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts import VENUES

SPOT_REST = "https://data-api.binance.vision"
USDM_REST = "https://fapi.binance.com"
ARCHIVE = "https://data.binance.vision"


@dataclass(frozen=True, slots=True)
class VenueHosts:
    """Where one venue is reached.

    Attributes:
        rest: Base address of the public REST API, without a slash at the end.
        archive: Base address of the public data archive.
        weight_share: Share of the request-weight limit that this process may use, in (0, 1].
    """

    rest: str
    archive: str = ARCHIVE
    weight_share: float = 0.8


DEFAULT_HOSTS = {"binance_spot": VenueHosts(SPOT_REST), "binance_usdm": VenueHosts(USDM_REST)}


@dataclass(frozen=True, slots=True)
class Market:
    """What one market asks of its callers (binance-api.md §3.1, §9, §11).

    Attributes:
        venue: Name of the venue in keys.
        api: Path that every REST endpoint stands under.
        archive_folder: Path of the market's files below the archive's base address.
        weight_limit: Request weight that one IP address may use in a minute, until exchangeInfo says otherwise.
        exchange_info_weight: Weight of one exchangeInfo call.
        page_limit: Rows asked for in one klines page: the number that costs least weight a row. Spot charges 2 for
            any page, so its maximum; USD-M charges 2 below 500 rows, 5 to 1000 and 10 above, so 499 (250 rows a
            weight against 150 for its maximum of 1500).
        klines_tiers: `(rows, weight)` pairs: a page of fewer than `rows` rows costs `weight`; ascending.
        has_funding: Its contracts settle a funding rate.
    """

    venue: str
    api: str
    archive_folder: str
    weight_limit: int
    exchange_info_weight: int
    page_limit: int
    klines_tiers: tuple[tuple[int, int], ...]
    has_funding: bool

    def klines_weight(self, rows: int) -> int:
        """Weight of a klines page with `limit=rows`."""
        return next(weight for below, weight in self.klines_tiers if rows < below)


MARKETS = {
    "binance_spot": Market(
        venue="binance_spot",
        api="/api/v3",
        archive_folder="data/spot",
        weight_limit=6000,
        exchange_info_weight=20,
        page_limit=1000,
        klines_tiers=((1001, 2),),
        has_funding=False,
    ),
    "binance_usdm": Market(
        venue="binance_usdm",
        api="/fapi/v1",
        archive_folder="data/futures/um",
        weight_limit=2400,
        exchange_info_weight=1,
        page_limit=499,
        klines_tiers=((100, 1), (500, 2), (1001, 5), (1501, 10)),
        has_funding=True,
    ),
}


def market(venue: str) -> Market:
    """The market of a venue.

    Raises:
        ValueError: Binance has no such venue here.
    """
    if venue not in MARKETS:
        msg = f"unknown venue {venue!r}: use one of {', '.join(VENUES)}"
        raise ValueError(msg)
    return MARKETS[venue]

"""How the two markets of the exchange differ: paths, limits, weights, cadence, and how decimals are written.

Everything that would otherwise be an `if spot` lives here as a value (binance-api §2.1, §3.1, §9).

    SPOT.weight_of("klines", limit=500)     # 2
"""

from __future__ import annotations

from dataclasses import dataclass

# Upper bound (exclusive) of `limit` and what such a request weighs; above the last bound it is the last weight.
FLAT_KLINES = ((10**9, 2),)
STEPPED_KLINES = ((100, 1), (500, 2), (1001, 5), (10**9, 10))

FUNDING_ENDPOINTS = frozenset({"fundingRate", "fundingInfo"})
ALL_PREMIUMS_WEIGHT = 10


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """One market of the exchange.

    Attributes:
        name: `spot` or `usdm`.
        base: Prefix of its REST paths.
        max_limit: Most rows of one klines answer.
        clamps_limit: A larger `limit` is cut to `max_limit` (spot) instead of refused (-1130).
        reads_unknown: Unknown parameters are ignored (USD-M) instead of refused (-1104).
        microseconds: Times may be asked for in microseconds.
        weight_limit: Request weight a minute and address.
        klines_weights: Weight of a klines request by its limit, as steps.
        info_weight: Weight of exchangeInfo.
        fixed_decimals: Decimals every price and volume is padded to; None = those of the symbol's step.
        push_seconds: Real seconds between two frames of a forming bar.
        messages_per_second: Client messages a second before the connection is dropped.
        ping_seconds: Real seconds between protocol pings.
        pong_seconds: How long a pong may take.
    """

    name: str
    base: str
    max_limit: int
    clamps_limit: bool
    reads_unknown: bool
    microseconds: bool
    weight_limit: int
    klines_weights: tuple[tuple[int, int], ...]
    info_weight: int
    fixed_decimals: int | None
    push_seconds: float
    messages_per_second: int
    ping_seconds: float
    pong_seconds: float

    def weight_of(self, endpoint: str, *, limit: int = 500) -> int:
        """Request weight of an endpoint; one that is not named here weighs 1."""
        if endpoint in FUNDING_ENDPOINTS:
            return 0  # they have a pool of their own
        if endpoint == "premiumIndexes":
            return ALL_PREMIUMS_WEIGHT
        if endpoint == "klines":
            return next(weight for bound, weight in self.klines_weights if limit < bound)
        return self.info_weight if endpoint == "exchangeInfo" else 1

    def shown(self, decimals: int) -> int:
        """How many decimals a number counted in 10⁻ⁿ is written with."""
        return decimals if self.fixed_decimals is None else max(decimals, self.fixed_decimals)


SPOT = VenueProfile(
    name="spot",
    base="/api/v3",
    max_limit=1000,
    clamps_limit=True,
    reads_unknown=False,
    microseconds=True,
    weight_limit=6000,
    klines_weights=FLAT_KLINES,
    info_weight=20,
    fixed_decimals=8,
    push_seconds=2.0,
    messages_per_second=5,
    ping_seconds=20,
    pong_seconds=60,
)
USDM = VenueProfile(
    name="usdm",
    base="/fapi/v1",
    max_limit=1500,
    clamps_limit=False,
    reads_unknown=True,
    microseconds=False,
    weight_limit=2400,
    klines_weights=STEPPED_KLINES,
    info_weight=1,
    fixed_decimals=None,
    push_seconds=0.25,
    messages_per_second=10,
    ping_seconds=180,
    pong_seconds=600,
)

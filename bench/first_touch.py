"""What a rule earns on a path of prices: first-touch orders, filled and closed at prices that were really there.

An order waits from one step to another for the price to reach its level; it is filled at the first price there, which
may lie beyond the level, and left at the first price at or beyond its stop or its target, or at the last price of the
path. Gain and loss are counted in R, the risk that was fixed when the order was placed. Before costs.

Invariant: an order is decided by prices up to the step it is decided at, so on a martingale its expected result is
exactly 0: overshoots of entry, stop and target are in the result, nothing is rounded to a level.

    results = outcomes(walk.prices, zone_orders(rows.zones))          # one a trade, in R
    estimate = clustered_mean([results, …])                           # one array a walk
    estimate.low <= 0.0 <= estimate.high
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, cast

import numba
import numpy as np

from bench.walks import START_US, STEP_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

ZONE_TARGET: Final = 2.0
SIGNAL_TARGET: Final = 1.5
NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """Orders of one walk, one an element of each array.

    Attributes:
        side: +1 to buy, −1 to sell.
        start: First step at which the order may be filled.
        until: First step at which it may no more; `NEVER` = it waits to the end.
        entry: Filled at the first price at or beyond this one (a buyer: at or below); in quote units.
        stop: Left at the first later price at or beyond this one, against the position.
        target: Left at the first later price at or beyond this one, in favour of it.
        risk: What 1 R is, in quote units; above 0.
    """

    side: NDArray[np.float64]
    start: NDArray[np.int64]
    until: NDArray[np.int64]
    entry: NDArray[np.float64]
    stop: NDArray[np.float64]
    target: NDArray[np.float64]
    risk: NDArray[np.float64]


def zone_orders(zones: pl.DataFrame, *, target: float = ZONE_TARGET) -> Orders:
    """An order for each zone: at its near edge, stop at its far edge, 1 R = its height.

    It waits from the step after the zone became known to the end of the bar that ended the zone: until that bar has
    closed, nobody knows that the zone is at its end.

    Args:
        zones: Rows of table `zones` or `inversions`, in their last state.
        target: Distance of the target from the near edge, in R.
    """
    side = np.where(zones["side"].cast(str).to_numpy() == "DEMAND", 1.0, -1.0)
    low, high = zones["price_lo"].to_numpy(), zones["price_hi"].to_numpy()
    near, far = np.where(side > 0, high, low), np.where(side > 0, low, high)
    risk = high - low
    ended = zones["ended_ts"]
    until = np.where(ended.is_null().to_numpy(), NEVER, _first_step_after(ended.fill_null(zones["created_ts"])))
    return Orders(side, _first_step_after(zones["created_ts"]), until, near, far, near + side * target * risk, risk)


def signal_orders(signals: pl.DataFrame, *, target: float = SIGNAL_TARGET) -> Orders:
    """An order for each signal: filled at the next price whatever it is, 1 R = from the hinted entry to the stop.

    Args:
        signals: Rows of table `signals_raw`.
        target: Distance of the target from the hinted entry, in R.
    """
    side = np.where(signals["side_hint"].cast(str).to_numpy() == "LONG", 1.0, -1.0)
    entry, stop = signals["entry_hint"].to_numpy(), signals["sl_hint"].to_numpy()
    risk = np.abs(entry - stop)
    start = _first_step_after(signals["ts"])
    return Orders(side, start, start + 1, side * np.inf, stop, entry + side * target * risk, risk)


def outcomes(prices: NDArray[np.float64], orders: Orders) -> NDArray[np.float64]:
    """Results of the orders that were filled, in R; in the order of `orders`.

    Args:
        prices: One a step, in quote units.
        orders: What to trade.
    """
    results = np.empty(orders.side.size)
    _trade(
        prices,
        orders.side,
        orders.start,
        orders.until,
        orders.entry,
        orders.stop,
        orders.target,
        orders.risk,
        results,
    )
    return results[~np.isnan(results)]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean result and what is known about it.

    Attributes:
        mean: Of all trades, in R.
        half_width: Of its confidence interval, in R.
        wins: Share of the trades that gained, 0 to 1.
        trades: How many there are.
        walks: How many independent walks they come from.
    """

    mean: float
    half_width: float
    wins: float
    trades: int
    walks: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ± {self.half_width:.4f} R over {self.trades} trades of {self.walks} walks"


def clustered_mean(walks: Sequence[NDArray[np.float64]], *, confidence: float = 0.99) -> Estimate:
    """The mean over all trades, with an interval that takes only whole walks as independent of each other.

    Trades of one walk overlap, so they count as one observation: the standard error of a ratio of sums,
    `√(G/(G−1) · Σ_g(Σ_i(x_gi − mean))²) / n` over G walks and n trades (Cochran, Sampling Techniques, section 9.6),
    times the quantile of Student's t with G − 1 degrees of freedom, to first order in 1/G.

    Args:
        walks: Results in R, one array a walk; some may be empty.
        confidence: Share of such intervals that contain the true mean.

    Raises:
        ValueError: Fewer than two walks, or no trade at all.
    """
    count, trades = len(walks), sum(walk.size for walk in walks)
    if count < 2 or not trades:
        msg = f"a clustered mean needs two walks and a trade, received {count} walks and {trades} trades"
        raise ValueError(msg)
    mean = float(sum(walk.sum() for walk in walks)) / trades
    residuals = np.array([(walk - mean).sum() for walk in walks])
    error = float(np.sqrt(count / (count - 1) * np.square(residuals).sum())) / trades
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    quantile = z + (z**3 + z) / (4 * (count - 1))
    wins = sum(int((walk > 0).sum()) for walk in walks) / trades
    return Estimate(mean, quantile * error, wins, trades, count)


def _first_step_after(ts: pl.Series) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", (ts.to_physical().to_numpy() - START_US) // STEP_US)


@numba.njit
def _trade(
    prices: NDArray[Any],
    side: NDArray[Any],
    start: NDArray[Any],
    until: NDArray[Any],
    entry: NDArray[Any],
    stop: NDArray[Any],
    target: NDArray[Any],
    risk: NDArray[Any],
    results: NDArray[Any],
) -> None:
    """Write the result of each order in R; NaN where it was not filled."""
    for k in range(side.size):
        results[k] = np.nan
        for i in range(start[k], min(until[k], prices.size)):
            if side[k] * (prices[i] - entry[k]) <= 0.0:
                left = prices.size - 1
                for j in range(i + 1, prices.size):
                    against = side[k] * (prices[j] - stop[k]) <= 0.0
                    if against or side[k] * (prices[j] - target[k]) >= 0.0:
                        left = j
                        break
                results[k] = side[k] * (prices[left] - prices[i]) / risk[k]
                break

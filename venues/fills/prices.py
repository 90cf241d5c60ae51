"""At which price an order fills: the few rules that brackets and single orders share.

All of it is written for the long side, in ticks times side: what is bought to open costs its price, what is sold to
open costs minus its price, so that "higher" is better for who holds the position and worse for who enters it. A short
bracket is a long one in the mirror and every rule is there once.

Invariant: a price that is rounded is rounded against the order; a price is a whole count of ticks where it is within
1e-6 of one (`contracts.rounding`). Slippage is not bounded by the bar: to bound it there would favour the order.

    price = sold(in_ticks(bar_open, costs.tick), costs.slippage)
"""

from __future__ import annotations

import math

from contracts.kernel import formula
from contracts.rounding import NEAR, whole_above, whole_below


@formula
def in_ticks(price: float, tick: float) -> float:
    """A price as a count of ticks: whole where it is one but for the noise of floats."""
    count = price / tick
    whole = math.floor(count + 0.5)
    return whole if abs(count - whole) <= NEAR else count


@formula
def bought(price: float, slippage: float) -> float:
    """What a taker pays who opens at `price`: slippage against him, then up to a whole tick.

    Args:
        price: Ticks times side.
        slippage: Fraction of the price.
    """
    paid = float(whole_above(price + abs(price) * slippage))
    return min(paid, -1.0) if price < 0 else paid


@formula
def sold(price: float, slippage: float) -> float:
    """What a taker gets who closes at `price`: slippage against him, then down to a whole tick, one at least."""
    got = float(whole_below(price - abs(price) * slippage))
    return max(got, 1.0) if price > 0 else got


@formula
def bought_within(limit: float, price: float, slippage: float) -> float:
    """What a limit order pays that could be filled at once, at `price`: as a taker, and never more than its limit."""
    return min(limit, bought(price, slippage))


@formula
def sold_within(limit: float, price: float, slippage: float) -> float:
    """The same for one that closes: never less than its limit."""
    return max(limit, sold(price, slippage))


@formula
def falls_through(limit: float, low: float) -> bool:
    """Whether prices fell a tick below a resting buy: at its own price others stand before it in the queue."""
    return low <= limit - 1.0


@formula
def rises_through(limit: float, high: float) -> bool:
    """Whether prices rose a tick above a resting sale."""
    return high >= limit + 1.0

"""Counts of ticks and steps in compiled code: the floats' twins of the rounding of `contracts.instrument`.

A price divided by its tick is hardly ever whole in binary, even where it is whole on paper (100.1 / 0.1): a quotient
within `NEAR` of a whole count *is* that count, any other is rounded down or up. They agree with the exact rounding of
decimals wherever a price does not lie between the grid and `NEAR` beside it; tests hold both together.

Invariant: a count goes back to money exactly, as count × tick in decimals. Counts are for finite values below 2⁵³.
They stand apart from the models, so that reading rules does not wait for a compiler.

    ticks = ticks_below(100.17, 0.1)      # 1001
"""

from __future__ import annotations

import numpy as np

from contracts.kernel import formula

NEAR = 1e-6


@formula
def whole_below(count: float) -> int:
    """The greatest whole count that is not above `count` by more than `NEAR`."""
    return int(np.floor(count + NEAR))


@formula
def whole_above(count: float) -> int:
    """The least whole count that is not below `count` by more than `NEAR`."""
    return int(np.ceil(count - NEAR))


@formula
def ticks_below(price: float, tick: float) -> int:
    """How many ticks `price` has, rounded down. Both in quote units."""
    return whole_below(price / tick)


@formula
def ticks_above(price: float, tick: float) -> int:
    """How many ticks `price` has, rounded up. Both in quote units."""
    return whole_above(price / tick)


@formula
def steps_below(quantity: float, step: float) -> int:
    """How many steps `quantity` has, rounded down. Both in base units."""
    return whole_below(quantity / step)

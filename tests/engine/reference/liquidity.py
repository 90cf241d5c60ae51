"""Engine-spec section 4b: equal levels and sweeps, by bar, the high side first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.engine.reference.bars import HIGH, LOW
from tests.engine.reference.structure import by_bar

if TYPE_CHECKING:
    from tests.engine.reference.bars import Bars
    from tests.engine.reference.features import Column
    from tests.engine.reference.swings import Swing


@dataclass(frozen=True)
class Liquidity:
    """An event at bar `bar` about the swing at bar `pivot`."""

    bar: int
    kind: str
    pivot: int
    level: float


def liquidity(bars: Bars, swings: list[Swing], atr: Column, eq_tol: float) -> list[Liquidity]:
    highs = equal_levels(HIGH, swings, atr, eq_tol) + sweeps(HIGH, bars, swings)
    lows = equal_levels(LOW, swings, atr, eq_tol) + sweeps(LOW, bars, swings)
    # stable: at one bar the high side stays first
    return sorted(highs + lows, key=lambda event: event.bar)


def equal_levels(kind: str, swings: list[Swing], atr: Column, eq_tol: float) -> list[Liquidity]:
    """A swing and the one of its kind confirmed immediately before it, at most eq_tol·atr14 apart."""
    found: list[Liquidity] = []
    side = [swing for swing in swings if swing.kind == kind]
    for earlier, swing in pairwise(side):
        width = atr[swing.bar]
        if width is not None and abs(swing.price - earlier.price) <= eq_tol * width:
            prices = (earlier.price, swing.price)
            if kind == HIGH:
                found.append(Liquidity(swing.bar, "EQH", earlier.pivot, max(prices)))
            else:
                found.append(Liquidity(swing.bar, "EQL", earlier.pivot, min(prices)))
    return found


def sweeps(kind: str, bars: Bars, swings: list[Swing]) -> list[Liquidity]:
    """The most recently confirmed swing is taken once, by a bar after its confirmation; a close beyond is no sweep."""
    found: list[Liquidity] = []
    untaken: Swing | None = None
    for t, confirmed in enumerate(by_bar([swing for swing in swings if swing.kind == kind], bars)):
        if confirmed:
            untaken = confirmed[-1]
        elif untaken is not None:
            price = untaken.price
            if kind == HIGH and bars.high[t] > price:
                if bars.close[t] <= price:
                    found.append(Liquidity(t, "SWEEP_HIGH", untaken.pivot, price))
                untaken = None
            elif kind == LOW and bars.low[t] < price:
                if bars.close[t] >= price:
                    found.append(Liquidity(t, "SWEEP_LOW", untaken.pivot, price))
                untaken = None
    return found

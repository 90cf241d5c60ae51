"""The bar fill model: what one closed bar does to an order, for the backtest, the paper broker and the simulator.

A bar tells four prices and no path. Where that leaves a question the answer is looked for in finer bars, and where
they cannot tell either, the worse one is taken and counted. The rules, for a long bracket; a short one is its mirror:

* **Time.** An order placed at `since` meets the bars that open then or later. A fill at a bar's open is dated to the
  open, any other to the bar's end.
* **Market entry.** At the next open plus slippage, as taker.
* **Limit entry.** Where the first bar opens a tick below the limit or lower it is marketable: open plus slippage, at
  most the limit, as taker. Else it rests and fills at its own price as maker, once prices trade a tick below it; a
  touch is no fill. A resting order that prices jump over gets its own price too, nothing better: in an order book who
  crosses the gap pays the price that rests there.
* **Time to live.** An entry not filled in `ttl_bars` bars is cancelled: EXPIRED. Bars are counted by the clock; a hole
  counts.
* **Stop.** Touched is hit: at the stop less slippage, as taker; where the bar opens at it or below, at the open less
  slippage. Slippage is rounded against us to a whole tick and not bounded by the bar's low.
* **Targets.** Limits that rest: each rung in turn, at its own price as maker once prices trade a tick above it, gap or
  no gap. A rung that the entry finds the market beyond already fills at the open less slippage, as taker.
* **Bar of the entry.** Only what came after the fill counts. Filled at the open: the whole bar. Filled inside: the low,
  which made the fill, and the close. A target between close and high is unsure: finer bars, else not filled.
* **Stop and target in one bar.** Finer bars, where none is missing and together they say what the bar says; else the
  stop, counted in `guesses`. The policy `target` answers both questions the other way: the other end of the band.
* **After the first target** the stop stays (`keep`), moves to the entry's price (`breakeven`) or follows the best price
  at a distance (`trail`). It moves at the end of the bar, on what was known then, and never back.
* **Time stop.** After `max_bars` bars, that of the entry included: at the next open less slippage. A stop or targets
  that this open passes come first.
* **Liquidation** (futures, isolated margin): where margin and result fall to the maintenance margin; funding paid uses
  up margin, funding received does not replace it. Reached before the stop, the position is closed there (or at the
  open, if lower) and what is left of the margin is lost as a fee.
* **Costs.** Maker or taker fee of each fill, in quote units. Funding: rate × mark × open quantity, paid by longs where
  the rate is positive. An order fills whole: bars say nothing of the depth of the book.
* **Filters.** A bracket with an entry, stop or rung that the venue would refuse is refused whole, with the filter.
* **Excursions.** The best price that surely came while it was open, and the worst that may have.

Left out: which orders to place, money of the account, the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from venues.fills.bracket_order import BracketOrder
from venues.fills.single_order import SingleOrder
from venues.fills.values import Bar, BarRefused, Bracket, Fill, FillTerms, OrderRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.instrument import InstrumentRules

__all__ = ["Bar", "BarRefused", "Bracket", "BracketOrder", "Fill", "FillTerms", "OrderRefused", "SingleOrder", "step"]


def step(order: BracketOrder | SingleOrder, bar: Bar, sub_bars: Sequence[Bar], rules: InstrumentRules) -> list[Fill]:
    """Let a closed bar happen to an order.

    Args:
        order: Written: it keeps its own state.
        bar: Of the order's timeframe, or of a finer one that does not straddle its grid.
        sub_bars: The finer bars inside it, oldest first; empty = there are none. Asked only where `bar` leaves open
            what came first.
        rules: Of the order's instrument, as of the bar: its fees.

    Returns:
        What filled, in the order of its happening.

    Raises:
        BarRefused: The bar does not follow those the order has seen, or the finer bars do not lie in it.
        OrderRefused: The rules are those of another instrument.
    """
    if isinstance(order, SingleOrder):
        return order.advance(bar, rules)
    return order.advance(bar, sub_bars, rules)

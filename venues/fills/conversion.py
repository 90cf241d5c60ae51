"""Between money and the records: what goes into compiled code, and what comes back.

Invariant: a price and a quantity come back as count × tick and count × step, exactly, and fees are computed from these
anew; floats never reach a caller's Decimal, but for the margin a liquidation forfeits.

    costs = costs_of(rules, terms)[0]
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from contracts.timeframe import from_us, to_us
from venues.fills.records import COSTS, POLICIES, ROLES
from venues.fills.values import BarRefused, Fill, OrderRefused, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from contracts.instrument import InstrumentRules
    from venues.fills.values import Bar, FillTerms


def costs_of(rules: InstrumentRules, terms: FillTerms) -> NDArray[np.void]:
    """One `COSTS` record: the rules of the venue as of a bar and the terms of a book."""
    costs = np.zeros(1, COSTS)
    row = costs[0]
    row["tick"], row["step"] = float(rules.tick_size), float(rules.lot_size)
    row["maker"], row["taker"] = float(rules.maker_fee), float(rules.taker_fee)
    row["slippage"], row["leverage"] = float(terms.slippage), float(terms.leverage)
    row["maintenance"] = float(terms.maintenance_margin)
    row["is_futures"] = rules.is_futures
    row["policy"] = POLICIES.index(terms.ambiguity)
    # Every quantity of a bracket may end as a market order at the stop: both filters of quantity hold.
    least = max(rules.min_qty, rules.market_min_qty or Decimal(0))
    most = [limit for limit in (rules.max_qty, rules.market_max_qty) if limit is not None]
    row["min_steps"] = int((least / rules.lot_size).to_integral_value(ROUND_CEILING))
    row["max_steps"] = int(min(most) // rules.lot_size) if most else 0
    row["min_notional"], row["max_notional"] = float(rules.min_notional or 0), float(rules.max_notional or 0)
    return costs


def fill_of(row: np.void, tick: Decimal, step: Decimal, rules: InstrumentRules) -> Fill:
    """A `FILL` record in money; its fee is computed anew, exactly."""
    price, quantity = int(row["price"]) * tick, int(row["steps"]) * step
    role: Role = ROLES[row["role"]]  # type: ignore[assignment] # the tuple holds these
    return Fill(
        role=role,
        rung=int(row["rung"]) if row["rung"] >= 0 else None,
        side="BUY" if row["side"] > 0 else "SELL",
        price=price,
        quantity=quantity,
        fee=(rules.maker_fee if row["maker"] else rules.taker_fee) * price * quantity,
        maker=bool(row["maker"]),
        at=from_us(int(row["us"])),
    )


def window_of(bar: Bar, until: int) -> tuple[int, int]:
    """Open and end of a bar in µs, of which nothing was seen before `until`.

    Raises:
        BarRefused: It opens earlier.
    """
    opens, ends = to_us(bar.open_time), to_us(bar.end)
    if opens < until:
        msg = f"a bar of {bar.open_time.isoformat()} was handed to an order that knows all until {from_us(until)}"
        raise BarRefused(msg)
    return opens, ends


def columns_of(bars: Sequence[Bar], opens: int, ends: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Open times (µs) and prices of finer bars: a row each for open, high, low and close.

    They lie in [opens, ends) in the order of time and are equally long.

    Raises:
        BarRefused: They do not.
    """
    windows = [(to_us(bar.open_time), to_us(bar.end)) for bar in bars]
    apart = all(before[1] <= after[0] for before, after in pairwise(windows))
    within = not windows or (opens <= windows[0][0] and windows[-1][1] <= ends)
    if not apart or not within or len({end - start for start, end in windows}) > 1:
        msg = f"the finer bars of {from_us(opens)} … {from_us(ends)} overlap, leave it, or differ in length"
        raise BarRefused(msg)
    prices = np.array([prices_of(bar) for bar in bars], np.float64).reshape(len(bars), 4)
    return np.array([start for start, _ in windows], np.int64), np.ascontiguousarray(prices.T)


def prices_of(bar: Bar) -> tuple[float, float, float, float]:
    """Open, high, low, close as compiled code takes them."""
    return float(bar.open), float(bar.high), float(bar.low), float(bar.close)


def require_same(symbol: tuple[str, str], rules: InstrumentRules) -> None:
    """Raise OrderRefused where the rules are those of another instrument (venue and symbol)."""
    if symbol != (rules.venue, rules.symbol):
        msg = f"an order on {':'.join(symbol)} was handed the rules of {rules.venue}:{rules.symbol}"
        raise OrderRefused(msg)

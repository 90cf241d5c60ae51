"""One bar happens to an order that stands alone: LIMIT, MARKET, STOP_MARKET or TAKE_PROFIT_MARKET.

The prices are those of a bracket's orders (`venues.fills.prices`), for the paper broker and the simulator. An order
fills whole or not at all. It is bought or sold, opening or closing: what costs the order is against it either way.

    code = match(order, costs, bar_open, high, low, open_us, close_us, fill)
"""

from __future__ import annotations

from numba import types

from contracts import rounding
from contracts.kernel import Record, formula, kernel
from venues.fills import prices, records
from venues.fills.prices import bought, bought_within, falls_through, in_ticks
from venues.fills.records import (
    BY_EXPIRY,
    CLOSED,
    DONE,
    EXIT,
    FILLED,
    NOTHING,
    SINGLE_LIMIT,
    SINGLE_MARKET,
    SINGLE_STOP,
    costs_type,
    fill_type,
    single_type,
)

_int = types.int64
_real = types.float64


@formula
def _met(order: Record, costs: Record, opened: float, top: float, bottom: float, first: int) -> tuple[int, float, int]:
    """Whether it fills (0 = no, 1 = at the open, 2 = in the bar), at which price, whether as maker."""
    level = float(order.side * order.price)
    if order.kind == SINGLE_MARKET:
        return 1, bought(opened, costs.slippage), 0
    if order.kind == SINGLE_LIMIT:
        if falls_through(level, opened):
            return (1, bought_within(level, opened, costs.slippage), 0) if first else (1, level, 1)
        return (2 if falls_through(level, bottom) else 0), level, 1
    # Triggers are touched: the trade at their price is what sets them off. A stop waits above, a take profit below.
    gap, touch = (opened >= level, top >= level) if order.kind == SINGLE_STOP else (opened <= level, bottom <= level)
    if gap:
        return 1, bought(opened, costs.slippage), 0
    return (2 if touch else 0), bought(level, costs.slippage), 0


@kernel(
    _int(single_type, costs_type, _real, _real, _real, _int, _int, fill_type),
    also=(rounding, prices, records),
)
def match(
    order: Record,
    costs: Record,
    bar_open: float,
    high: float,
    low: float,
    open_us: int,
    close_us: int,
    fill: Record,
) -> int:
    """Let a closed bar happen to an order.

    Args:
        order: `SINGLE` record, written.
        costs: `COSTS` record as of the bar.
        bar_open: Quote units, as the other prices.
        high: See `bar_open`.
        low: See `bar_open`.
        open_us: When it opened, at `since_us` of the order or later.
        close_us: When it ended.
        fill: `FILL` record, written where the answer is FILLED; its role is EXIT, whatever the order is for.

    Returns:
        NOTHING, FILLED or CLOSED (expired).
    """
    if order.state == DONE:
        return NOTHING
    if open_us >= order.expires_us:
        order.state, order.reason = DONE, BY_EXPIRY
        return CLOSED
    side = order.side
    opened = side * in_ticks(bar_open, costs.tick)
    top = side * in_ticks(high if side > 0 else low, costs.tick)
    bottom = side * in_ticks(low if side > 0 else high, costs.tick)
    where, price, maker = _met(order, costs, opened, top, bottom, 1 if open_us == order.since_us else 0)
    if where == 0:
        return NOTHING
    order.state = DONE
    fill.us = open_us if where == 1 else close_us
    fill.role, fill.rung, fill.side, fill.steps, fill.maker = EXIT, -1, side, order.steps, maker
    fill.price = side * int(price)
    fill.fee = (costs.maker if maker else costs.taker) * (fill.price * costs.tick) * (fill.steps * costs.step)
    return FILLED

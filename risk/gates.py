"""The gates of a decision: names in the order of engine-spec section 7's table, and what their numbers mean.

A gate leaves two numbers, its value and its limit; whether it passed follows from them (`holds`), and so does its text
(risk.texts). A number that does not exist is NaN in records and null (None) in tables; per gate that means one thing.

    holds("max_positions", 4, 4)      # False
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GATES = (
    "trading_state",
    "tradable",
    "fresh",
    "still_valid",
    "news_guard",
    "funding_guard",
    "vol_guard",
    "structure",
    "trigger",
    "cooldown",
    "stoploss_guard",
    "low_profit",
    "daily_drawdown",
    "total_drawdown",
    "max_positions",
    "symbol_free",
    "stop_distance",
    "symbol_exposure",
    "direction_exposure",
    "portfolio_heat",
    "leverage",
    "size",
    "reward",
)
(
    TRADING_STATE,
    TRADABLE,
    FRESH,
    STILL_VALID,
    NEWS_GUARD,
    FUNDING_GUARD,
    VOL_GUARD,
    STRUCTURE,
    TRIGGER,
    COOLDOWN,
    STOPLOSS_GUARD,
    LOW_PROFIT,
    DAILY_DRAWDOWN,
    TOTAL_DRAWDOWN,
    MAX_POSITIONS,
    SYMBOL_FREE,
    STOP_DISTANCE,
    SYMBOL_EXPOSURE,
    DIRECTION_EXPOSURE,
    PORTFOLIO_HEAT,
    LEVERAGE,
    SIZE,
    REWARD,
) = range(len(GATES))

# Gates whose value is the place of a name; 0 passes.
TRADING_STATES = ("ACTIVE", "REDUCING", "HALTED")
VOL_STATES = ("OK", "CHOP", "SHOCK")

# Why a side is not tradable; 0 = it is.
NOT_TRADING, SHORT_ON_SPOT = 1, 2


def _up_to(value: float, limit: float) -> bool:
    return value <= limit


def _exactly(value: float, limit: float) -> bool:
    return value == limit


def _below(value: float, limit: float) -> bool:
    return value < limit


def _at_least(value: float, limit: float) -> bool:
    return value >= limit


def _from_zero_up_to(value: float, limit: float) -> bool:
    return 0 <= value <= limit


def _above_zero_up_to(value: float, limit: float) -> bool:
    return 0 < value <= limit


def _inside(value: float, limit: float) -> bool:
    return 0 < value < limit


def _far_from(value: float, limit: float) -> bool:
    return math.isnan(value) or abs(value) > limit


def _funding(value: float, limit: float) -> bool:
    return value < limit if is_rate(limit) else abs(value) > limit


_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "trading_state": _exactly,
    "tradable": _exactly,
    "fresh": _from_zero_up_to,
    "still_valid": _inside,
    "news_guard": _far_from,
    "funding_guard": _funding,
    "vol_guard": _exactly,
    "structure": _exactly,
    "trigger": _at_least,
    "cooldown": _at_least,
    "stoploss_guard": _at_least,
    "low_profit": _at_least,
    "daily_drawdown": _below,
    "total_drawdown": _below,
    "max_positions": _below,
    "symbol_free": _exactly,
    "stop_distance": _above_zero_up_to,
    "symbol_exposure": _up_to,
    "direction_exposure": _up_to,
    "portfolio_heat": _up_to,
    "leverage": _up_to,
    "size": _at_least,
    "reward": _at_least,
}


def holds(gate: str, value: float, limit: float) -> bool:
    """Whether a gate with these numbers passed. One that compares with a number that does not exist did not.

    Spot has no funding rate and passes for that reason alone: `funding_guard` is not told by a NaN.
    """
    return _HOLDS[gate](value, limit)


def is_rate(limit: float) -> bool:
    """Whether a limit of `funding_guard` is a rate: minutes are whole, rates are above 0 and below 1."""
    return 0 < limit < 1

"""Gates about the account: drawdowns, open positions, and how much of equity may stand in the market.

A limit that leaves less room than the least order the venue takes fails, with what that order would make of it; one
that leaves more reduces the quantity to fit. So an exposure that is used up names itself, not the venue's filters.

Invariant: with the quantity that comes out, no exposure, heat or leverage is above its limit.

    judge_account(situation, limits, verdict)
    steps = fit(verdict, SYMBOL_EXPOSURE, used=..., unit=..., limit=..., capital=..., least=...)
"""

from __future__ import annotations

import numpy as np

from contracts.kernel import Record, formula
from risk.gates import (
    DAILY_DRAWDOWN,
    DIRECTION_EXPOSURE,
    LEVERAGE,
    MAX_POSITIONS,
    PORTFOLIO_HEAT,
    SYMBOL_EXPOSURE,
    SYMBOL_FREE,
    TOTAL_DRAWDOWN,
)
from risk.records import note

# What float64 may be off by in a quotient of money, and more: a count that would use a limit up to the last digit
# comes out one less, since "exactly" cannot be told from "a hair above" in binary.
BAND = 1.0 - 1e-13
_MANY = 2**53


@formula
def judge_account(situation: Record, limits: Record, verdict: Record) -> None:
    """Gates `daily_drawdown`, `total_drawdown`, `max_positions`, `symbol_free`."""
    lost = (situation.day_start - situation.equity) / situation.day_start
    note(verdict, DAILY_DRAWDOWN, lost, limits.daily_drawdown, lost < limits.daily_drawdown)
    lost = (situation.peak - situation.equity) / situation.peak
    note(verdict, TOTAL_DRAWDOWN, lost, limits.total_drawdown, lost < limits.total_drawdown)
    note(verdict, MAX_POSITIONS, situation.positions, limits.positions, situation.positions < limits.positions)
    note(verdict, SYMBOL_FREE, situation.brackets, 0.0, situation.brackets == 0)


@formula
def whole_within(money: float, unit: float) -> int:
    """How many units of money surely fit into `money`; none where either is no positive number."""
    if not (money > 0.0 and unit > 0.0):
        return 0
    return int(min(np.floor(money / unit * BAND), _MANY))


@formula
def _fit(used: float, unit: float, limit: float, capital: float, least: int) -> int:
    """How many units of money fit beside what is used; −1 where `least` of them do not."""
    if not (used + least * unit) / capital <= limit:
        return -1
    return max(least, whole_within(limit * capital - used, unit))


@formula
def _judge_fit(verdict: Record, gate: int, used: float, unit: float, limit: float, capital: float, steps: int) -> None:
    note(verdict, gate, (used + steps * unit) / capital, limit, (used + steps * unit) / capital <= limit)


@formula
def judge_exposures(
    situation: Record, limits: Record, rules: Record, verdict: Record, price: float, loss: float, least: int, most: int
) -> int:
    """Gates `symbol_exposure`, `direction_exposure`, `portfolio_heat`, `leverage`.

    Args:
        situation: The exposures there are.
        limits: The profile.
        rules: The venue's own bound on leverage, which is 1 on spot.
        verdict: Written.
        price: Notional of one step at the entry, quote units.
        loss: What one step loses at the stop, costs included.
        least: Steps of the least order the venue takes.
        most: Steps that the risk buys.

    Returns:
        Steps that fit into every limit that has room for `least`.
    """
    capital = situation.equity * limits.capital_share
    leverage = min(limits.leverage, rules.leverage)
    same = situation.long_notional if situation.side > 0 else situation.short_notional
    total = situation.long_notional + situation.short_notional

    symbol = _fit(situation.symbol_notional, price, limits.symbol_exposure, capital, least)
    direction = _fit(same, price, limits.direction_exposure, capital, least)
    heat = _fit(situation.heat, loss, limits.heat, capital, least)
    borrowed = _fit(total, price, leverage, capital, least)
    steps = most
    for room in (symbol, direction, heat, borrowed):
        if room >= 0:
            steps = min(steps, room)

    taken = least if symbol < 0 else steps
    _judge_fit(verdict, SYMBOL_EXPOSURE, situation.symbol_notional, price, limits.symbol_exposure, capital, taken)
    taken = least if direction < 0 else steps
    _judge_fit(verdict, DIRECTION_EXPOSURE, same, price, limits.direction_exposure, capital, taken)
    taken = least if heat < 0 else steps
    _judge_fit(verdict, PORTFOLIO_HEAT, situation.heat, loss, limits.heat, capital, taken)
    taken = least if borrowed < 0 else steps
    _judge_fit(verdict, LEVERAGE, total, price, leverage, capital, taken)
    return steps

"""The bracket: entry, stop and targets in ticks, and the steps that lose no more than the budget at the stop.

The budget is `equity · capital_share · risk_fraction`. What one unit loses at the stop is more than |entry − stop|,
which is all that section 7's formula divides by: fees are paid on both fills and both may slip. The quantity is
therefore `budget ÷ ((entry′ − stop′) + fee · (entry′ + stop′))` for a long, where ′ is the price after slippage, a
whole tick against us, and the fee the greater of maker and taker; a short mirrors it.

Rounding is toward less risk: the entry to the better price, the stop outward, targets inward, the quantity down.
Targets that come to the same tick are one rung with the shares of all; one that comes to the entry's is refused.
Invariant: the loss so reckoned, in exact decimals, is never above the budget, and what passes is taken by the venue.

    place(situation, limits, rules, verdict)
    loss = loss_of_step(verdict, limits, rules, side)
"""

from __future__ import annotations

import numpy as np

from contracts.kernel import Record, formula
from contracts.rounding import ticks_above, ticks_below, whole_above, whole_below
from risk.gates import REWARD, SIZE, STOP_DISTANCE
from risk.limits import BAND, whole_within
from risk.records import note

_MILLION = 1_000_000
_MOST_TICKS = 2**53


@formula
def _ticks_toward(price: float, tick: float, direction: int) -> int:
    """`price` in ticks, rounded up for +1 and down for −1; 0 where it is none."""
    if not 0.0 < price < _MOST_TICKS * tick:
        return 0
    return ticks_above(price, tick) if direction > 0 else ticks_below(price, tick)


@formula
def place_targets(limits: Record, verdict: Record, side: int) -> None:
    """Write the rungs: price and share of each, nearest first, no two at one price; the last has what remains."""
    r = abs(verdict.entry - verdict.stop)
    count, left = 0, 1.0
    for k in range(limits.targets):
        target = verdict.entry + side * whole_below(limits.target_r[k] * r)
        share = limits.target_share[k] if k + 1 < limits.targets else left
        left -= share
        if count > 0 and verdict.target[count - 1] == target:
            verdict.share[count - 1] += share
        else:
            verdict.target[count], verdict.share[count] = target, share
            count += 1
    verdict.targets = count


@formula
def place(situation: Record, limits: Record, rules: Record, verdict: Record) -> None:
    """Write the prices of the bracket, and gate `stop_distance` in atr14.

    The stop is moved out to the least distance, unless it lies on the wrong side: that is refused. Where prices or
    atr14 are no numbers, every price is 0.
    """
    side, tick, atr14 = situation.side, rules.tick, situation.atr14
    hinted = side * (situation.entry - situation.stop)
    verdict.entry = verdict.stop = 0
    distance = np.nan
    if atr14 > 0.0 and np.isfinite(atr14) and np.isfinite(hinted):
        verdict.entry = _ticks_toward(situation.entry, tick, -side)
        entry = verdict.entry * tick
        away = max(side * (entry - situation.stop), limits.stop_atr_least * atr14)
        verdict.stop = _ticks_toward(entry - side * away, tick, -side)
        distance = abs(verdict.entry - verdict.stop) * tick / atr14 if hinted > 0.0 else hinted / atr14
    place_targets(limits, verdict, side)
    note(verdict, STOP_DISTANCE, distance, limits.stop_atr_most, 0.0 < distance <= limits.stop_atr_most)


@formula
def slip(ticks: int, ppm: int) -> int:
    """By how many ticks a fill at this price may be worse: whole ticks, rounded up."""
    return -((-ticks * ppm) // _MILLION)


@formula
def loss_of_step(verdict: Record, limits: Record, rules: Record, side: int) -> float:
    """What one step loses from entry to stop in quote units, fees and slippage included."""
    entry = verdict.entry + side * slip(verdict.entry, limits.slippage_ppm)
    stop = verdict.stop - side * slip(verdict.stop, limits.slippage_ppm)
    return float((side * (entry - stop) + rules.fee * (entry + stop)) * rules.tick * rules.step)


@formula
def _needed(money: float, unit: float) -> int:
    """How many units of money make up `money`: rounded up, but for what float64 may be off by."""
    return int(np.ceil(money / unit * BAND))


@formula
def _lowest(verdict: Record, k: int) -> int:
    """The lowest price at which the k-th rung may come to be sold or bought back, in ticks."""
    return int(min(verdict.stop, verdict.target[k]))


@formula
def least_steps(verdict: Record, rules: Record) -> int:
    """The least quantity of which the entry and every rung of the ladder survive the venue's filters; 0 = none does.

    A rung must have the least quantity and notional at its target and, should it be stopped, at the stop.
    """
    if verdict.target[0] == verdict.entry:
        return 0
    least = rules.least_steps
    dearest = min(verdict.entry, verdict.stop)
    for k in range(verdict.targets):
        dearest = min(dearest, verdict.target[k])
    if dearest < rules.least_ticks or max(verdict.entry, verdict.stop) > rules.most_ticks:
        return 0
    if verdict.target[verdict.targets - 1] > rules.most_ticks:
        return 0
    worth = rules.tick * rules.step
    least = max(least, _needed(rules.least_notional, dearest * worth))
    for k in range(verdict.targets):
        needed = max(rules.least_steps, _needed(rules.least_notional, _lowest(verdict, k) * worth))
        # Beyond ten million, `NEAR` is less than what float64 may be off by: there a share is taken for a hair smaller.
        least = max(least, whole_above(needed / (verdict.share[k] * BAND)))
    return int(least)


@formula
def affordable(situation: Record, limits: Record, rules: Record, verdict: Record, loss: float) -> int:
    """How many steps the budget buys, and the venue takes in one order."""
    budget = situation.equity * limits.capital_share * limits.risk_fraction
    notional = verdict.entry * rules.tick * rules.step
    steps = min(whole_within(budget, loss), rules.most_steps)
    if rules.most_notional < np.inf:
        steps = min(steps, whole_within(rules.most_notional, notional))
    return int(steps)


@formula
def judge_size(rules: Record, verdict: Record, wanted: int, least: int) -> None:
    """Gate `size`, in base units: what the budget buys against the least the venue takes of this bracket."""
    value = wanted * rules.step if least > 0 else np.nan
    note(verdict, SIZE, value, least * rules.step, least > 0 and wanted >= least)


@formula
def judge_reward(limits: Record, rules: Record, verdict: Record, side: int) -> None:
    """Gate `reward`: what the first target makes, in units of fees and slippage both ways."""
    entry, target = verdict.entry, verdict.target[0]
    gain = float(side * (target - entry))
    cost = rules.fee * (entry + target) + slip(entry, limits.slippage_ppm) + slip(target, limits.slippage_ppm)
    times = np.nan
    if entry > 0 and gain > 0.0:
        times = gain / cost if cost > 0.0 else np.inf
    elif entry > 0:
        times = 0.0
    note(verdict, REWARD, times, limits.reward, times >= limits.reward)


@formula
def split(verdict: Record, steps: int) -> None:
    """Share the quantity among the targets: each rounded down, the last takes what remains."""
    left = steps
    last = verdict.targets - 1
    for k in range(last):
        verdict.rung[k] = whole_below(steps * verdict.share[k])
        left -= verdict.rung[k]
    verdict.rung[last] = left

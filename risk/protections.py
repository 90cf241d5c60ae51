"""Pauses after losses: cooldown and low-profit lock of a symbol, stop-loss guard of the whole profile.

Each is told by one instant, when it last began: the last stop, the stop that made too many, the exit after which the
symbol had lost too much. From there the gates count. The instants come in two ways: from scratch, over all exits that
still matter (one live bar), and exit by exit into a small record (a backtest's loop).

A stop counts where the trade lost money after all costs, whatever kind of stop it was; one that was moved into the
profit and hit there (break-even, trailing) does its work and locks nothing. The low-profit lock looks at the sum alone:
an exit that won begins it anew where the symbol is still that far down. Both as freqtrade has them by default.

Invariant: both ways give the same instants, bit for bit, wherever the exits given from scratch reach back as far as
`RiskProfile.look_back`. Windows are half-open: an exit exactly `within` ago has left its window. A lock looks at the
last `ROOM` exits of a symbol and no more. Exits come in the order of their instants.

    since = stops_tripped(us, r, stopped, limits[0])   # from scratch
    add_exit(losses, stops, limits, us, r, stopped)    # in the loop
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import types

from contracts.kernel import Record, formula, instants, kernel, reals
from risk import records
from risk.gates import COOLDOWN, LOW_PROFIT, STOPLOSS_GUARD
from risk.records import HOUR, NEVER, ROOM, limits_type, note

if TYPE_CHECKING:
    from numpy.typing import NDArray

_int = types.int64
_codes = types.Array(types.uint8, 1, "C", readonly=True)


@formula
def _counts(r: float, stopped: int) -> bool:
    """Whether an exit is a stop in the sense of cooldown and stop-loss guard: one that cost money."""
    return stopped != 0 and r < 0.0


@kernel(_int(instants, reals, _codes), also=(records,))
def last_stop(us: NDArray[np.int64], r: NDArray[np.float64], stopped: NDArray[np.uint8]) -> int:
    """When the last of these exits that was a stop at a loss happened; `NEVER` if none was.

    Args:
        us: Instants of the exits, ascending.
        r: Result of each in R, after all costs.
        stopped: 1 where a stop ended the trade.
    """
    for k in range(us.size - 1, -1, -1):
        if _counts(r[k], stopped[k]):
            return int(us[k])
    return NEVER


@kernel(_int(instants, reals, _codes, limits_type), also=(records,))
def stops_tripped(us: NDArray[np.int64], r: NDArray[np.float64], stopped: NDArray[np.uint8], limits: Record) -> int:
    """When the stop-loss guard last tripped: the last stop at a loss that was the `stops`-th or later in its window.

    Args:
        us: Instants of the profile's exits, ascending.
        r: Result of each in R, after all costs.
        stopped: 1 where a stop ended the trade.
        limits: The profile.
    """
    for last in range(us.size - 1, -1, -1):
        if not _counts(r[last], stopped[last]):
            continue
        count = 0
        for k in range(last, -1, -1):
            if us[last] - us[k] >= limits.stops_within:
                break
            count += _counts(r[k], stopped[k])
        if count >= limits.stops:
            return int(us[last])
    return NEVER


@kernel(_int(instants, reals, limits_type), also=(records,))
def losses_tripped(us: NDArray[np.int64], r: NDArray[np.float64], limits: Record) -> int:
    """When the low-profit lock last began: the last exit whose window's results sum to no more than `losses_r`.

    Args:
        us: Instants of the symbol's exits, ascending.
        r: Result of each in R, after all costs.
        limits: The profile.
    """
    for last in range(us.size - 1, -1, -1):
        first = last
        while first > 0 and last - first + 1 < ROOM and us[last] - us[first - 1] < limits.losses_within:
            first -= 1
        if limits.losses_within <= 0:
            first = last + 1
        made = 0.0
        for k in range(first, last + 1):
            made += r[k]
        if made <= limits.losses_r:
            return int(us[last])
    return NEVER


@formula
def add_stop(stops: Record, limits: Record, us: int) -> None:
    """Take a stop of the profile into its STOPS record."""
    room = limits.stops
    if stops.used == room:
        for k in range(room - 1):
            stops.us[k] = stops.us[k + 1]
        stops.used -= 1
    stops.us[stops.used] = us
    stops.used += 1
    if stops.used == room and us - stops.us[0] < limits.stops_within:
        stops.tripped = us


@formula
def add_result(losses: Record, limits: Record, us: int, r: float) -> None:
    """Take an exit of a symbol into its LOSSES record."""
    gone = 0
    while gone < losses.used and (us - losses.us[gone] >= limits.losses_within or losses.used - gone == ROOM):
        gone += 1
    if gone > 0:
        for k in range(gone, losses.used):
            losses.us[k - gone] = losses.us[k]
            losses.r[k - gone] = losses.r[k]
        losses.used -= gone
    losses.us[losses.used] = us
    losses.r[losses.used] = r
    losses.used += 1
    made = 0.0
    if limits.losses_within > 0:
        for k in range(losses.used):
            made += losses.r[k]
    if made <= limits.losses_r:
        losses.tripped = us


@formula
def add_exit(losses: Record, stops: Record, limits: Record, us: int, r: float, stopped: bool) -> None:  # noqa: FBT001
    """Take an exit into the records of its symbol and of its profile.

    Args:
        losses: LOSSES of the symbol.
        stops: STOPS of the profile.
        limits: The profile.
        us: When; not before any that was taken earlier.
        r: Result in R, after all costs.
        stopped: Whether a stop ended the trade.
    """
    add_result(losses, limits, us, r)
    if _counts(r, stopped):
        losses.last_stop = us
        add_stop(stops, limits, us)


@formula
def judge_protections(situation: Record, limits: Record, verdict: Record) -> None:
    """Gates `cooldown` in whole bars, `stoploss_guard` and `low_profit` in hours, each since it began.

    What happened between the bar and the clock counts as of the bar.
    """
    bars = np.inf
    if situation.last_stop != NEVER:
        bars = float(max(0, situation.ts - situation.last_stop) // situation.tf)
    note(verdict, COOLDOWN, bars, limits.cooldown_bars, bars >= limits.cooldown_bars)
    hours = np.inf
    if situation.stops_tripped != NEVER:
        hours = max(0, situation.ts - situation.stops_tripped) / HOUR
    least = limits.stops_lock / HOUR
    note(verdict, STOPLOSS_GUARD, hours, least, hours >= least)
    hours = np.inf
    if situation.losses_tripped != NEVER:
        hours = max(0, situation.ts - situation.losses_tripped) / HOUR
    least = limits.losses_lock / HOUR
    note(verdict, LOW_PROFIT, hours, least, hours >= least)

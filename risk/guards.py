"""The first gates: may anything be opened now? Trading state, freshness, validity, news, funding, volatility, signal.

The clock of every guard is the `ts` of the bar being evaluated; `now` is asked for its age alone. So a decision made
two seconds after the close is the one that a backtest makes at the close. Windows hold at both ends.

Invariant: what is not known at `ts` is not seen: an event of the calendar counts from `known_from` on, a bar from the
future is not fresh, funding is the last *settled* rate.

    situation.news, situation.news_limit = nearest_event(events, limits, ts)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types

from contracts.kernel import Record, formula, kernel
from risk import gates, records
from risk.gates import (
    FRESH,
    FUNDING_GUARD,
    NEWS_GUARD,
    NOT_TRADING,
    SHORT_ON_SPOT,
    STILL_VALID,
    STRUCTURE,
    TRADABLE,
    TRADING_STATE,
    TRIGGER,
    VOL_GUARD,
)
from risk.records import HOUR, MINUTE, NEVER, limits_type, news_type, note

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SECOND = 1_000_000
_DAY = 24 * HOUR


@formula
def nearest_event(events: NDArray[Any], limits: Record, ts: int) -> tuple[int, int]:
    """The event of the calendar that stands nearest to its own limit.

    Args:
        events: NEWS records of the symbol's currencies, by start; the loop hands on those that may still matter.
        limits: The profile.
        ts: Of the bar, µs.

    Returns:
        µs from the event, negative before it and 0 during it, and the µs to be kept from it on that side;
        (`NEVER`, 0) where none known at `ts` is within a day.
    """
    nearest, kept, margin = NEVER, 0, _DAY
    for k in range(events.size):
        event = events[k]
        if event.start - ts > _DAY:
            break
        if event.known_from > ts or ts - event.end > _DAY:
            continue
        if ts < event.start:
            away, limit = ts - event.start, limits.high_before if event.high else limits.med_before
        else:
            away, limit = max(0, ts - event.end), limits.high_after if event.high else limits.med_after
        if abs(away) - limit < margin:
            nearest, kept, margin = away, limit, abs(away) - limit
    return nearest, kept


_pair = types.UniTuple(types.int64, 2)  # type: ignore[no-untyped-call] # numba states no types


@kernel(_pair(news_type[::1], limits_type, types.int64), also=(records, gates))
def find_event(events: NDArray[np.void], limits: Record, ts: int) -> tuple[int, int]:
    """`nearest_event` for Python."""
    return nearest_event(events, limits, ts)


@formula
def judge_moment(situation: Record, limits: Record, rules: Record, verdict: Record) -> None:
    """Gates `trading_state`, `tradable`, `fresh`."""
    note(verdict, TRADING_STATE, situation.trading_state, 0.0, situation.trading_state == 0)
    code = 0
    if rules.trading == 0:
        code = NOT_TRADING
    elif situation.side < 0 and rules.futures == 0:
        code = SHORT_ON_SPOT
    note(verdict, TRADABLE, code, 0.0, code == 0)
    age = situation.now - situation.ts
    most = min(limits.fresh_share * situation.tf, limits.fresh_us)
    note(verdict, FRESH, age / _SECOND, most / _SECOND, 0 <= age <= most)


@formula
def judge_validity(situation: Record, rules: Record, verdict: Record) -> None:
    """Gate `still_valid`, once the bracket stands: the close strictly between stop and first target.

    The value is how far the close has come from the stop (0) to the first target (1).
    """
    stop, target = verdict.stop * rules.tick, verdict.target[0] * rules.tick
    age = situation.ts - situation.signal_ts
    come = np.nan
    if situation.zone_active != 0 and 0 <= age < situation.ttl_bars * situation.tf and target != stop:
        come = (situation.close - stop) / (target - stop)
    note(verdict, STILL_VALID, come, 1.0, 0.0 < come < 1.0)


@formula
def judge_news(situation: Record, verdict: Record) -> None:
    """Gate `news_guard`; the value is in minutes from the event, negative before it."""
    if situation.news == NEVER:
        note(verdict, NEWS_GUARD, np.nan, 0.0, passed=True)
    else:
        away, limit = situation.news, situation.news_limit
        note(verdict, NEWS_GUARD, away / MINUTE, limit / MINUTE, abs(away) > limit)


@formula
def _away(ts: int, instant: int, before: int, after: int) -> int:
    """µs from an instant, negative before it, where `ts` is in the window around it; else `NEVER`."""
    if instant == NEVER or ts < instant - before or ts > instant + after:
        return NEVER
    return ts - instant


@formula
def judge_funding(situation: Record, limits: Record, rules: Record, verdict: Record) -> None:
    """Gate `funding_guard`: minutes and their limit where funding is too near, else the rate against the side."""
    before, after = limits.funding_before, limits.funding_after
    away = _away(situation.ts, situation.funding_next, before, after)
    if away == NEVER:
        away = _away(situation.ts, situation.funding_last, before, after)
    if rules.futures == 0:
        note(verdict, FUNDING_GUARD, np.nan, limits.funding_rate, passed=True)
    elif away != NEVER:
        note(verdict, FUNDING_GUARD, away / MINUTE, (before if away < 0 else after) / MINUTE, passed=False)
    else:
        against = situation.side * situation.funding_rate
        note(verdict, FUNDING_GUARD, against, limits.funding_rate, against < limits.funding_rate)


@formula
def judge_signal(situation: Record, limits: Record, verdict: Record) -> None:
    """Gates `vol_guard`, `structure`, `trigger`."""
    vol = float(situation.vol_state) if situation.vol_state >= 0 else np.nan
    note(verdict, VOL_GUARD, vol, 0.0, situation.vol_state == 0)
    note(verdict, STRUCTURE, situation.structure, 1.0, situation.structure == 1)
    note(verdict, TRIGGER, situation.triggers, limits.triggers, situation.triggers >= limits.triggers)

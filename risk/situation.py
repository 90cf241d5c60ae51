"""From the plain values of a context to the one SITUATION record that the compiled evaluation reads.

Money is summed as decimals and becomes float64 last. Protections are told from scratch, over the exits of the context.

Invariant: equal signals, contexts and profiles give equal bytes.

    situation = situation_of(signal, context, profile)[0]
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from contracts import to_us
from risk.gates import TRADING_STATES, VOL_STATES
from risk.guards import find_event
from risk.protections import last_stop, losses_tripped, stops_tripped
from risk.records import NEVER, NEWS, SITUATION, limits_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from risk.account import OpenBracket, Position
    from risk.context import CalendarWindow, RiskContext
    from risk.profiles import RiskProfile
    from risk.signals import Signal


def situation_of(signal: Signal, context: RiskContext, profile: RiskProfile) -> NDArray[np.void]:
    """One SITUATION record, shape (1,)."""
    situation = np.zeros(1, SITUATION)
    row = situation[0]
    limits = limits_of(profile)[0]
    ts = to_us(context.ts)
    row["now"], row["ts"], row["tf"] = to_us(context.now), ts, signal.tf.us
    row["close"] = context.close
    row["vol_state"] = -1 if context.vol_state is None else VOL_STATES.index(context.vol_state)
    row["trading_state"] = TRADING_STATES.index(context.trading_state)
    _write_signal(row, signal)
    row["zone_active"] = context.zone_status in (None, "ACTIVE")
    row["news"], row["news_limit"] = find_event(news_of(context.seen_at(context.ts)), limits, ts)
    _write_funding(row, context)
    _write_exits(row, signal, context, limits)
    row["equity"], row["day_start"] = float(context.equity), float(context.day_start_equity)
    row["peak"] = float(context.peak_equity)
    _write_exposures(row, signal, context, profile)
    return situation


def news_of(events: Sequence[CalendarWindow]) -> NDArray[np.void]:
    """Events of the calendar as NEWS records, in the order given (by start)."""
    news = np.zeros(len(events), NEWS)
    for row, event in zip(news, events, strict=True):
        row["start"], row["end"] = to_us(event.ts_start), to_us(event.ts_end)
        row["known_from"], row["high"] = to_us(event.known_from), event.severity == "HIGH"
    return news


def _write_signal(row: np.void, signal: Signal) -> None:
    row["side"] = 1 if signal.side_hint == "LONG" else -1
    row["signal_ts"], row["ttl_bars"] = to_us(signal.ts), signal.ttl_bars
    row["structure"] = signal.structure_ok
    row["triggers"] = signal.ema200 + signal.macd + signal.rsi
    row["entry"], row["stop"] = signal.entry_hint, signal.sl_hint
    row["atr14"] = np.nan if signal.atr14 is None else signal.atr14


def _write_funding(row: np.void, context: RiskContext) -> None:
    funding = context.funding
    row["funding_next"] = _us(funding.next_time if funding else None)
    row["funding_last"] = _us(funding.last_time if funding else None)
    row["funding_rate"] = np.nan if funding is None or funding.last_rate is None else funding.last_rate


def _write_exits(row: np.void, signal: Signal, context: RiskContext, limits: np.void) -> None:
    trades = sorted(context.trades, key=lambda trade: trade.exit_ts)
    own = [trade for trade in trades if (trade.venue, trade.symbol) == (signal.venue, signal.symbol)]
    us, own_us = (np.array([to_us(trade.exit_ts) for trade in some], np.int64) for some in (trades, own))
    r, own_r = (np.array([trade.r for trade in some], np.float64) for some in (trades, own))
    stopped, own_stopped = (np.array([trade.stopped for trade in some], np.uint8) for some in (trades, own))
    row["last_stop"] = last_stop(own_us, own_r, own_stopped)
    row["stops_tripped"] = stops_tripped(us, r, stopped, limits)
    row["losses_tripped"] = losses_tripped(own_us, own_r, limits)


def _write_exposures(row: np.void, signal: Signal, context: RiskContext, profile: RiskProfile) -> None:
    here = (signal.venue, signal.symbol)
    row["brackets"] = sum((one.venue, one.symbol) == here for one in context.brackets)
    own: list[Position | OpenBracket] = [one for one in context.positions if one.profile == profile.name]
    own += [one for one in context.brackets if one.profile == profile.name and one.unfilled > 0]
    row["positions"] = len({(one.venue, one.symbol) for one in own})
    row["symbol_notional"] = _total([one.notional for one in own if (one.venue, one.symbol) == here])
    row["long_notional"] = _total([one.notional for one in own if one.side == "LONG"])
    row["short_notional"] = _total([one.notional for one in own if one.side == "SHORT"])
    row["heat"] = _total([one.loss_at_stop for one in own])


def _total(amounts: Sequence[Decimal]) -> float:
    return float(sum(amounts, Decimal(0)))


def _us(instant: datetime | None) -> int:
    return NEVER if instant is None else to_us(instant)

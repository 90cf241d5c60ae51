"""What a gate said, as a sentence: made from its recorded numbers, afterwards, so that it costs the loop nothing.

A number that does not exist is never rendered as 0: it means what `_NOTHING` says of it, or that it is not defined.

Invariant: the text is a function of gate, verdict, value and limit: a recorded row can be told again at any time.

    rendered("max_positions", passed=False, value=4, limit=4)     # "4 positions or unfilled brackets of at most 4 …"
"""

from __future__ import annotations

import math
from typing import Protocol

from risk.gates import GATES, SHORT_ON_SPOT, TRADING_STATES, VOL_STATES, is_rate


class _Text(Protocol):
    """What a gate's numbers are in words."""

    def __call__(self, value: float, limit: float, /, *, passed: bool) -> str: ...


def rendered(gate: str, *, passed: bool, value: float | None, limit: float | None) -> str:
    """What a gate said, as a sentence.

    Args:
        gate: One of GATES.
        passed: Its verdict.
        value: Its value; None (or a NaN, or an infinity) where there is none.
        limit: Its limit, in the value's unit; None likewise.

    Raises:
        ValueError: There is no such gate.
    """
    if gate not in _TEXTS:
        msg = f"no gate {gate!r}: they are {', '.join(GATES)}"
        raise ValueError(msg)
    if value is None or not math.isfinite(value):
        return _NOTHING.get((gate, passed), f"the value of {gate} is not defined")
    if limit is None or not math.isfinite(limit):
        return f"the limit of {gate} is not defined, its value is {value:g}"
    return _TEXTS[gate](value, limit, passed=passed)


# What it means that there is no value, by gate and verdict.
_NOTHING = {
    ("still_valid", False): "the zone is no longer ACTIVE, or the signal has expired",
    ("news_guard", True): "no event of the calendar within a day",
    ("funding_guard", True): "spot pays no funding",
    ("funding_guard", False): "no settled funding rate is known",
    ("vol_guard", False): "there is no regime yet",
    ("cooldown", True): "the symbol had no stop",
    ("stoploss_guard", True): "the stop-loss guard has not tripped",
    ("low_profit", True): "the symbol was not locked for its losses",
    ("stop_distance", False): "the distance of the stop cannot be told: no atr14, or no price",
    ("symbol_exposure", False): "the symbol's exposure cannot be told: no equity, or no bracket",
    ("direction_exposure", False): "the direction's exposure cannot be told: no equity, or no bracket",
    ("portfolio_heat", False): "the loss at all stops cannot be told: no equity, or no bracket",
    ("leverage", False): "the leverage cannot be told: no equity, or no bracket",
    ("size", False): "nothing can be sized: a price lies outside the venue's bounds, or the first target at the entry",
    ("reward", True): "there are no fees and no slippage",
    ("reward", False): "the first target cannot be told",
}


def _trading_state(value: float, _: float, *, passed: bool) -> str:
    return f"trading is {TRADING_STATES[int(value)]}" + ("" if passed else ": no entries")


def _tradable(value: float, _: float, *, passed: bool) -> str:
    if passed:
        return "the symbol trades and the venue opens this side"
    return "spot cannot be sold short" if value == SHORT_ON_SPOT else "the symbol's status is not TRADING"


def _fresh(value: float, limit: float, *, passed: bool) -> str:
    if value < 0:
        return f"the bar closes {-value:.3f} s after the clock: it cannot be known yet"
    return f"the bar is {value:.3f} s old, {limit:g} s {'are' if passed else 'would be'} allowed"


def _still_valid(value: float, _: float, *, passed: bool) -> str:
    at = f"the close stands at {value:.1%} of the way from stop to first target"
    return at if passed else f"{at}: not between them"


def _news_guard(value: float, limit: float, *, passed: bool) -> str:
    where = f"{abs(value):g} min {'before' if value < 0 else 'after'}" if value else "in the midst of"
    return f"{where} an event of the calendar, {limit:g} min {'are' if passed else 'must be'} kept clear"


def _funding_guard(value: float, limit: float, *, passed: bool) -> str:
    if is_rate(limit):
        return f"the last settled funding rate against this side is {value:.4%}, the limit is {limit:.4%}"
    return f"{abs(value):g} min {'before' if value < 0 else 'after'} funding, {limit:g} min must be kept clear"


def _vol_guard(value: float, _: float, *, passed: bool) -> str:
    return f"volatility is {VOL_STATES[int(value)]}"


def _structure(value: float, _: float, *, passed: bool) -> str:
    return f"the structure {'supports' if passed else 'does not support'} this side"


def _trigger(value: float, limit: float, *, passed: bool) -> str:
    return f"{value:g} of ema200, macd and rsi agree, {limit:g} are needed"


def _cooldown(value: float, limit: float, *, passed: bool) -> str:
    return f"{value:g} bars since the symbol's last stop, {limit:g} are needed"


def _stoploss_guard(value: float, limit: float, *, passed: bool) -> str:
    return f"{value:.2f} h since too many stops came together, {limit:g} h are needed"


def _low_profit(value: float, limit: float, *, passed: bool) -> str:
    return f"{value:.2f} h since the symbol's losses locked it, {limit:g} h are needed"


def _drawdown(since: str) -> _Text:
    def text(value: float, limit: float, *, passed: bool) -> str:
        return f"equity is {value:.2%} below {since}, entries end at {limit:.2%}"

    return text


def _max_positions(value: float, limit: float, *, passed: bool) -> str:
    return f"{value:g} positions or unfilled brackets of at most {limit:g} there may be"


def _symbol_free(value: float, _: float, *, passed: bool) -> str:
    return "no bracket is open on the symbol" if passed else f"{value:g} bracket(s) open on the symbol already"


def _stop_distance(value: float, limit: float, *, passed: bool) -> str:
    if value <= 0:
        return f"the stop lies on the wrong side of the entry, by {-value:.3g} atr14"
    return f"the stop is {value:.3g} atr14 from the entry, at most {limit:g} are allowed"


def _would_be(*, passed: bool) -> str:
    return "would be" if passed else "would be, with the least order the venue takes,"


def _exposure(of: str) -> _Text:
    def text(value: float, limit: float, *, passed: bool) -> str:
        return f"the {of} {_would_be(passed=passed)} {value:.2%} of equity, at most {limit:.2%}"

    return text


def _leverage(value: float, limit: float, *, passed: bool) -> str:
    return f"notional ÷ equity {_would_be(passed=passed)} {value:.4g}, at most {limit:g}"


def _size(value: float, limit: float, *, passed: bool) -> str:
    return f"the risk buys {value:g}, the venue {'takes' if passed else 'needs'} {limit:g} or more"


def _reward(value: float, limit: float, *, passed: bool) -> str:
    return f"the first target is {value:.2f} times fees and slippage, {limit:g} times are needed"


_TEXTS: dict[str, _Text] = {
    "trading_state": _trading_state,
    "tradable": _tradable,
    "fresh": _fresh,
    "still_valid": _still_valid,
    "news_guard": _news_guard,
    "funding_guard": _funding_guard,
    "vol_guard": _vol_guard,
    "structure": _structure,
    "trigger": _trigger,
    "cooldown": _cooldown,
    "stoploss_guard": _stoploss_guard,
    "low_profit": _low_profit,
    "daily_drawdown": _drawdown("the day's start"),
    "total_drawdown": _drawdown("its peak"),
    "max_positions": _max_positions,
    "symbol_free": _symbol_free,
    "stop_distance": _stop_distance,
    "symbol_exposure": _exposure("symbol's exposure"),
    "direction_exposure": _exposure("direction's exposure"),
    "portfolio_heat": _exposure("loss at all stops"),
    "leverage": _leverage,
    "size": _size,
    "reward": _reward,
}

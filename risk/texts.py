"""What a gate said, as a sentence: made from its recorded numbers, afterwards, so that it costs the loop nothing.

Invariant: the text is a function of gate, verdict, value and limit: a recorded row can be told again at any time.

    rendered("max_positions", passed=False, value=4, limit=4)     # "4 positions or unfilled brackets of at most 4 …"
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from risk.gates import GATES, SHORT_ON_SPOT, TRADING_STATES, VOL_STATES, is_rate

if TYPE_CHECKING:
    pass


class _Text(Protocol):
    """What a gate's numbers are in words."""

    def __call__(self, value: float | None, limit: float | None, /, *, passed: bool) -> str: ...


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
    return _TEXTS[gate](_finite(value), _finite(limit), passed=passed)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _trading_state(value: float | None, _: float | None, *, passed: bool) -> str:
    return f"trading is {TRADING_STATES[int(value or 0)]}" + ("" if passed else ": no entries")


def _tradable(value: float | None, _: float | None, *, passed: bool) -> str:
    if passed:
        return "the symbol trades and the venue opens this side"
    return "spot cannot be sold short" if value == SHORT_ON_SPOT else "the symbol's status is not TRADING"


def _fresh(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is not None and value < 0:
        return f"the bar closes {-value:.3f} s after the clock: it cannot be known yet"
    return f"the bar is {value or 0:.3f} s old, {limit or 0:g} s {'are' if passed else 'would be'} allowed"


def _still_valid(value: float | None, _: float | None, *, passed: bool) -> str:
    if value is None:
        return "the zone is no longer ACTIVE, or the signal has expired"
    at = f"the close stands at {value:.1%} of the way from stop to first target"
    return at if passed else f"{at}: not between them"


def _news_guard(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "no event of the calendar within a day"
    where = f"{abs(value):g} min {'before' if value < 0 else 'after'}" if value else "in the midst of"
    return f"{where} an event of the calendar, {limit or 0:g} min {'are' if passed else 'must be'} kept clear"


def _funding_guard(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "spot pays no funding" if passed else "no settled funding rate is known"
    if is_rate(limit or 0):
        return f"the last settled funding rate against this side is {value:.4%}, the limit is {limit:.4%}"
    return f"{abs(value):g} min {'before' if value < 0 else 'after'} funding, {limit or 0:g} min must be kept clear"


def _vol_guard(value: float | None, _: float | None, *, passed: bool) -> str:
    return "there is no regime yet" if value is None else f"volatility is {VOL_STATES[int(value)]}"


def _structure(value: float | None, _: float | None, *, passed: bool) -> str:
    return f"the structure {'supports' if passed else 'does not support'} this side"


def _trigger(value: float | None, limit: float | None, *, passed: bool) -> str:
    return f"{value or 0:g} of ema200, macd and rsi agree, {limit or 0:g} are needed"


def _cooldown(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "the symbol had no stop"
    return f"{value:g} bars since the symbol's last stop, {limit or 0:g} are needed"


def _stoploss_guard(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "the stop-loss guard has not tripped"
    return f"{value:.2f} h since too many stops came together, {limit or 0:g} h are needed"


def _low_profit(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "the symbol was not locked for its losses"
    return f"{value:.2f} h since the symbol's losses locked it, {limit or 0:g} h are needed"


def _drawdown(since: str) -> _Text:
    def text(value: float | None, limit: float | None, *, passed: bool) -> str:
        return f"equity is {value or 0:.2%} below {since}, entries end at {limit or 0:.2%}"

    return text


def _max_positions(value: float | None, limit: float | None, *, passed: bool) -> str:
    return f"{value or 0:g} positions or unfilled brackets of at most {limit or 0:g} there may be"


def _symbol_free(value: float | None, _: float | None, *, passed: bool) -> str:
    return "no bracket is open on the symbol" if passed else f"{value or 0:g} bracket(s) open on the symbol already"


def _stop_distance(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "the distance of the stop cannot be told: no atr14, or no price"
    if value <= 0:
        return f"the stop lies on the wrong side of the entry, by {-value:.3g} atr14"
    return f"the stop is {value:.3g} atr14 from the entry, at most {limit or 0:g} are allowed"


def _exposure(of: str) -> _Text:
    def text(value: float | None, limit: float | None, *, passed: bool) -> str:
        if value is None:
            return f"the {of} cannot be told: no equity, or no bracket"
        what = "would be" if passed else "would be, with the least order the venue takes,"
        return f"the {of} {what} {value:.2%} of equity, at most {limit or 0:.2%}"

    return text


def _leverage(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "the leverage cannot be told: no equity, or no bracket"
    what = "would be" if passed else "would be, with the least order the venue takes,"
    return f"notional ÷ equity {what} {value:.4g}, at most {limit or 0:g}"


def _size(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "a price of the bracket lies outside the venue's bounds, or nothing can be sized"
    return f"the risk buys {value:g}, the venue {'takes' if passed else 'needs'} {limit or 0:g} or more"


def _reward(value: float | None, limit: float | None, *, passed: bool) -> str:
    if value is None:
        return "there are no fees and no slippage" if passed else "the first target cannot be told"
    return f"the first target is {value:.2f} times fees and slippage, {limit or 0:g} times are needed"


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

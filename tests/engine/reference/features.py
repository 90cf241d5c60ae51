"""Engine-spec section 1 in plain Python floats: a row per bar of table `indicators`.

Every column is made from whole lists, looking back as far as the text says, with sums that run from the oldest value
to the newest from 0.0. None = not yet defined.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.engine.reference.bars import Bars

Column = list[float | None]


def total(values: Sequence[float]) -> float:
    """Left to right from 0.0 (the built-in sum compensates its rounding from Python 3.12 on)."""
    result = 0.0
    for value in values:
        result = result + value
    return result


def mean(values: Sequence[float]) -> float:
    return total(values) / len(values)


def defined(values: Column) -> list[float]:
    return [value for value in values if value is not None]


def ema(values: Column, n: int) -> Column:
    first = len(values) - len(defined(values))
    known = defined(values)
    if len(known) < n:
        return [None] * len(values)
    alpha = 2 / (n + 1)
    e = mean(known[:n])
    result: Column = [None] * (first + n - 1) + [e]
    for value in known[n:]:
        e += (value - e) * alpha
        result.append(e)
    return result


def wilder(values: Column) -> Column:
    first = len(values) - len(defined(values))
    known = defined(values)
    if len(known) < 14:
        return [None] * len(values)
    a = mean(known[:14])
    result: Column = [None] * (first + 13) + [a]
    for value in known[14:]:
        a = (13 * a + value) / 14
        result.append(a)
    return result


def true_ranges(bars: Bars) -> Column:
    high, low, close = bars.high, bars.low, bars.close
    return [None] + [
        max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1])) for t in range(1, len(close))
    ]


def rsi(close: list[float]) -> Column:
    changes = [close[t] - close[t - 1] for t in range(1, len(close))]
    gains = wilder([None, *(max(change, 0.0) for change in changes)])
    losses = wilder([None, *(max(-change, 0.0) for change in changes)])
    result: Column = []
    for g, loss in zip(gains, losses, strict=True):
        if g is None or loss is None:
            result.append(None)
        elif g == 0 and loss == 0:
            result.append(50.0)
        else:
            result.append((100 * g) / (g + loss))
    return result


def adx(high: list[float], low: list[float]) -> Column:
    plus: Column = [None]
    minus: Column = [None]
    for t in range(1, len(high)):
        up = high[t] - high[t - 1]
        dn = low[t - 1] - low[t]
        plus.append(up if up > dn and up > 0 else 0.0)
        minus.append(dn if dn > up and dn > 0 else 0.0)
    dx: Column = []
    for p, m in zip(wilder(plus), wilder(minus), strict=True):
        if p is None or m is None:
            dx.append(None)
        else:
            dx.append(100 * abs(p - m) / (p + m) if p + m != 0 else 0.0)
    return wilder(dx)


def bands(close: list[float]) -> tuple[Column, Column, Column]:
    mid: Column = []
    upper: Column = []
    lower: Column = []
    for t in range(len(close)):
        if t < 19:
            mid.append(None)
            upper.append(None)
            lower.append(None)
            continue
        window = close[t - 19 : t + 1]
        centre = window[0] + total([c - window[0] for c in window]) / 20
        deviation = math.sqrt(total([(c - centre) * (c - centre) for c in window]) / 20)
        mid.append(centre)
        upper.append(centre + 2 * deviation)
        lower.append(centre - 2 * deviation)
    return mid, upper, lower


def vwap(open_time: list[int], typical: list[float], volume: list[float]) -> Column:
    result: Column = []
    day = None
    value = traded = 0.0
    for opened, tp, v in zip(open_time, typical, volume, strict=True):
        if opened // 86_400_000_000 != day:
            day = opened // 86_400_000_000
            value = traded = 0.0
        value += tp * v
        traded += v
        result.append(tp if traded == 0 else value / traded)
    return result


def vwma(close: list[float], volume: list[float], mid: Column) -> Column:
    result: Column = []
    for t in range(len(close)):
        if t < 19:
            result.append(None)
            continue
        c, v = close[t - 19 : t + 1], volume[t - 19 : t + 1]
        traded = total(v)
        result.append(mid[t] if traded == 0 else total([a * b for a, b in zip(c, v, strict=True)]) / traded)
    return result


def rank(values: Column) -> Column:
    first = len(values) - len(defined(values))
    known = defined(values)
    result: Column = [None] * first
    for i, value in enumerate(known):
        if i < 199:
            result.append(None)
        else:
            result.append(sum(map(value.__gt__, known[i - 199 : i])) / 199)
    return result


def indicators(bars: Bars) -> dict[str, Column]:
    """Every column of section 1, by name; there is at least one bar."""
    close = bars.close
    known: Column = list(close)
    fast, slow = ema(known, 12), ema(known, 26)
    macd: Column = [None if a is None or b is None else a - b for a, b in zip(fast, slow, strict=True)]
    signal = ema(macd, 9)
    atr = wilder(true_ranges(bars))
    natr: Column = [None if a is None else (100 * a) / c for a, c in zip(atr, close, strict=True)]
    mid, upper, lower = bands(close)
    width: Column = [
        None if m is None or u is None or lo is None else (u - lo) / m
        for m, u, lo in zip(mid, upper, lower, strict=True)
    ]
    typical = [(h + lo + c) / 3 for h, lo, c in zip(bars.high, bars.low, close, strict=True)]
    return {
        "ema20": ema(known, 20),
        "ema50": ema(known, 50),
        "ema200": ema(known, 200),
        "rsi14": rsi(close),
        "macd": macd,
        "macd_signal": signal,
        "macd_hist": [None if a is None or b is None else a - b for a, b in zip(macd, signal, strict=True)],
        "atr14": atr,
        "adx14": adx(bars.high, bars.low),
        "bb_mid": mid,
        "bb_upper": upper,
        "bb_lower": lower,
        "vwap": vwap(bars.open_time, typical, bars.volume),
        "vwma20": vwma(close, bars.volume, mid),
        "natr": natr,
        "natr_rank": rank(natr),
        "bbw_rank": rank(width),
    }

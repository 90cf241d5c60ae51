"""Features of each bar (engine-spec section 1, table `indicators`).

Bars are taken in blocks that fit the first cache levels. Within a block the columns are made one after the other,
each from contiguous values that begin 199 bars before the block: so one bar and a million take the same path, and
the loops over bars become vector instructions without touching the order of any bar's own additions.

Invariant: the value of bar t depends on bars ≤ t alone and not on where blocks or calls begin.
Left out: the columns `trend` and `range_pos`, which come from structure (section 4).

    features(state.features, open_time, high, low, close, volume, out, undefined)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

from contracts.kernel import Record, counts, formula, instants, kernel, matrix, reals, scratch
from engine.state import FEATURES, LEAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = (
    "ema20",
    "ema50",
    "ema200",
    "rsi14",
    "macd",
    "macd_signal",
    "macd_hist",
    "atr14",
    "adx14",
    "bb_mid",
    "bb_upper",
    "bb_lower",
    "vwap",
    "vwma20",
    "natr",
    "natr_rank",
    "bbw_rank",
)
(
    EMA20,
    EMA50,
    EMA200,
    RSI14,
    MACD,
    MACD_SIGNAL,
    MACD_HIST,
    ATR14,
    ADX14,
    BB_MID,
    BB_UPPER,
    BB_LOWER,
    VWAP,
    VWMA20,
    NATR,
    NATR_RANK,
    BBW_RANK,
) = range(len(COLUMNS))
_BLOCK = 256
_DAY_US = 86_400_000_000
_BAND = 20  # bars of a Bollinger band and of vwma
_FIRST_BAND = _BAND - 1
_WILDER = 14
_FIRST_ATR = _WILDER
_FIRST_ADX = 2 * _WILDER - 1
_FIRST_MACD = 25
_FIRST_SIGNAL = _FIRST_MACD + 8
_FIRST_NATR_RANK = _FIRST_ATR + LEAD
_FIRST_BBW_RANK = _FIRST_BAND + LEAD
_STRIDE = 20  # divides LEAD + 1
_CODES = 65_534  # steps a block's values are told apart by, of 16 bits

# Rows of the block's own values that need no past.
_UP, _DOWN, _GAIN, _LOSS, _TYPICAL, _VALUE, _SUM_VALUE, _SUM_VOLUME = range(8)
# Rows that begin LEAD bars before the block, as the bars' own columns do.
_NATR, _BBW = range(2)


@formula
def _ema(value: float, x: float, k: int, length: int) -> float:
    """EMA of `length` after its k-th value x; before it is seeded, the sum of its values."""
    if k >= length:
        alpha = 2.0 / (length + 1)
        return value + (x - value) * alpha
    total = value + x
    return total / length if k == length - 1 else total


@formula
def _wilder(value: float, x: float, k: int) -> float:
    """Wilder's average after its k-th value x; before it is seeded, the sum of its values."""
    if k >= _WILDER:
        return (13.0 * value + x) / 14.0
    total = value + x
    return total / 14.0 if k == _WILDER - 1 else total


@formula
def _moves(
    high: NDArray[Any],
    low: NDArray[Any],
    close: NDArray[Any],
    volume: NDArray[Any],
    own: NDArray[Any],
    true_range: NDArray[Any],
    size: int,
) -> None:
    """True range, directional movement, gain and loss against the bar before, and the typical price."""
    up_row, down_row, gain, loss = own[_UP], own[_DOWN], own[_GAIN], own[_LOSS]
    typical, value = own[_TYPICAL], own[_VALUE]
    for i in range(size):
        h, low_, c, before = high[LEAD + i], low[LEAD + i], close[LEAD + i], close[LEAD + i - 1]
        widest = h - low_
        above = abs(h - before)
        below = abs(low_ - before)
        widest = above if above > widest else widest
        true_range[i] = below if below > widest else widest
        up = h - high[LEAD + i - 1]
        down = low[LEAD + i - 1] - low_
        up_row[i] = up if up > down and up > 0.0 else 0.0
        down_row[i] = down if down > up and down > 0.0 else 0.0
        change = c - before
        gain[i] = change if change > 0.0 else 0.0
        loss[i] = -change if change < 0.0 else 0.0
        typical[i] = (h + low_ + c) / 3.0
        value[i] = typical[i] * volume[LEAD + i]


@formula
def _averages(
    s: Record,
    close: NDArray[Any],
    own: NDArray[Any],
    true_range: NDArray[Any],
    out: NDArray[Any],
    start: int,
    size: int,
) -> None:
    """Everything that is built on its own value of the bar before, all side by side in one pass over the block."""
    first = s.bars
    ema12, ema20, ema26, ema50, ema200 = s.ema12, s.ema20, s.ema26, s.ema50, s.ema200
    signal, gain, loss, atr = s.macd_signal, s.gain, s.loss, s.atr14
    plus, minus, adx = s.plus_dm, s.minus_dm, s.adx14
    for i in range(size):
        t = first + i
        c = close[LEAD + i]
        ema12 = _ema(ema12, c, t, 12)
        ema20 = _ema(ema20, c, t, 20)
        ema26 = _ema(ema26, c, t, 26)
        ema50 = _ema(ema50, c, t, 50)
        ema200 = _ema(ema200, c, t, 200)
        macd = ema12 - ema26
        if t >= _FIRST_MACD:
            signal = _ema(signal, macd, t - _FIRST_MACD, 9)
        if t >= 1:
            gain = _wilder(gain, own[_GAIN, i], t - 1)
            loss = _wilder(loss, own[_LOSS, i], t - 1)
            atr = _wilder(atr, true_range[i], t - 1)
            plus = _wilder(plus, own[_UP, i], t - 1)
            minus = _wilder(minus, own[_DOWN, i], t - 1)
        if t >= _FIRST_ATR:
            total = plus + minus
            dx = (100.0 * abs(plus - minus)) / total if total != 0.0 else 0.0
            adx = _wilder(adx, dx, t - _FIRST_ATR)
        out[EMA20, start + i] = ema20
        out[EMA50, start + i] = ema50
        out[EMA200, start + i] = ema200
        out[MACD, start + i] = macd
        out[MACD_SIGNAL, start + i] = signal
        out[ATR14, start + i] = atr
        out[ADX14, start + i] = adx
        own[_GAIN, i] = gain
        own[_LOSS, i] = loss
    s.ema12, s.ema20, s.ema26, s.ema50, s.ema200 = ema12, ema20, ema26, ema50, ema200
    s.macd_signal, s.gain, s.loss, s.atr14 = signal, gain, loss, atr
    s.plus_dm, s.minus_dm, s.adx14 = plus, minus, adx


@formula
def _blank(row: NDArray[Any], first: int, defined_from: int) -> None:
    """NaN for the bars before the first defined one."""
    for i in range(min(max(defined_from - first, 0), row.size)):
        row[i] = np.nan


@formula
def _vwap(s: Record, open_time: NDArray[Any], traded: NDArray[Any], own: NDArray[Any], vwap: NDArray[Any]) -> None:
    """Volume weighted price since 00:00 UTC of the bar's open time; the typical price while nothing was traded."""
    sum_value, sum_volume, ends = s.anchor_value, s.anchor_volume, s.anchor_ends
    for i in range(vwap.size):
        opened = open_time[LEAD + i]
        if opened >= ends:
            sum_value = 0.0
            sum_volume = 0.0
            ends = opened - opened % _DAY_US + _DAY_US
        sum_value += own[_VALUE, i]
        sum_volume += traded[LEAD + i]
        own[_SUM_VALUE, i] = sum_value
        own[_SUM_VOLUME, i] = sum_volume
    s.anchor_value, s.anchor_volume, s.anchor_ends = sum_value, sum_volume, ends
    value, volume, typical = own[_SUM_VALUE], own[_SUM_VOLUME], own[_TYPICAL]
    for i in range(vwap.size):
        vwap[i] = typical[i] if volume[i] == 0.0 else value[i] / volume[i]


@formula
def _ratios(
    own: NDArray[Any], close: NDArray[Any], natr: NDArray[Any], out: NDArray[Any], start: int, size: int
) -> None:
    """The columns that are a quotient or a difference of finished columns of the same bar."""
    gain, loss = own[_GAIN], own[_LOSS]
    for i in range(size):
        total = gain[i] + loss[i]
        out[RSI14, start + i] = 50.0 if total == 0.0 else (100.0 * gain[i]) / total
        out[MACD_HIST, start + i] = out[MACD, start + i] - out[MACD_SIGNAL, start + i]
    for i in range(size):
        natr[LEAD + i] = (100.0 * out[ATR14, start + i]) / close[LEAD + i]
        out[NATR, start + i] = natr[LEAD + i]


@formula
def _bands(
    close: NDArray[Any],
    volume: NDArray[Any],
    width: NDArray[Any],
    out: NDArray[Any],
    sum_volume: NDArray[Any],
    start: int,
    size: int,
) -> None:
    """Bollinger bands, their width, and vwma: sums over 20 bars, oldest first, several bars at a time."""
    mid, upper, lower, vwma = (
        out[BB_MID, start : start + size],
        out[BB_UPPER, start : start + size],
        out[BB_LOWER, start : start + size],
        out[VWMA20, start : start + size],
    )
    for i in range(size):
        begin = LEAD + i - _FIRST_BAND
        oldest = close[begin]
        total = 0.0
        for j in range(_BAND):
            total += close[begin + j] - oldest
        mean = oldest + total / 20.0
        squares = 0.0
        for j in range(_BAND):
            squares += (close[begin + j] - mean) * (close[begin + j] - mean)
        deviation = 2.0 * np.sqrt(squares / 20.0)
        mid[i] = mean
        upper[i] = mean + deviation
        lower[i] = mean - deviation
        width[LEAD + i] = (upper[i] - lower[i]) / mean
    for i in range(size):
        begin = LEAD + i - _FIRST_BAND
        value = 0.0
        traded = 0.0
        for j in range(_BAND):
            value += close[begin + j] * volume[begin + j]
            traded += volume[begin + j]
        vwma[i] = mid[i] if traded == 0.0 else value / traded
        sum_volume[i] = traded


@formula
def _encode(values: NDArray[Any], codes: NDArray[Any]) -> None:
    """Sixteen bits for each value, in the order of the values: of two codes the lower has the lower value.

    Subtraction and multiplication round in order, so only values that lie close share a code. All share one where a
    value is not a number, or where their extent is not finite or too small to be divided by.
    """
    lowest, highest, numbers = np.inf, -np.inf, True
    for i in range(values.size):
        x = values[i]
        lowest = x if x < lowest else lowest
        highest = x if x > highest else highest
        numbers &= x == x
    scale = _CODES / (highest - lowest)
    if not (numbers and 0.0 < scale < np.inf):
        scale = 0.0
    for i in range(values.size):
        place = (values[i] - lowest) * scale
        codes[i] = np.int32(place if place >= 0.0 else 0.0) - _CODES // 2


@formula
def _rank(values: NDArray[Any], codes: NDArray[Any], counts: NDArray[Any], rank: NDArray[Any]) -> None:
    """Share of the 199 values before each one that are strictly below it.

    Codes are compared in the place of values, in ten strides of twenty and many bars at a time. The value itself is
    the 200th of its window; where another one has its code, the values are counted instead.
    """
    _encode(values, codes[: values.size])
    below, same = counts[0, : rank.size], counts[1, : rank.size]
    below[:] = 0
    same[:] = 0
    for stride in range(0, LEAD + 1, _STRIDE):
        for i in range(rank.size):
            code, lower, equal = codes[LEAD + i], below[i], same[i]
            for j in range(_STRIDE):
                other = codes[stride + i + j]
                lower = np.int16(lower + np.int16(other < code))
                equal = np.int16(equal + np.int16(other == code))
            below[i], same[i] = lower, equal
    for i in range(rank.size):
        x = values[LEAD + i]
        found = int(below[i])
        if same[i] > 1:
            found = 0
            for j in range(LEAD):
                found += values[i + j] < x
        rank[i] = found / 199.0 if x == x else np.nan


@formula
def _count_nan(row: NDArray[Any]) -> int:
    found = 0
    for i in range(row.size):
        found += row[i] != row[i]
    return found


@formula
def _recall(row: NDArray[Any], tail: NDArray[Any]) -> None:
    for j in range(LEAD):
        row[j] = tail[j]


@formula
def _keep(tail: NDArray[Any], row: NDArray[Any], size: int) -> None:
    for j in range(LEAD):
        tail[j] = row[size + j]


@formula
def _blank_all(out: NDArray[Any], start: int, end: int, first: int) -> None:
    """NaN over what averages and ranks hold before they are defined; the bands are NaN by themselves."""
    _blank(out[EMA20, start:end], first, 19)
    _blank(out[EMA50, start:end], first, 49)
    _blank(out[EMA200, start:end], first, 199)
    _blank(out[RSI14, start:end], first, _FIRST_ATR)
    _blank(out[MACD, start:end], first, _FIRST_MACD)
    _blank(out[MACD_SIGNAL, start:end], first, _FIRST_SIGNAL)
    _blank(out[MACD_HIST, start:end], first, _FIRST_SIGNAL)
    _blank(out[ATR14, start:end], first, _FIRST_ATR)
    _blank(out[ADX14, start:end], first, _FIRST_ADX)
    _blank(out[NATR, start:end], first, _FIRST_ATR)
    _blank(out[NATR_RANK, start:end], first, _FIRST_NATR_RANK)
    _blank(out[BBW_RANK, start:end], first, _FIRST_BBW_RANK)


@kernel(
    types.void(
        numba.from_dtype(FEATURES)[::1],
        instants,
        reals,
        reals,
        reals,
        reals,
        matrix,
        types.int64,
        scratch,
        scratch,
        counts,
    ),
)
def features(
    state: NDArray[np.void],
    open_time: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    volume: NDArray[np.float64],
    out: NDArray[np.float64],
    at: int,
    true_range: NDArray[np.float64],
    sum_volume: NDArray[np.float64],
    undefined: NDArray[np.int64],
) -> None:
    """Append bars to a series and write their features.

    Args:
        state: The `FEATURES` record; advanced in place.
        open_time: µs since the epoch, strictly increasing: of the `LEAD` bars that precede these, then of these; so
            are the next four. NaN before bar 0.
        high: Prices in quote units; finite and positive, as low and close are.
        low: No higher than `high`.
        close: Between the two.
        volume: Base units; finite, not negative.
        out: Shape (`COLUMNS` or more, `at` + bars or more), written from column `at` on. NaN where undefined.
        at: Where in `out` the first of these bars stands.
        true_range: One a bar, written, for the sections that follow; high − low at bar 0, where it is not defined.
        sum_volume: One a bar, written likewise: of the last 20 bars, oldest first; NaN while there are fewer.
        undefined: One a feature; the number of NaN written is added.
    """
    s = state[0]
    past = np.empty((2, LEAD + _BLOCK))
    codes, ranked = np.empty(LEAD + _BLOCK, np.int16), np.empty((2, _BLOCK), np.int16)
    own = np.empty((8, _BLOCK))
    _recall(past[_NATR], s.natr)
    _recall(past[_BBW], s.bbw)
    size = 0
    for block in range(0, true_range.size, _BLOCK):
        for row in range(2):
            for j in range(LEAD if size else 0):
                past[row, j] = past[row, size + j]
        size = min(_BLOCK, true_range.size - block)
        stop = block + size
        h, lo = high[block : stop + LEAD], low[block : stop + LEAD]
        c, v = close[block : stop + LEAD], volume[block : stop + LEAD]
        start = at + block
        end = start + size
        _moves(h, lo, c, v, own, true_range[block:stop], size)
        _averages(s, c, own, true_range[block:stop], out, start, size)
        _vwap(s, open_time[block : stop + LEAD], v, own, out[VWAP, start:end])
        _ratios(own, c, past[_NATR], out, start, size)
        _bands(c, v, past[_BBW], out, sum_volume[block:stop], start, size)
        _rank(past[_NATR, : LEAD + size], codes, ranked, out[NATR_RANK, start:end])
        _rank(past[_BBW, : LEAD + size], codes, ranked, out[BBW_RANK, start:end])
        _blank_all(out, start, end, s.bars)
        for row in range(undefined.size):
            undefined[row] += _count_nan(out[row, start:end])
        s.bars += size
    _keep(s.natr, past[_NATR], size)
    _keep(s.bbw, past[_BBW], size)

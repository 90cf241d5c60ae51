"""Where a bar cannot tell what came first: the finer bars inside it, and the policy only after those.

Invariant: finer bars answer a question that the bar leaves open; they never change what it says for certain.

    code = resolve(bracket, costs, *bar, open_us, close_us, *finer_columns, first, last, finer_us, fills)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import types

from contracts import rounding
from contracts.kernel import Record, instants, kernel, reals
from venues.fills import account, prices, records
from venues.fills import bracket as one_bar
from venues.fills.bracket import advance
from venues.fills.records import AMBIGUOUS, CLOSED, NOTHING, bracket_type, costs_type, fills_type

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_int = types.int64
_real = types.float64


@kernel(
    _int(
        *(bracket_type, costs_type, _real, _real, _real, _real, _int, _int),
        *(instants, reals, reals, reals, reals, _int, _int, _int, fills_type),
    ),
    also=(rounding, account, one_bar, prices, records),
)
def resolve(
    bracket: Record,
    costs: Record,
    bar_open: float,
    high: float,
    low: float,
    close: float,
    open_us: int,
    close_us: int,
    sub_open_time: NDArray[np.int64],
    sub_open: NDArray[np.float64],
    sub_high: NDArray[np.float64],
    sub_low: NDArray[np.float64],
    sub_close: NDArray[np.float64],
    first: int,
    last: int,
    sub_us: int,
    fills: NDArray[Any],
) -> int:
    """`advance`, and where it cannot tell, the bars of a sub-timeframe one after the other, then the policy.

    Finer bars are believed only where none is missing and together they say what the bar says (open, high, low,
    close): what happened in a hole would count as not having happened.

    Args:
        bracket: As in `advance`, with all up to `close_us`.
        costs: See `bracket`.
        bar_open: See `bracket`.
        high: See `bracket`.
        low: See `bracket`.
        close: See `bracket`.
        open_us: See `bracket`.
        close_us: See `bracket`.
        sub_open_time: µs since the epoch, of the bars of the sub-timeframe.
        sub_open: Prices in quote units.
        sub_high: See `sub_open`.
        sub_low: See `sub_open`.
        sub_close: See `sub_open`.
        first: Where those of this bar begin …
        last: … and end; `first` = there are none.
        sub_us: Duration of one of them.
        fills: As in `advance`.

    Returns:
        NOTHING, FILLED or CLOSED.
    """
    code = advance(bracket, costs, bar_open, high, low, close, open_us, close_us, 0, fills)
    if code != AMBIGUOUS:
        return code
    told = first < last and (last - first) * sub_us == close_us - open_us
    told = told and sub_open[first] == bar_open and sub_close[last - 1] == close
    if told:
        top, bottom = sub_high[first], sub_low[first]
        for i in range(first + 1, last):
            top, bottom = max(top, sub_high[i]), min(bottom, sub_low[i])
        told = top == high and bottom == low
    if not told:
        return advance(bracket, costs, bar_open, high, low, close, open_us, close_us, 1, fills)
    code = NOTHING
    for i in range(first, last):
        at, until = sub_open_time[i], sub_open_time[i] + sub_us
        found = advance(bracket, costs, sub_open[i], sub_high[i], sub_low[i], sub_close[i], at, until, 0, fills)
        if found == AMBIGUOUS:
            found = advance(bracket, costs, sub_open[i], sub_high[i], sub_low[i], sub_close[i], at, until, 1, fills)
        if found == CLOSED:
            return CLOSED
        code = max(code, found)
    return code

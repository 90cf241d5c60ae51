"""Regime of each bar (engine-spec section 2, table `regimes`).

Reads the finished features of the same bar and the `atr14` of the bar before; remembers that value and the last
regime that was not SHOCK. A row exists from the first bar with `adx14`, `natr_rank` and `bbw_rank` all defined.

Invariant: the codes below are what the state stores, so their numbers never change meaning.

    rows = regimes(state.regime, true_range, atr14, adx14, natr_rank, bbw_rank, regime, vol_state, *bounds)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from numba import types

from contracts.kernel import codes, kernel, reals
from engine.state import REGIME

if TYPE_CHECKING:
    from numpy.typing import NDArray

REGIMES = ("RANGE", "TREND", "SHOCK")
VOL_STATES = ("OK", "CHOP", "SHOCK")
NO_ROW = 255

_RANGE, _TREND, _SHOCK = range(3)
_VOL_OK, _VOL_CHOP, _VOL_SHOCK = range(3)
_real = types.float64


@kernel(
    types.int64(
        numba.from_dtype(REGIME)[::1],
        *(reals, reals, reals, reals, reals),
        *(codes, codes),
        *(_real, _real, _real, _real, _real),
    )
)
def regimes(
    state: NDArray[np.void],
    true_range: NDArray[np.float64],
    atr14: NDArray[np.float64],
    adx14: NDArray[np.float64],
    natr_rank: NDArray[np.float64],
    bbw_rank: NDArray[np.float64],
    regime: NDArray[np.uint8],
    vol_state: NDArray[np.uint8],
    shock_tr: float,
    shock_rank: float,
    trend_adx: float,
    range_adx: float,
    chop_rank: float,
) -> int:
    """Classify bars whose features are known.

    Args:
        state: The `REGIME` record; advanced in place.
        true_range: Features of these bars, NaN where undefined; so are the next four.
        atr14: See `true_range`.
        adx14: See `true_range`.
        natr_rank: See `true_range`.
        bbw_rank: See `true_range`.
        regime: Written: index into `REGIMES`; `NO_ROW` while undefined.
        vol_state: Written: index into `VOL_STATES`; `NO_ROW` while undefined.
        shock_tr: A true range above this multiple of the previous atr14 is a shock.
        shock_rank: So is a natr_rank at or above this share.
        trend_adx: Trend from this adx14 on.
        range_adx: Range below this adx14.
        chop_rank: A range with a bbw_rank at or below this share is chop.

    Returns:
        How many of the bars have a row.
    """
    s = state[0]
    before = s.atr14
    calm = s.calm
    rows = 0
    for i in range(true_range.size):
        if np.isnan(adx14[i]) or np.isnan(natr_rank[i]) or np.isnan(bbw_rank[i]):
            regime[i] = NO_ROW
            vol_state[i] = NO_ROW
        else:
            rows += 1
            shock = true_range[i] > shock_tr * before or natr_rank[i] >= shock_rank
            if not shock:
                if adx14[i] >= trend_adx:
                    calm = _TREND
                elif adx14[i] < range_adx:
                    calm = _RANGE
            regime[i] = _SHOCK if shock else calm
            if shock:
                vol_state[i] = _VOL_SHOCK
            elif calm == _RANGE and bbw_rank[i] <= chop_rank:
                vol_state[i] = _VOL_CHOP
            else:
                vol_state[i] = _VOL_OK
        before = atr14[i]
    s.atr14 = before
    s.calm = calm
    return rows

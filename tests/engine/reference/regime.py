"""Engine-spec section 2: a row per bar from the first with its three features defined, table `regimes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.engine.reference.features import Column, true_ranges

if TYPE_CHECKING:
    from engine import EngineParams
    from tests.engine.reference.bars import Bars


def regimes(bars: Bars, columns: dict[str, Column], params: EngineParams) -> list[tuple[int, str, str]]:
    """Bar, regime, vol_state."""
    rows: list[tuple[int, str, str]] = []
    ranges = true_ranges(bars)
    last_calm = "RANGE"
    for t in range(len(bars)):
        trend, natr_rank, bbw_rank = (columns[name][t] for name in ("adx14", "natr_rank", "bbw_rank"))
        if trend is None or natr_rank is None or bbw_rank is None:
            continue
        true_range, before = ranges[t], columns["atr14"][t - 1]
        assert true_range is not None
        assert before is not None
        if true_range > params.shock_tr * before or natr_rank >= params.shock_rank:
            regime = "SHOCK"
        elif trend >= params.trend_adx:
            regime = "TREND"
        elif trend < params.range_adx:
            regime = "RANGE"
        else:
            regime = last_calm
        if regime != "SHOCK":
            last_calm = regime
        quiet = regime == "RANGE" and bbw_rank <= params.chop_rank
        rows.append((t, regime, "SHOCK" if regime == "SHOCK" else "CHOP" if quiet else "OK"))
    return rows

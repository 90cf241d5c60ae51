"""A slow reading of engine-spec sections 1 to 6 in plain Python, sharing nothing with the kernels.

One module a section, one function a paragraph, looking back and forth over whole lists as far as the text says; sums
run from the oldest value to the newest from 0.0. Invariant: nothing here is imported from `engine` but the parameters,
so that agreeing with the kernels is agreement of two readers. None = not yet defined.

    read(bars, EngineParams(), Timeframe("15m").us).rows["zones"]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.engine.reference import rows
from tests.engine.reference.bars import Bars
from tests.engine.reference.features import Column, indicators
from tests.engine.reference.liquidity import liquidity
from tests.engine.reference.regime import regimes
from tests.engine.reference.retest import Known, retests
from tests.engine.reference.structure import breaks, range_positions
from tests.engine.reference.structure import micro_bos as micro_bos_of
from tests.engine.reference.swings import swings
from tests.engine.reference.zones import live_through

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    import polars as pl

    from engine import EngineParams
    from tests.engine.reference.rows import Row
    from tests.engine.reference.structure import Break

__all__ = ["Reading", "micro_bos", "read"]


@dataclass(frozen=True)
class Reading:
    """Every table of one series, without the series key; times in µs since the epoch.

    Attributes:
        bars: What was read.
        indicators: Columns of table `indicators` by name, a value a bar.
        rows: Rows of every other table by its name, in the table's order.
        breaks: The structure events, for a parent timeframe's `micro_bos`.
        setup_ends: How many setups ended by `signal`, `window`, `opposite` or were `replaced`.
        confirmations: How many signals each of `in_direction` and `micro_bos` confirmed, and how many it did `alone`.
    """

    bars: Bars
    indicators: dict[str, list[int] | Column]
    rows: dict[str, list[Row]]
    breaks: list[Break]
    setup_ends: Counter[str]
    confirmations: Counter[str]


def read(frame: pl.DataFrame, params: EngineParams, tf_us: int, micro_bos: Sequence[int] | None = None) -> Reading:
    """Read the bars of one series from its first; there is at least one.

    Args:
        frame: A bar frame.
        params: All parameters of section 8 are honoured.
        tf_us: Duration of the timeframe in µs.
        micro_bos: −1, 0 or 1 for each bar; None where no sub-timeframe is configured.
    """
    bars = Bars.of(frame, tf_us, micro_bos)
    columns = indicators(bars)
    atr = columns["atr14"]
    turns = swings(bars, atr, params)
    events, trend = breaks(bars, turns)
    lives = live_through(bars, atr, events, params)
    found = retests(Known(bars, columns, events, lives.zones, params))
    return Reading(
        bars,
        {
            "ts": [bars.ts(t) for t in range(len(bars))],
            **columns,
            "trend": trend,
            "range_pos": range_positions(bars, turns),
        },
        {
            "regimes": rows.regime_rows(bars, regimes(bars, columns, params)),
            "swings": rows.swing_rows(bars, turns),
            "smc_events": rows.break_rows(bars, events),
            "liquidity_events": rows.liquidity_rows(bars, liquidity(bars, turns, atr, params.eq_tol)),
            "zone_events": rows.zone_event_rows(bars, lives.writes),
            "zones": rows.zone_rows(bars, lives.zones, params),
            "inversions": rows.inversion_rows(bars, lives.inversions, params),
            "signals_raw": rows.signal_rows(bars, found.signals, params),
        },
        events,
        found.setup_ends,
        found.confirmations,
    )


def micro_bos(parent: pl.DataFrame, parent_tf_us: int, sub: Reading) -> list[int]:
    """The `micro_bos` of each bar of a parent frame, from the reading of its sub-timeframe."""
    return micro_bos_of(Bars.of(parent, parent_tf_us), sub.bars, sub.breaks)

"""The popular Python library for these concepts, smartmoneyconcepts, timed beside the engine and tested for hindsight.

It takes a whole history at once and gives what is left of it at the end: an order block that failed and was crossed
again is no longer in its answer. Who trades that answer trades the survivors, and wins on noise; `surviving_blocks`
gives those trades, so that it can be measured.

Left out: its daily levels, sessions and retracements, which the engine does not have. It is a development dependency,
so it is imported when first used.

    everything(pandas_ohlc(bars), half_width=3)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.first_touch import NEVER, ZONE_TARGET, Orders
from bench.walks import STEPS

if TYPE_CHECKING:
    import polars as pl

_CREDIT = "SMC_CREDIT"  # unless it is 0, importing the library prints a request for stars to stdout


def pandas_ohlc(bars: pl.DataFrame) -> Any:  # noqa: ANN401 - a pandas frame, which is imported lazily and untyped
    """A bar frame as the library wants it: numbered rows, for it slices by position."""
    import pandas as pd

    return pd.DataFrame({name: bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")})


def everything(frame: Any, *, half_width: int) -> dict[str, Any]:  # noqa: ANN401 - see pandas_ohlc
    """All it has of what the engine computes: swings, breaks, order blocks, gaps and liquidity, as pandas frames.

    Args:
        frame: What `pandas_ohlc` made.
        half_width: Bars a swing is compared with on each side (its `swing_length`; it takes one less on the left).
    """
    smc = _library()
    swings = smc.swing_highs_lows(frame, swing_length=half_width)
    return {
        "swings": swings,
        "breaks": smc.bos_choch(frame, swings),
        "order_blocks": smc.ob(frame, swings),
        "gaps": smc.fvg(frame),
        "liquidity": smc.liquidity(frame, swings),
    }


def surviving_blocks(frame: Any, *, half_width: int, delay: int) -> Orders:  # noqa: ANN401 - see pandas_ohlc
    """The order blocks in its final answer as first-touch orders: near edge, stop at the far edge, target 2 R.

    Args:
        frame: What `pandas_ohlc` made of the bars of a `bench.walks.Walk`.
        half_width: Its `swing_length`.
        delay: Bars to wait after the candle a block is drawn at. 0 is what reading the answer as a column of the
            bars does; the later one begins, the more of what remains is survivorship alone.
    """
    smc = _library()
    blocks = smc.ob(frame, smc.swing_highs_lows(frame, swing_length=half_width))
    at = np.flatnonzero(blocks["OB"].notna().to_numpy())
    side = blocks["OB"].to_numpy()[at].astype(np.float64)
    edges = blocks[["Bottom", "Top"]].to_numpy()[at].astype(np.float64)  # its float32, swapped in one of its branches
    low, high = edges.min(axis=1), edges.max(axis=1)
    near, far = np.where(side > 0, high, low), np.where(side > 0, low, high)
    start = (at + 1 + delay).astype(np.int64) * STEPS
    until = np.full(at.size, NEVER)
    return Orders(side, start, until, near, far, near + side * ZONE_TARGET * (high - low), high - low)


def _library() -> Any:  # noqa: ANN401 - it ships no types
    os.environ.setdefault(_CREDIT, "0")
    from smartmoneyconcepts import smc

    return smc

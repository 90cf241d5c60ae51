"""Strength and score with their numbers put in, so that a reader can add them up (engine-spec sections 5 and 6).

Computed from bars, atr14 and rows, not asked of the kernels: `tests/docs/test_concepts.py` holds them against the rows.

    strength_of_gap(market, zone)       # "⌊2·min(0.64, 3)⌋ + ⌊min(1.31, 2)⌋ + 2 = 1 + 1 + 2"
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from docs.pictures.market import Market
    from docs.pictures.picture import Row

_VOLUME_BARS = 20
_PARTS = (("ema200", 0.10), ("macd", 0.05), ("rsi", 0.05))


def strength_of_gap(market: Market, zone: Row) -> str:
    """Of a fair value gap: its height, the volume of its third bar, and a break in its direction nearby."""
    height = zone["price_hi"] - zone["price_lo"]
    direction = "UP" if zone["side"] == "DEMAND" else "DN"
    breaks = market.rows.smc_events.filter(pl.col("kind").cast(pl.String).str.ends_with(direction))["ts"]
    return _strength(market, zone, move=height, partners=breaks)


def strength_of_block(market: Market, zone: Row) -> str:
    """Of an order block: how far the break closed from its candle's close, the volume, and a gap of its side nearby."""
    close = market.walk.bars["close"]
    move = abs(close[market.bar(zone["created_ts"])] - close[market.bar(zone["origin_ts"])])
    gaps = market.rows.zones.filter(pl.col("kind") == "FVG", pl.col("side") == zone["side"])["created_ts"]
    return _strength(market, zone, move=move, partners=gaps)


def score(signal: Row, strength: int) -> str:
    """Of a signal of the retest."""
    flags = json.loads(signal["features"])
    names = {
        "ema200": ("ema200_up", "ema200_down"),
        "macd": ("macd_hist_up", "macd_hist_down"),
        "rsi": ("rsi_mid_rebound",),
    }
    terms = [f"0.20·{signal['retest_ok']:d}", f"0.15·{signal['structure_ok']:d}"]
    for name, weight in _PARTS:
        terms.append(f"{weight:.2f}·{any(flags.get(written, False) for written in names[name]):d}")
    return f"0.30 + {' + '.join(terms)} + 0.15·{strength}/10"


def _strength(market: Market, zone: Row, *, move: float, partners: pl.Series) -> str:
    bar = market.bar(zone["created_ts"])
    displacement = move / market.atr14[bar]
    volumes = market.walk.bars["volume"].slice(bar - _VOLUME_BARS + 1, _VOLUME_BARS)
    ratio = volumes[-1] / (sum(volumes) / _VOLUME_BARS)
    near = any(0 <= bar - market.bar(ts) <= market.params.confluence_bars for ts in partners)
    parts = math.floor(2 * min(displacement, 3)), math.floor(min(ratio, 2)), 2 * near
    return f"⌊2·min({displacement:.2f}, 3)⌋ + ⌊min({ratio:.2f}, 2)⌋ + {parts[2]} = {parts[0]} + {parts[1]} + {parts[2]}"

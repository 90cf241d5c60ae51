"""Jobs: what a person or the command line starts as one run."""

from __future__ import annotations

import dagster as dg

from assets.analysis import TABLES

backfill = dg.define_asset_job(
    "backfill",
    selection=dg.AssetSelection.assets("candles", "candle_gaps", *TABLES),
    description="Load the candles of an instrument's months, check them, and compute everything that follows.",
)

refresh_rules = dg.define_asset_job(
    "refresh_rules",
    selection=dg.AssetSelection.assets("exchange_rules"),
    description="Snapshot the trading rules of every instrument we keep.",
)

"""Jobs: what a person, the command line, a schedule or a sensor starts as one run.

All that are cut by instrument and month take a range of months of one instrument in one run; `reports` takes one risk
profile and month. Of these there is one run at a time (dagster.yaml): a report takes a processor for minutes, and
candles must not wait for it.
"""

from __future__ import annotations

import dagster as dg

from orchestration.automation import COMPUTED

_CANDLES = dg.AssetSelection.assets("candles", "candle_gaps")
_COMPUTED = dg.AssetSelection.groups(*COMPUTED)
RESEARCH_TAG = "tidemark/research"
"""Tag of runs of which there is one at a time."""

backfill = dg.define_asset_job(
    "backfill",
    selection=_CANDLES | _COMPUTED,
    description="Load the candles of an instrument's months, check them, and compute everything that follows.",
)

load_candles = dg.define_asset_job(
    "load_candles",
    selection=_CANDLES.without_checks(),
    description="Load the candles of an instrument's months and nothing else: `backfill` checks them.",
)

recompute = dg.define_asset_job(
    "recompute",
    selection=dg.AssetSelection.checks_for_assets("candles") | _COMPUTED,
    description="Check the stored candles of an instrument's months, and compute again everything that follows.",
)

tail = dg.define_asset_job(
    "tail",
    selection=_CANDLES,
    description="Load and check the candles that an instrument's running month lacks.",
)

verify = dg.define_asset_job(
    "verify",
    selection=dg.AssetSelection.assets("candle_verification"),
    description="Compare an instrument's recent months with the archive, and its last days with REST.",
)

verify_all = dg.define_asset_job(
    "verify_all",
    selection=dg.AssetSelection.assets("candle_verification"),
    description="Compare every stored month of an instrument with the archive.",
)

funding = dg.define_asset_job(
    "funding",
    selection=dg.AssetSelection.assets("funding_rates"),
    description="Load what a perpetual settled in some months.",
)

calendar = dg.define_asset_job(
    "calendar",
    selection=dg.AssetSelection.assets("calendar_events"),
    description="Read every configured calendar of events.",
)

refresh_rules = dg.define_asset_job(
    "refresh_rules",
    selection=dg.AssetSelection.assets("exchange_rules"),
    description="Snapshot the trading rules of every instrument we keep.",
)

reports = dg.define_asset_job(
    "reports",
    selection=dg.AssetSelection.groups("research"),
    tags={RESEARCH_TAG: "report"},
    description="Backtest and walk-forward of a risk profile over the year up to a month.",
)

JOBS = [backfill, load_candles, recompute, tail, verify, verify_all, funding, calendar, refresh_rules, reports]

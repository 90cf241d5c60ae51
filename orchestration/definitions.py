"""Everything Dagster loads.

No network and no database is touched at import: addresses are settings, and the database's URL is read from the
environment when a run starts (`tidemark` sets it for the processes it starts).
"""

from __future__ import annotations

import logging

import dagster as dg

from assets import (
    analysis,
    backtest_report,
    calendar,
    funding,
    market,
    marts,
    verification,
    walk_forward_report,
)
from assets.checks.analysis import indicator_checks, signal_checks, zone_checks
from assets.checks.market import candle_checks, funding_checks
from orchestration.automation import follow_changes, followers
from orchestration.freshness import kept_fresh
from orchestration.jobs import JOBS
from orchestration.resources import resources_of
from orchestration.schedules import SCHEDULES
from orchestration.sensors import SENSORS
from tidemark.logs import configure_logs
from tidemark.settings import load_settings

ASSETS = [
    market.exchange_rules,
    market.candles,
    verification.candle_verification,
    funding.funding_rates,
    calendar.calendar_events,
    analysis.analysis,
    backtest_report.backtest_report,
    walk_forward_report.walk_forward_report,
    marts.marts,
]
CHECKS = [candle_checks, funding_checks, indicator_checks, zone_checks, signal_checks]


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules, sensors and resources."""
    settings = load_settings()
    if not logging.getLogger().handlers:
        # A process of Dagster's own: without a handler Python shows the bare message of a line and none of its fields.
        configure_logs(level=settings.log_level, style=settings.log_format)
    return dg.Definitions(
        assets=kept_fresh(followers(ASSETS)),
        asset_checks=CHECKS,
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=[follow_changes, *SENSORS],
        resources=resources_of(settings),
        # A step in a process of its own costs two seconds; runs work side by side instead.
        executor=dg.in_process_executor,
    )

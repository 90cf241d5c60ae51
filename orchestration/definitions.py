"""Everything Dagster loads.

No network and no database is touched at import: addresses are settings, and the database's URL is read from the
environment when a run starts (`tidemark` sets it for the processes it starts).
"""

from __future__ import annotations

import dagster as dg

from assets import analysis, market
from assets.bots import PluginBots
from assets.checks.market import candle_checks
from assets.resources import Exchange, Postgres
from contracts import VENUES
from orchestration.jobs import backfill, refresh_rules
from tidemark.settings import Settings, load_settings


def exchange_of(settings: Settings) -> Exchange:
    """The exchange resource that the settings describe."""
    return Exchange(
        rest={venue: settings.venue(venue).rest for venue in VENUES},
        archive={venue: settings.venue(venue).archive for venue in VENUES},
        weight_share={venue: settings.venue(venue).weight_share for venue in VENUES},
    )


def bots_of(settings: Settings) -> PluginBots:
    """The plug-in bots that the settings describe."""
    folder = settings.bots.folder
    return PluginBots(folder="" if folder is None else str(folder), deadline_ms=settings.bots.deadline_ms)


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs and resources."""
    settings = load_settings()
    return dg.Definitions(
        assets=dg.load_assets_from_modules([market, analysis]),
        asset_checks=[candle_checks],
        jobs=[backfill, refresh_rules],
        resources={
            "database": Postgres(url=dg.EnvVar("TIDEMARK_RUN_DATABASE_URL")),
            "exchange": exchange_of(settings),
            "bots": bots_of(settings),
        },
        # A step in a process of its own costs two seconds; runs work side by side instead.
        executor=dg.in_process_executor,
    )

"""What assets are given, made of the settings: plain configuration, nothing is opened before a step uses it.

dg.Definitions(resources=resources_of(load_settings()))
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.bots import PluginBots
from assets.calendar_sources import Calendars, Source
from assets.checks.data_docs import DataDocs
from assets.reports import Reports
from assets.resources import Exchange, Postgres
from contracts import VENUES
from tidemark.settings import Settings

DATABASE_VARIABLE = "TIDEMARK_RUN_DATABASE_URL"
DATA_DOCS = "data-docs"
REPORTS = "reports"


def resources_of(settings: Settings) -> Mapping[str, dg.ConfigurableResource]:  # type: ignore[type-arg]
    """All resources by the name under which steps ask for them."""
    return {
        "database": Postgres(url=dg.EnvVar(DATABASE_VARIABLE)),
        "exchange": exchange_of(settings),
        "bots": bots_of(settings),
        "calendars": calendars_of(settings),
        "data_docs": DataDocs(folder=str(settings.home / DATA_DOCS)),
        "reports": Reports(folder=str(settings.home / REPORTS)),
    }


def exchange_of(settings: Settings) -> Exchange:
    """The exchange that the settings describe."""
    return Exchange(
        rest={venue: settings.venue(venue).rest for venue in VENUES},
        archive={venue: settings.venue(venue).archive for venue in VENUES},
        weight_share={venue: settings.venue(venue).weight_share for venue in VENUES},
    )


def bots_of(settings: Settings) -> PluginBots:
    """The plug-in bots that the settings describe."""
    folder = settings.bots.folder
    return PluginBots(folder="" if folder is None else str(folder), deadline_ms=settings.bots.deadline_ms)


def calendars_of(settings: Settings) -> Calendars:
    """The calendars of events that the settings describe."""
    sources = [Source(**one.model_dump(mode="json", exclude_none=True)) for one in settings.calendar.sources]
    return Calendars(sources=sources, horizon_days=settings.calendar.horizon_days)

"""Checks on candles: one step answers all of them, and a failure blocks whatever is computed from candles.

Each check asks one question of `store.quality` for every series of the run's instruments and months. They look at
what is stored, not at what was just written, so that they can be run again at any time from the Dagster UI.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

import dagster as dg
import psycopg

from assets.partitions import tasks_of
from assets.resources import Postgres
from contracts import SeriesKey
from store import quality
from store.catalog import list_series
from store.quality import Violations

Question = Callable[[psycopg.Connection, SeriesKey, datetime, datetime], Violations]

CANDLE_CHECKS: dict[str, tuple[str, Question]] = {
    "on_grid": ("Every candle opens on the grid of its timeframe and closes 1 ms before the next.", quality.off_grid),
    "no_duplicates": ("No open time is claimed by two rows.", quality.doubled),
    "ohlc_order": ("Prices are positive and low <= open, close <= high.", quality.broken_prices),
    "no_unexplained_hole": ("Every missing candle has a row in the hole ledger.", quality.unexplained_holes),
    "digest_matches": ("What is stored has the digest that was written when it was loaded.", quality.digest_mismatches),
}


@dg.multi_asset_check(
    name="candle_checks",
    specs=[
        dg.AssetCheckSpec(name, asset="candles", description=text, blocking=True)
        for name, (text, _) in CANDLE_CHECKS.items()
    ],
    can_subset=True,
)
def candle_checks(context: dg.AssetCheckExecutionContext, database: Postgres) -> Iterator[dg.AssetCheckResult]:
    """Ask every selected question of every series of the run."""
    wanted = {key.name for key in context.selected_asset_check_keys}
    tasks = tasks_of(context.partition_keys)
    with database.connect() as conn:
        series = {
            task: [setting.key for setting in list_series(conn, task.instrument, enabled_only=True)] for task in tasks
        }
        for name, (_, ask) in CANDLE_CHECKS.items():
            if name not in wanted:
                continue
            found = Violations()
            for task, keys in series.items():
                for key in keys:
                    found += ask(conn, key, task.start, task.end)
            yield dg.AssetCheckResult(
                asset_key="candles",
                check_name=name,
                passed=found.count == 0,
                severity=dg.AssetCheckSeverity.ERROR,
                description=None if found.count == 0 else f"{found.count} places, the first: {found.places[0]}",
                metadata={
                    "violations": found.count,
                    "series": sum(map(len, series.values())),
                    "places": dg.MetadataValue.md("\n".join(f"- {place}" for place in found.places) or "none"),
                },
            )

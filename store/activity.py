"""What the analysis found lately, all series together: a few numbers for a person, by index look-ups of their days.

A window of days ends, for each series, where its analysis does. Without a window's bound this would count whole
tables, which grow without one.

    found = activity(conn, days=7)
    found.zones, found.active, found.signals["retest"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg

from contracts import SeriesKey
from store.connections import translated

_COUNTS: Final = """
SELECT
    (SELECT count(*) FROM analysis.smc_events
     WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND ts > %(start)s AND ts <= %(end)s),
    count(*), count(*) FILTER (WHERE status = 'ACTIVE')
FROM analysis.zones
WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND created_ts > %(start)s AND created_ts <= %(end)s
"""
_SIGNALS: Final = """
SELECT agent, count(*) FROM analysis.signals_raw
WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND ts > %(start)s AND ts <= %(end)s GROUP BY agent
"""
_ENDS: Final = """
SELECT s.venue, s.symbol, s.tf, done.at FROM market.series s
CROSS JOIN LATERAL (
    SELECT max(ts) AS at FROM analysis.indicators WHERE (venue, symbol, tf) = (s.venue, s.symbol, s.tf)
) done
WHERE done.at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Activity:
    """What the last days of every analysed series brought.

    Attributes:
        breaks: Breaks of structure.
        zones: Zones that were created (inversions not counted).
        active: How many of those are still active.
        signals: Signals by agent, in the order of names.
    """

    breaks: int
    zones: int
    active: int
    signals: Mapping[str, int]


def activity(conn: psycopg.Connection, *, days: int) -> Activity:
    """Count what became known in the last `days` of each series' analysis."""
    breaks = zones = active = 0
    signals: dict[str, int] = {}
    with translated("count what the analysis found"):
        for venue, symbol, tf, end in conn.execute(_ENDS).fetchall():
            key = SeriesKey(venue, symbol, tf)
            window: dict[str, Any] = {"venue": venue, "symbol": symbol, "tf": str(key.tf), "end": end}
            window["start"] = end - timedelta(days=days)
            row = conn.execute(_COUNTS, window).fetchone()
            found = (0, 0, 0) if row is None else row
            breaks, zones, active = breaks + found[0], zones + found[1], active + found[2]
            for agent, count in conn.execute(_SIGNALS, window).fetchall():
                signals[agent] = signals.get(agent, 0) + count
    return Activity(breaks, zones, active, dict(sorted(signals.items())))

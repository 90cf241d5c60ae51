"""What holds for zones and inversions, and between them and the events that are the truth of their lives.

A life is checked in the month it began in, whenever it ended; an event in the month it happened in. At most one event
a bar stands, so what happened at the bar of the end is told by the end alone (engine-spec, section 5).
"""

from assets.checks.suites import Expectation, Rows, Suite, unexpected, where

ZONES = Rows("analysis.zones", "created_ts", known=True)
INVERSIONS = Rows("analysis.inversions", "created_ts", known=True)
ZONE_EVENTS = Rows("analysis.zone_events", "ts", known=True)

_SERIES = "x.venue = bar.venue AND x.symbol = bar.symbol AND x.tf = bar.tf"
_LIFE = (
    "first_touch_ts <= created_ts OR first_touch_ts > ended_ts OR ended_ts < created_ts "
    "OR (status = 'ACTIVE') <> (ended_ts IS NULL) OR (touches = 0) <> (first_touch_ts IS NULL) OR touches < 0 "
    "OR status = 'EXPIRED' AND ended_ts < created_ts + expiry_bars * length"
)
_SHOWN_LIFE = "kind, side, touches, first_touch_ts, status, ended_ts"


def _due(parent: str) -> str:
    """The events that a life must have left and that are not there; `parent` is the condition on the event's parent."""
    return f"""
WITH bar AS (SELECT * FROM {{batch}})
SELECT bar.venue, bar.symbol, bar.tf, due.ts, kind, created_ts, due.event
FROM bar, LATERAL (VALUES (created_ts, 'CREATED'), (first_touch_ts, 'TOUCHED'), (ended_ts, status)) AS due (ts, event)
WHERE due.ts IS NOT NULL AND (due.event = status OR due.ts IS DISTINCT FROM ended_ts) AND NOT EXISTS (
    SELECT FROM analysis.zone_events x
    WHERE {_SERIES} AND x.kind = bar.kind AND x.created_ts = bar.created_ts AND {parent}
      AND x.ts = due.ts AND x.event = due.event
)
"""  # noqa: S608 - constants


_LIKE_PARENT = f"""
WITH bar AS (SELECT * FROM {{batch}})
SELECT venue, symbol, tf, created_ts, kind, side, price_lo, price_hi, strength, parent_created_ts
FROM bar WHERE NOT EXISTS (
    SELECT FROM analysis.zones x
    WHERE {_SERIES} AND x.kind = CASE bar.kind WHEN 'BREAKER' THEN 'OB' ELSE 'FVG' END
      AND x.created_ts = bar.parent_created_ts AND x.status = 'MITIGATED' AND x.ended_ts = bar.created_ts
      AND x.side <> bar.side AND (x.price_lo, x.price_hi, x.strength) = (bar.price_lo, bar.price_hi, bar.strength)
)
"""  # noqa: S608 - constants

# The event before is mostly one of the batch; it is looked up, row by row, only where a life began before the window.
_EARLIER = f"""CASE WHEN bar.before IS NULL AND bar.ts > bar.created_ts THEN (
    SELECT ARRAY[x.event, x.touches::text] FROM analysis.zone_events x
    WHERE {_SERIES} AND x.kind = bar.kind AND x.created_ts = bar.created_ts AND x.ts < bar.ts
      AND x.parent_created_ts IS NOT DISTINCT FROM bar.parent_created_ts
    ORDER BY x.ts DESC LIMIT 1
) END"""  # noqa: S608 - constants
_ORDER = f"""
WITH bar AS (
    SELECT *, lag(event) OVER life AS before, lag(touches) OVER life AS touches_before
    FROM {{batch}}
    WINDOW life AS (PARTITION BY series, kind, created_ts, parent_created_ts ORDER BY ts)
), told AS (
    SELECT bar.*, {_EARLIER} AS earlier FROM bar
), followed AS (
    SELECT venue, symbol, tf, ts, kind, created_ts, event, touches, coalesce(before, earlier[1]) AS after_event,
           coalesce(touches_before, earlier[2]::int) AS after_touches
    FROM told
)
SELECT * FROM followed
WHERE touches < after_touches OR NOT CASE event
    WHEN 'CREATED' THEN ts = created_ts AND after_event IS NULL
    WHEN 'TOUCHED' THEN after_event IS NOT DISTINCT FROM 'CREATED'
    ELSE coalesce(after_event IN ('CREATED', 'TOUCHED'), ts = created_ts)
END
"""  # noqa: S608 - constants

# Joins and not subqueries, so that the planner may read a window row by row and a year in one go.
_UNMATCHED = f"""
WITH bar AS (SELECT * FROM {{batch}})
SELECT bar.venue, bar.symbol, bar.tf, bar.ts, bar.kind, bar.created_ts, bar.parent_created_ts, bar.event, bar.touches
FROM bar
LEFT JOIN analysis.zones x
    ON bar.parent_created_ts IS NULL AND {_SERIES} AND x.kind = bar.kind AND x.created_ts = bar.created_ts
LEFT JOIN analysis.inversions y
    ON {_SERIES.replace("x.", "y.")} AND y.kind = bar.kind AND y.created_ts = bar.created_ts
   AND y.parent_created_ts = bar.parent_created_ts
WHERE NOT coalesce(CASE bar.event
    WHEN 'CREATED' THEN coalesce(x.status, y.status) IS NOT NULL
    WHEN 'TOUCHED' THEN coalesce(x.first_touch_ts, y.first_touch_ts) = bar.ts
    ELSE (coalesce(x.status, y.status), coalesce(x.ended_ts, y.ended_ts), coalesce(x.touches, y.touches))
         = (bar.event, bar.ts, bar.touches)
END, false)
"""  # noqa: S608 - constants

ZONE_SUITE = Suite(
    "zones",
    {
        "bounds_ordered": Expectation(
            "zones",
            "The lower edge of a zone is above zero and below its upper edge.",
            ZONES,
            where("price_lo <= 0 OR price_hi <= price_lo", show="kind, side, price_lo, price_hi", time="created_ts"),
        ),
        "zone_life": Expectation(
            "zones",
            "A zone is known after its origin, touched after that, ended last, and its status says whether it ended.",
            ZONES,
            where(f"origin_ts >= created_ts OR {_LIFE}", show=f"origin_ts, {_SHOWN_LIFE}", time="created_ts"),
        ),
        "zone_has_its_events": Expectation(
            "zones",
            "Creation, first touch and end of a zone each left their event.",
            ZONES,
            unexpected(_due("x.parent_created_ts IS NULL")),
        ),
        "inversion_life": Expectation(
            "inversions",
            "An inversion is touched after it was created, ended last, and its status says whether it ended.",
            INVERSIONS,
            where(_LIFE, show=_SHOWN_LIFE, time="created_ts"),
        ),
        "inversion_like_parent": Expectation(
            "inversions",
            "An inversion begins where its parent was mitigated, with its edges and strength, on the other side.",
            INVERSIONS,
            unexpected(_LIKE_PARENT),
        ),
        "inversion_has_its_events": Expectation(
            "inversions",
            "Creation, first touch and end of an inversion each left their event.",
            INVERSIONS,
            unexpected(_due("x.parent_created_ts = bar.parent_created_ts")),
        ),
        "events_in_order": Expectation(
            "zone_events",
            "The events of a life are its creation, at most one touch, at most one end, and touches only grow.",
            ZONE_EVENTS,
            unexpected(_ORDER),
        ),
        "events_match_lives": Expectation(
            "zone_events",
            "Every event belongs to a zone or inversion that says the same.",
            ZONE_EVENTS,
            unexpected(_UNMATCHED),
        ),
    },
)

"""What holds for stored funding settlements; a Special one is outside the rhythm, it neither keeps nor breaks it."""

from assets.checks.suites import Expectation, Rows, Suite, unexpected

PLAUSIBLE = 0.05
"""Share of a position's value beyond which the rate of one settlement is flagged."""
# No perpetual has a longer rhythm; where a symbol's is shorter, a missing settlement shows against its neighbours.
_LONGEST_HOURS = 8

FUNDING = Rows("market.funding_rates", "funding_time", by_series=False)
REFUSED = Rows("market.quarantine", "coalesce(open_time, seen_at)", by_series=False)

_OTHERS = "x.venue = bar.venue AND x.symbol = bar.symbol AND x.rate_type = 'Regular'"

_INTERVALS = f"""
WITH bar AS (SELECT * FROM {{batch}})
SELECT bar.venue, bar.symbol, bar.funding_time, bar.rate_type, bar.interval_hours, before.hours AS realised
FROM bar LEFT JOIN LATERAL (
    SELECT round(extract(epoch FROM bar.funding_time - max(x.funding_time)) / 3600)::integer AS hours
    FROM market.funding_rates x WHERE {_OTHERS} AND x.funding_time < bar.funding_time
) AS before ON true
WHERE bar.interval_hours IS DISTINCT FROM before.hours
"""  # noqa: S608 - constants

_MISSING = f"""
WITH bar AS (SELECT * FROM {{batch}} WHERE rate_type = 'Regular')
SELECT bar.venue, bar.symbol, bar.funding_time, bar.interval_hours, before.hours AS before, after.hours AS after
FROM bar LEFT JOIN LATERAL (
    SELECT x.interval_hours AS hours FROM market.funding_rates x
    WHERE {_OTHERS} AND x.funding_time < bar.funding_time ORDER BY x.funding_time DESC LIMIT 1
) AS before ON true LEFT JOIN LATERAL (
    SELECT x.interval_hours AS hours FROM market.funding_rates x
    WHERE {_OTHERS} AND x.funding_time > bar.funding_time ORDER BY x.funding_time LIMIT 1
) AS after ON true
WHERE bar.interval_hours > {_LONGEST_HOURS}
   OR bar.interval_hours > before.hours AND bar.interval_hours > after.hours
"""  # noqa: S608 - constants


def _funding(text: str, query: str, *, rows: Rows = FUNDING, blocking: bool = True) -> Expectation:
    return Expectation("funding_rates", text, rows, unexpected(query), blocking=blocking)


FUNDING_SUITE = Suite(
    "funding",
    {
        "on_the_hour": _funding(
            "Every regular settlement is on a full hour.",
            "SELECT venue, symbol, funding_time, rate_type, rate FROM {batch} "
            "WHERE rate_type = 'Regular' AND date_trunc('hour', funding_time) <> funding_time",
        ),
        "no_repeated_time": _funding(
            "No time is claimed by two regular settlements.",
            "SELECT venue, symbol, funding_time, count(*) AS rows FROM {batch} WHERE rate_type = 'Regular' "
            "GROUP BY venue, symbol, funding_time HAVING count(*) > 1",
        ),
        "interval_as_realised": _funding(
            "interval_hours is the time since the regular settlement before, null where none is known.", _INTERVALS
        ),
        # What the exchange left out nobody can fill, and a rate may be extreme: both are told, and nothing waits.
        "no_missing_settlement": _funding(
            f"No interval is longer than {_LONGEST_HOURS} hours, or than both of its neighbours.",
            _MISSING,
            blocking=False,
        ),
        "rate_plausible": Expectation(
            "funding_rates",
            f"No rate is beyond {PLAUSIBLE:.0%} of the position in either direction.",
            FUNDING,
            {"column": "rate", "min_value": -PLAUSIBLE, "max_value": PLAUSIBLE},
            kind="ExpectColumnValuesToBeBetween",
            blocking=False,
        ),
        "nothing_quarantined": _funding(
            "The exchange delivered no settlement that had to be refused.",
            "SELECT venue, symbol, coalesce(open_time, seen_at) AS at, reason, source, payload, origin "
            "FROM {batch} WHERE tf = 'funding'",
            rows=REFUSED,
            blocking=False,
        ),
    },
)

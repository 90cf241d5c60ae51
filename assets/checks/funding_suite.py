"""What holds for stored funding settlements; a Special one is outside the rhythm, it neither keeps nor breaks it.

What is missing can only be told against what is stored beside it. `no_missing_settlement` finds an interval longer than
any perpetual has, or than both of its neighbours; intervals of twice the length that last less than 14 days, between
stretches of one and the same rhythm; and the edges of a month: a first known settlement later than an interval after
its beginning (or the first stored candle), and a last known one (also months before) more than an interval before its
end. An end is judged where it lies in the past and stored candles, if there are any, reach it.

It cannot tell every other settlement left out for 14 days or more from a rhythm that changed, two or three left out
time and again from a rhythm of their own, what was left out right where the rhythm changes, nor anything of an
instrument of which no settlement is stored at all. It takes a rhythm that was doubled for some days for settlements
left out: so it warns, and stops nothing.
"""

from assets.checks.suites import Expectation, Rows, Suite, unexpected

PLAUSIBLE = 0.05
"""Share of a position's value beyond which the rate of one settlement is flagged."""
# No perpetual has a longer rhythm; where a symbol's is shorter, a missing settlement shows against its neighbours.
_LONGEST_HOURS = 8
# A rhythm that stands this long is one; what is shorter is a stretch of settlements left out.
_LASTING_HOURS = 14 * 24
# Where a refused row has no readable time, its origin ends with the month of the file or of what was asked.
_MONTH = "(-| )([0-9][0-9][0-9][0-9]-[0-1][0-9])([.]zip)?$"

FUNDING = Rows("market.funding_rates", "funding_time", by_series=False)
REFUSED = Rows(
    "market.quarantine",
    f"coalesce(open_time, ((regexp_match(origin, '{_MONTH}'))[2] || '-01T00:00Z')::timestamptz, seen_at)",
    by_series=False,
)

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

# `settled`: the settlements in and around each span, the first behind it included however late it comes. `run`:
# intervals of one length that follow each other.
_MISSING = f"""
WITH span AS (
    SELECT span.*, known.traded, least(now(), known.reached) AS reached
    FROM {{spans}} AS span LEFT JOIN (
        SELECT s.venue, s.symbol, min(first.open_time) AS traded,
               max(last.close_time + interval '1 millisecond') AS reached
        FROM {{series}} AS s, LATERAL (
            SELECT c.open_time FROM market.candles c
            WHERE c.venue = s.venue AND c.symbol = s.symbol AND c.tf = s.tf ORDER BY c.open_time LIMIT 1
        ) AS first, LATERAL (
            SELECT c.close_time FROM market.candles c
            WHERE c.venue = s.venue AND c.symbol = s.symbol AND c.tf = s.tf ORDER BY c.open_time DESC LIMIT 1
        ) AS last
        GROUP BY s.venue, s.symbol
    ) AS known USING (venue, symbol)
), settled AS (
    SELECT span.*, bar.funding_time, bar.interval_hours AS hours
    FROM span JOIN (SELECT * FROM {{batch}}) AS bar USING (venue, symbol)
    WHERE bar.rate_type = 'Regular' AND bar.funding_time >= span.starts AND bar.funding_time < span.ends
    UNION
    SELECT bar.*, x.funding_time, x.interval_hours FROM span AS bar, market.funding_rates x
    WHERE {_OTHERS} AND x.funding_time >= bar.starts - interval '{_LASTING_HOURS} hours'
      AND x.funding_time <= greatest(bar.ends + interval '{_LASTING_HOURS} hours', (
          SELECT min(y.funding_time) FROM market.funding_rates y
          WHERE y.venue = bar.venue AND y.symbol = bar.symbol AND y.rate_type = 'Regular' AND y.funding_time >= bar.ends
      ))
), turned AS (
    SELECT *, hours IS DISTINCT FROM lag(hours) OVER (PARTITION BY venue, symbol, starts ORDER BY funding_time) AS turns
    FROM settled
), timed AS (
    SELECT *, count(*) FILTER (WHERE turns) OVER (PARTITION BY venue, symbol, starts ORDER BY funding_time) AS run
    FROM turned
), run AS (
    SELECT venue, symbol, starts, run, min(hours) AS hours, count(*) AS times,
           lag(min(hours)) OVER (PARTITION BY venue, symbol, starts ORDER BY run) AS before,
           lead(min(hours)) OVER (PARTITION BY venue, symbol, starts ORDER BY run) AS after
    FROM timed GROUP BY venue, symbol, starts, run
)
SELECT venue, symbol, funding_time, timed.hours AS interval_hours, before, after, 'before it' AS missing
FROM timed JOIN run USING (venue, symbol, starts, run)
WHERE funding_time >= starts AND funding_time - make_interval(hours => timed.hours) < ends
  AND (timed.hours > {_LONGEST_HOURS} OR times = 1 AND timed.hours > before AND timed.hours > after
       OR timed.hours = 2 * before AND before = after AND times * timed.hours < {_LASTING_HOURS})
UNION ALL
SELECT venue, symbol, funding_time, NULL, NULL, after, 'before the first'
FROM timed JOIN run USING (venue, symbol, starts, run)
WHERE timed.hours IS NULL AND funding_time >= starts AND funding_time < ends
  AND funding_time - greatest(starts, coalesce(traded, starts)) > make_interval(hours => after)
UNION ALL
SELECT venue, symbol, last.funding_time, last.interval_hours, NULL, NULL, 'after the last'
FROM span AS bar, LATERAL (
    SELECT x.funding_time, coalesce(x.interval_hours, {_LONGEST_HOURS}) AS interval_hours
    FROM market.funding_rates x WHERE {_OTHERS} ORDER BY x.funding_time DESC LIMIT 1
) AS last
WHERE ends <= reached AND ends - last.funding_time > make_interval(hours => last.interval_hours)
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
            "No time is claimed by two settlements of one kind, nor by two of the archive, which lists each once.",
            "SELECT venue, symbol, funding_time, count(*) AS rows FROM {batch} "
            "GROUP BY venue, symbol, funding_time "
            "HAVING count(*) > count(DISTINCT rate_type) OR count(*) FILTER (WHERE source = 'archive') > 1",
        ),
        "interval_as_realised": _funding(
            "interval_hours is the time since the regular settlement before, null where none is known.", _INTERVALS
        ),
        # What the exchange left out nobody can fill, and a rate may be extreme: both are told, and nothing waits.
        "no_missing_settlement": _funding(
            "Every settlement is there that its neighbours, and the edges of a closed month, let one expect.",
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
            f"SELECT venue, symbol, {REFUSED.time} AS at, reason, source, payload, origin "  # noqa: S608 - constants
            "FROM {batch} WHERE tf = 'funding'",
            rows=REFUSED,
            blocking=False,
        ),
    },
)

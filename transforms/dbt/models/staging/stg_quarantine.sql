select
    id,
    venue,
    symbol,
    tf,
    open_time,
    source,
    origin,
    payload,
    reason,
    seen_at,
    -- As the check `nothing_quarantined` places it (assets/checks/candle_suite.py).
    coalesce(
        open_time,
        to_date(
            (regexp_match(origin, '([0-9][0-9][0-9][0-9]-[0-1][0-9](-[0-3][0-9])?)([.]zip)?$'))[1], 'YYYY-MM-DD'
        )::timestamp at time zone 'UTC',
        seen_at
    ) as placed_at
from {{ source('market', 'quarantine') }}

select
    venue,
    symbol,
    tf,
    from_time,
    to_time,
    bars,
    cause,
    first_seen,
    resolved_at
from {{ source('market', 'candle_gaps') }}

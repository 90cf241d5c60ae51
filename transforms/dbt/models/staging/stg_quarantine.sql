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
    seen_at
from {{ source('market', 'quarantine') }}

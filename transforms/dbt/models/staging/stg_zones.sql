select
    venue,
    symbol,
    tf,
    kind,
    side,
    price_lo,
    price_hi,
    created_ts,
    origin_ts,
    origin_event,
    strength,
    expiry_bars,
    touches,
    first_touch_ts,
    status,
    ended_ts
from {{ source('analysis', 'zones') }}

select
    venue,
    symbol,
    tf,
    ts,
    regime,
    vol_state
from {{ source('analysis', 'regimes') }}

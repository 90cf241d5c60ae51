select
    venue,
    symbol,
    tf,
    month,
    rows,
    sha256,
    chain,
    computed_at
from {{ source('market', 'candle_digests') }}

select
    venue,
    symbol,
    tf,
    sub_tf,
    enabled,
    live
from {{ source('market', 'series') }}

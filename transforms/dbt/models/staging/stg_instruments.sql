select
    venue,
    symbol,
    contract_type,
    base,
    quote,
    listed_at,
    delisted_at,
    status
from {{ source('market', 'instruments') }}

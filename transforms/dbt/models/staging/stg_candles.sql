select
    venue,
    symbol,
    tf,
    open_time,
    close_time,
    open,
    high,
    low,
    close,
    volume,
    trades,
    taker_buy_vol,
    quote_vol,
    source,
    ingested_at
from {{ source('market', 'candles') }}

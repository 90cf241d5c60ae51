select
    venue,
    symbol,
    tf,
    open_time,
    open,
    high,
    low,
    close,
    volume,
    trades,
    taker_buy_vol,
    quote_vol,
    source,
    lost,
    seen_at,
    superseded_at
from {{ source('market', 'candle_revisions') }}

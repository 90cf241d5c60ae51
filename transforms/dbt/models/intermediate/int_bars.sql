select
    venue,
    symbol,
    tf,
    open_time,
    close_time + interval '1 millisecond' as ts,
    open::float8 as open,
    high::float8 as high,
    low::float8 as low,
    close::float8 as close
from {{ ref('stg_candles') }}

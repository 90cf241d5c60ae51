with series as (
    select * from {{ ref('stg_series') }}
)

select
    series.venue,
    series.symbol,
    series.tf,
    series.venue || ':' || series.symbol || ':' || series.tf as series_key,
    {{ minutes('series.tf') }} as tf_minutes,
    series.sub_tf,
    series.enabled,
    series.live,
    instrument.contract_type,
    instrument.base,
    instrument.quote,
    instrument.status,
    instrument.listed_at,
    instrument.delisted_at,
    first_candle.open_time as first_open_time,
    last_candle.open_time as last_open_time,
    last_row.ts as analysed_until
from series
left join {{ ref('stg_instruments') }} as instrument
    on series.venue = instrument.venue and series.symbol = instrument.symbol
left join lateral (
    select candle.open_time from {{ ref('stg_candles') }} as candle
    where candle.venue = series.venue and candle.symbol = series.symbol and candle.tf = series.tf
    order by candle.open_time limit 1
) as first_candle on true
left join lateral (
    select candle.open_time from {{ ref('stg_candles') }} as candle
    where candle.venue = series.venue and candle.symbol = series.symbol and candle.tf = series.tf
    order by candle.open_time desc limit 1
) as last_candle on true
left join lateral (
    select indicator.ts from {{ ref('stg_indicators') }} as indicator
    where indicator.venue = series.venue and indicator.symbol = series.symbol and indicator.tf = series.tf
    order by indicator.ts desc limit 1
) as last_row on true

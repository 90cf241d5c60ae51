{% set windows = windows() %}

with candles as (
    select * from {{ inside(ref('stg_candles'), windows, 'open_time', '>=') }} as c
),

days as (
    select
        venue,
        symbol,
        tf,
        {{ utc_day('open_time') }} as day,
        min(open_time) as first_open_time,
        max(open_time) as last_open_time,
        max(high) as high,
        min(low) as low,
        sum(volume) as volume,
        sum(quote_vol) as quote_vol,
        sum(taker_buy_vol) as taker_buy_vol,
        sum(trades) as trades,
        count(*) as bars,
        count(*) filter (where source = 'archive') as archive_bars,
        count(*) filter (where source = 'rest') as rest_bars,
        count(*) filter (where source = 'ws') as ws_bars,
        count(*) filter (
            where not (
                0 < low and low <= least(open, close) and greatest(open, close) <= high
                and 0 <= taker_buy_vol and taker_buy_vol <= volume and 0 <= quote_vol
                and close_time = open_time + make_interval(mins => {{ minutes('tf') }}) - interval '1 millisecond'
            )
        ) as failed_bars,
        max(ingested_at) as last_ingested_at
    from candles
    group by 1, 2, 3, 4
)

select
    days.venue,
    days.symbol,
    days.tf,
    days.day,
    opening.open,
    days.high,
    days.low,
    closing.close,
    days.volume,
    days.quote_vol,
    days.taker_buy_vol,
    days.trades,
    days.quote_vol / nullif(days.volume, 0) as vwap,
    (100 * (days.high - days.low) / nullif(opening.open, 0))::float8 as range_pct,
    (100 * (closing.close - opening.open) / nullif(opening.open, 0))::float8 as change_pct,
    days.bars,
    1440 / {{ minutes('days.tf') }} as slots,
    days.archive_bars,
    days.rest_bars,
    days.ws_bars,
    days.failed_bars,
    days.first_open_time,
    days.last_open_time,
    days.last_ingested_at
from days
inner join {{ ref('stg_candles') }} as opening
    on days.venue = opening.venue and days.symbol = opening.symbol and days.tf = opening.tf
    and days.first_open_time = opening.open_time
inner join {{ ref('stg_candles') }} as closing
    on days.venue = closing.venue and days.symbol = closing.symbol and days.tf = closing.tf
    and days.last_open_time = closing.open_time

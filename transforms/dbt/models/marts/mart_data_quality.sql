{% set windows = windows() %}

with days as (
    select
        venue,
        symbol,
        tf,
        date_trunc('month', day::timestamp)::date as month,
        sum(bars) as bars,
        sum(archive_bars) as archive_bars,
        sum(rest_bars) as rest_bars,
        sum(ws_bars) as ws_bars,
        sum(failed_bars) as failed_bars
    from {{ inside(ref('fct_candles_daily'), windows, 'day', '>=') }} as d
    group by 1, 2, 3, 4
),

holes as (
    select
        venue,
        symbol,
        tf,
        month,
        sum(bars) filter (where cause = 'exchange') as holes_exchange,
        sum(bars) filter (where cause = 'unlisted') as holes_unlisted,
        sum(bars) filter (where cause = 'archive') as holes_archive,
        sum(bars) filter (where cause = 'quarantined') as holes_quarantined,
        sum(bars) filter (where cause = 'pending') as holes_pending
    from {{ inside(ref('int_holes_monthly'), windows, 'month', '>=') }} as h
    group by 1, 2, 3, 4
),

-- A disagreement: another source said other values than those that stand. What was lost had a better source against it,
-- even where an equal arrival before that one had left its own name on the candle.
revisions as (
    select
        revision.venue,
        revision.symbol,
        revision.tf,
        {{ utc_month('revision.open_time') }} as month,
        count(*) filter (where not revision.lost) as revisions,
        count(*) filter (where revision.lost) as lost_arrivals,
        count(distinct revision.open_time) filter (
            where (revision.lost or revision.source <> candle.source)
            and (
                revision.open, revision.high, revision.low, revision.close,
                revision.volume, revision.trades, revision.taker_buy_vol, revision.quote_vol
            ) <> (
                candle.open, candle.high, candle.low, candle.close,
                candle.volume, candle.trades, candle.taker_buy_vol, candle.quote_vol
            )
        ) as disagreements
    from {{ inside(ref('stg_candle_revisions'), windows, 'open_time', '>=') }} as revision
    left join {{ ref('stg_candles') }} as candle
        on revision.venue = candle.venue and revision.symbol = candle.symbol and revision.tf = candle.tf
        and revision.open_time = candle.open_time
    group by 1, 2, 3, 4
),

refused as (
    select
        venue,
        symbol,
        tf,
        {{ utc_month('placed_at') }} as month,
        count(*) as quarantined
    from {{ inside(ref('stg_quarantine'), windows, 'placed_at', '>=') }} as q
    group by 1, 2, 3, 4
)

select
    venue,
    symbol,
    tf,
    month,
    coalesce(days.bars, 0)::bigint as bars,
    coalesce(days.archive_bars, 0)::bigint as archive_bars,
    coalesce(days.rest_bars, 0)::bigint as rest_bars,
    coalesce(days.ws_bars, 0)::bigint as ws_bars,
    coalesce(days.failed_bars, 0)::bigint as failed_bars,
    coalesce(holes.holes_exchange, 0)::bigint as holes_exchange,
    coalesce(holes.holes_unlisted, 0)::bigint as holes_unlisted,
    coalesce(holes.holes_archive, 0)::bigint as holes_archive,
    coalesce(holes.holes_quarantined, 0)::bigint as holes_quarantined,
    coalesce(holes.holes_pending, 0)::bigint as holes_pending,
    coalesce(revisions.revisions, 0)::bigint as revisions,
    coalesce(revisions.lost_arrivals, 0)::bigint as lost_arrivals,
    coalesce(revisions.disagreements, 0)::bigint as disagreements,
    coalesce(refused.quarantined, 0)::bigint as quarantined
from days
full join holes using (venue, symbol, tf, month)
full join revisions using (venue, symbol, tf, month)
full join refused using (venue, symbol, tf, month)

{% set windows = windows() %}

with days as (
    select
        venue,
        symbol,
        tf,
        date_trunc('month', day::timestamp)::date as month,
        sum(bars) as bars,
        min(first_open_time) as first_open_time,
        max(last_open_time) as last_open_time
    from {{ inside(ref('fct_candles_daily'), windows, 'day', '>=') }} as d
    group by 1, 2, 3, 4
),

-- What the archive lacks was filled elsewhere: it is no hole of ours.
holes as (
    select
        venue,
        symbol,
        tf,
        month,
        sum(bars) as bars,
        sum(bars) filter (where cause = 'pending') as pending,
        max(to_time) as to_time
    from {{ inside(ref('int_holes_monthly'), windows, 'month', '>=') }} as h
    where cause <> 'archive'
    group by 1, 2, 3, 4
),

digests as (
    select * from {{ inside(ref('stg_candle_digests'), windows, 'month', '>=') }} as c
),

-- A month without a single candle has its row too, where the series goes on behind it.
calendar as (
    select
        venue,
        symbol,
        tf,
        first_day::date as month
    from {{ inside(ref('dim_series'), windows, 'first_open_time', '>=') }} as series
    cross join lateral generate_series(
        {{ utc_month('first_open_time') }}, {{ utc_month('last_open_time') }}, interval '1 month'
    ) as first_day
    union
    select venue, symbol, tf, month from holes
),

months as (
    select
        venue,
        symbol,
        tf,
        month,
        coalesce(days.bars, 0)::bigint as bars,
        coalesce(holes.bars, 0)::bigint as explained,
        coalesce(holes.pending, 0)::bigint as pending,
        days.first_open_time,
        days.last_open_time,
        month::timestamp at time zone 'UTC' as month_start,
        (month + interval '1 month') at time zone 'UTC' as month_end,
        holes.to_time
    from calendar
    left join days using (venue, symbol, tf, month)
    left join holes using (venue, symbol, tf, month)
),

-- A month is due as a whole once the series goes on behind it, before that up to its last candle or hole.
due as (
    select
        months.*,
        case
            when series.last_open_time >= months.month_end then months.month_end
            else greatest(
                months.last_open_time + make_interval(mins => series.tf_minutes), months.to_time, months.month_start
            )
        end as due_until,
        series.tf_minutes
    from months
    inner join {{ ref('dim_series') }} as series using (venue, symbol, tf)
)

select
    due.venue,
    due.symbol,
    due.tf,
    due.month,
    slots.amount as slots,
    due.bars,
    due.explained as explained_holes,
    due.pending as pending_holes,
    slots.amount - due.bars - due.explained as unexplained_holes,
    due.bars::float8 / nullif(slots.amount, 0) as coverage,
    due.due_until = due.month_end and slots.amount = due.bars + due.explained and due.pending = 0 as is_complete,
    due.first_open_time,
    due.last_open_time,
    digests.rows = due.bars as digest_has_all_bars,
    digests.chain
from due
cross join lateral (
    select ceil(extract(epoch from due.due_until - due.month_start) / 60 / due.tf_minutes)::bigint as amount
) as slots
left join digests
    on due.venue = digests.venue and due.symbol = digests.symbol and due.tf = digests.tf and due.month = digests.month

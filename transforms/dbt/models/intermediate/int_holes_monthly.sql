-- A hole is cut where a month ends, so that each month knows its own part.
select
    gap.venue,
    gap.symbol,
    gap.tf,
    first_day::date as month,
    gap.cause,
    greatest(gap.from_time, first_day at time zone 'UTC') as from_time,
    least(gap.to_time, (first_day + interval '1 month') at time zone 'UTC') as to_time,
    ceil(
        extract(epoch from
            least(gap.to_time, (first_day + interval '1 month') at time zone 'UTC')
            - greatest(gap.from_time, first_day at time zone 'UTC')
        ) / 60 / {{ minutes('gap.tf') }}
    )::bigint as bars
from {{ ref('stg_candle_gaps') }} as gap
cross join lateral generate_series(
    date_trunc('month', gap.from_time at time zone 'UTC'),
    date_trunc('month', (gap.to_time - interval '1 microsecond') at time zone 'UTC'),
    interval '1 month'
) as first_day

select
    instant::date as day,
    date_trunc('week', instant)::date as week,
    date_trunc('month', instant)::date as month,
    date_trunc('quarter', instant)::date as quarter,
    extract(year from instant)::int as year,
    extract(isodow from instant)::int as weekday,
    to_char(instant, 'Dy') as weekday_name,
    extract(isodow from instant) >= 6 as is_weekend,
    (instant + interval '1 day')::date = (date_trunc('month', instant) + interval '1 month')::date as is_month_end
from generate_series(
    timestamp '2017-08-01',
    date_trunc('year', now() at time zone 'UTC') + interval '2 years' - interval '1 day',
    interval '1 day'
) as instant

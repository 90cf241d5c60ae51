{#
  The project's tests. Each looks at the window of the run alone, so that it costs the same however long the history is;
  at the whole instrument where the mart is small and written whole.
#}

{#
  The rows of a mart or of what it is made from that the run wrote. `column`, a day, a month or a ts (`at` = '>' for a
  ts), is cut at the run's start; `per: instrument` = all rows of the run's instrument, where it is written whole;
  neither = all rows.
#}
{% macro tested(relation, column, at, per=none) -%}
    (
        select * from {{ relation }}
        {%- if var('symbol') is not none and (column or per == 'instrument') %}
        where venue = {{ literal(var('venue')) }} and symbol = {{ literal(var('symbol')) }}
        {%- if var('start') is not none and column %} and {{ column }} {{ at }} {{ month_of(var('start')) }}{% endif %}
        {%- endif %}
    )
{%- endmacro %}

{# The month of an instant, as an instant: days and months are whole in it. #}
{% macro month_of(instant) -%}
    date_trunc('month', {{ literal(instant) }}::timestamptz at time zone 'UTC') at time zone 'UTC'
{%- endmacro %}

{# Every row fulfils a condition. #}
{% test holds(model, that, column=none, at='>=', per=none) %}
    select * from {{ tested(model, column, at, per) }} as rows_of_the_run
    where ({{ that }}) is not true
{% endtest %}

{# Every day but the last has the next one, and the last one is that of a year. #}
{% test without_a_missing_day(model, column) %}
    select * from (
        select {{ column }}, lead({{ column }}) over (order by {{ column }}) as following from {{ model }}
    ) as days
    where {{ column }} + 1 <> coalesce(following, date_trunc('year', {{ column }}::timestamp)::date + interval '1 year')
{% endtest %}

{#
  Each series that is kept has as many rows here as in what it was made from; or as much of each of the sums `counted`
  as of the sums `of_counted`.
#}
{% test same_count(model, of, column=none, of_column=none, counted=['1'], of_counted=['1'], at='>=', of_at='>=', per=none) %}
    select venue, symbol, tf, here.amounts as here, there.amounts as there
    from (
        select venue, symbol, tf, {{ sums_of(counted) }} as amounts
        from {{ tested(model, column, at, per) }} as h group by 1, 2, 3
    ) as here
    full join (
        select venue, symbol, tf, {{ sums_of(of_counted) }} as amounts
        from {{ tested(of, of_column, of_at, per) }} as t group by 1, 2, 3
        having (venue, symbol, tf) in (select venue, symbol, tf from {{ source('market', 'series') }})
    ) as there using (venue, symbol, tf)
    where here.amounts is distinct from there.amounts
{% endtest %}

{% macro sums_of(counted) -%}
    array[{% for each in counted %}sum({{ each }})::numeric{{ ', ' if not loop.last }}{% endfor %}]
{%- endmacro %}

{# What a reaction reached is a price that was traded, on the day of the touch or later. #}
{% test reaches_traded_prices(model, column, at) %}
    with days as (
        select
            venue, symbol, tf, day,
            max(high) over w as highest,
            min(low) over w as lowest
        from {{ tested(ref('fct_candles_daily'), 'day', '>=') }} as d
        window w as (partition by venue, symbol, tf order by day desc)
    )

    select zone.*, days.highest, days.lowest
    from {{ tested(model, column, at) }} as zone
    inner join days
        on zone.venue = days.venue and zone.symbol = days.symbol and zone.tf = days.tf
        and {{ utc_day("(zone.first_touch_ts - interval '1 microsecond')") }} = days.day
    where
        zone.reaction_atr > 0
        and case zone.side
            when 'DEMAND' then (zone.price_hi + (zone.reaction_atr * zone.atr14)::numeric) > days.highest * (1 + 1e-9)
            else (zone.price_lo - (zone.reaction_atr * zone.atr14)::numeric) < days.lowest * (1 - 1e-9)
        end
{% endtest %}

{# Every series of the rows is in dim_series. #}
{% test of_a_known_series(model, column=none, at='>=', per=none) %}
    select distinct venue, symbol, tf from {{ tested(model, column, at, per) }} as rows_of_the_run
    except
    select venue, symbol, tf from {{ ref('dim_series') }}
{% endtest %}

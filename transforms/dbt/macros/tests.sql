{#
  The project's tests. Each looks at the window of the run alone (all rows where there is none), so that it costs the
  same however long the history is.
#}

{# The rows inside the run's window: `column` is a day, a month or a ts (`at` = '>' for a ts); none = all rows. #}
{% macro tested(relation, column, at) -%}
    (
        select * from {{ relation }}
        {%- if var('symbol') is not none and column %}
        where venue = {{ literal(var('venue')) }} and symbol = {{ literal(var('symbol')) }}
        {%- if var('start') is not none %} and {{ column }} {{ at }} {{ month_of(var('start')) }}{% endif %}
        {%- endif %}
    )
{%- endmacro %}

{# The month of an instant, as an instant: days and months are whole in it. #}
{% macro month_of(instant) -%}
    date_trunc('month', {{ literal(instant) }}::timestamptz at time zone 'UTC') at time zone 'UTC'
{%- endmacro %}

{# Every row fulfils a condition. #}
{% test holds(model, that, column=none, at='>=') %}
    select * from {{ tested(model, column, at) }} as rows_of_the_run
    where ({{ that }}) is not true
{% endtest %}

{# Each series has as many rows here (or as much of the sum `counted`) as in what it was made from. #}
{% test same_count(model, column, of, of_column, counted='1', at='>=', of_counted='1', of_at='>=') %}
    select venue, symbol, tf, here.amount as here, there.amount as there
    from (
        select venue, symbol, tf, sum({{ counted }}) as amount from {{ tested(model, column, at) }} as h group by 1, 2, 3
    ) as here
    full join (
        select venue, symbol, tf, sum({{ of_counted }}) as amount from {{ tested(of, of_column, of_at) }} as t group by 1, 2, 3
    ) as there using (venue, symbol, tf)
    where coalesce(here.amount, 0) <> coalesce(there.amount, 0)
{% endtest %}

{# Every series of the rows is in dim_series. #}
{% test of_a_known_series(model, column=none, at='>=') %}
    select distinct venue, symbol, tf from {{ tested(model, column, at) }} as rows_of_the_run
    except
    select venue, symbol, tf from {{ ref('dim_series') }}
{% endtest %}

{# Minutes of a timeframe's name. #}
{% macro minutes(tf) -%}
    case {{ tf }}
        when '1m' then 1 when '3m' then 3 when '5m' then 5 when '15m' then 15 when '30m' then 30 when '1h' then 60
        when '2h' then 120 when '4h' then 240 when '6h' then 360 when '8h' then 480 when '12h' then 720 when '1d' then 1440
    end
{%- endmacro %}

{# The UTC day, or the first day of the UTC month, of an instant, whatever the session's time zone. #}
{% macro utc_day(instant) -%}
    ({{ instant }} at time zone 'UTC')::date
{%- endmacro %}

{% macro utc_month(instant) -%}
    date_trunc('month', {{ instant }} at time zone 'UTC')::date
{%- endmacro %}

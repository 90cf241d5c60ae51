{#
  The window of a run: the series of one instrument, each from an instant on, without end.

  A mart says in its `meta.window` which of its columns is cut (`column`), of what kind it is (`grain`: `ts`, `day` or
  `month`) and how many bars before the window still change with it (`lookback`). Inside its SQL and in the delete that
  comes before its insert the same instants are used, as literals: the planner sees an index range, TimescaleDB leaves
  out chunks. Rows are never older in the mart than the run before left them: a series goes on where the mart ends,
  wherever the run was asked to start.

  Where rows arrive late and nothing says since when (decisions, refusals, another source's word, a day measured again)
  a mart is small and written whole instead: all of the run's series (`whole: series`), or all rows of its instrument,
  be they of a series or not (`whole: instrument`). So every window gives what building everything gives.

  Marts of series hold those of market.series and no others: what is no longer kept there leaves them with the next run.
#}

{% macro literal(value) -%}
    '{{ value | string | replace("'", "''") }}'
{%- endmacro %}

{# What identifies the series of `row` (a row of `windows`) in a relation. #}
{% macro is_series(row, alias='') -%}
    {%- set at = alias ~ '.' if alias else '' -%}
    {{ at }}venue = {{ literal(row.venue) }} and {{ at }}symbol = {{ literal(row.symbol) }} and {{ at }}tf = {{ literal(row.tf) }}
{%- endmacro %}

{# Whether the run has a window and the model a table that can be cut: else everything is built. #}
{% macro is_windowed() %}
    {% if not execute or var('symbol') is none or not model.config.meta.window or not is_kept(this) %}
        {% do return(false) %}
    {% endif %}
    {% do return(true) %}
{% endmacro %}

{#
  The windows of the model that is being built: rows venue, symbol, tf, since (none = from the beginning). In a run with
  a window, a mart that is not there yet is built whole: every kept series from the beginning.
  none = everything of every series.
#}
{% macro windows() %}
    {% if not execute or var('symbol') is none or not model.config.meta.window %}
        {% do return(none) %}
    {% endif %}
    {% set window = model.config.meta.window %}
    {% if not is_kept(this) %}
        {% do return(rows_of("select venue, symbol, tf, null from " ~ source('market', 'series') ~ " order by 1, 2, 3")) %}
    {% endif %}
    {% if window.get('whole') == 'series' %}
        {% do return(rows_of("select venue, symbol, tf, null from " ~ source('market', 'series') ~ " " ~ of_the_instrument())) %}
    {% endif %}
    {% do return(rows_of(windows_sql(this, window.column, window.get('grain', 'ts'), window.get('lookback', 0)))) %}
{% endmacro %}

{# What a query of windows answers: venue, symbol, tf, since. #}
{% macro rows_of(query) %}
    {% set rows = [] %}
    {% for row in run_query(query).rows %}
        {% do rows.append({'venue': row[0], 'symbol': row[1], 'tf': row[2], 'since': row[3]}) %}
    {% endfor %}
    {% do return(rows) %}
{% endmacro %}

{# Series that a mart holds and the platform no longer keeps. It goes from series to series by the primary key. #}
{% macro gone_from(relation) %}
    {% do return(rows_of("
        with recursive held as (
            (select venue, symbol, tf from " ~ relation ~ " order by venue, symbol, tf limit 1)
            union all
            select following.* from held cross join lateral (
                select mart.venue, mart.symbol, mart.tf from " ~ relation ~ " as mart
                where (mart.venue, mart.symbol, mart.tf) > (held.venue, held.symbol, held.tf)
                order by mart.venue, mart.symbol, mart.tf limit 1
            ) as following
        )
        select venue, symbol, tf, null from held
        where (venue, symbol, tf) not in (select venue, symbol, tf from " ~ source('market', 'series') ~ ")
    ")) %}
{% endmacro %}

{#
  A lookback is a number of bars, or `zone_life`: how long a zone may live, and then 20 bars.
  The end of a mart is read from its primary key, which begins with the series and this column: by its last row, not by
  max (the planner may go through the whole series for it), and by the collation of its columns (the platform's tables
  have another one, and an index of this one is of no use to that).
#}
{% macro windows_sql(relation, column, grain, lookback) %}
    {% set wanted = literal(var('start')) ~ '::timestamptz' if var('start') is not none else "'-infinity'::timestamptz" %}
    {% set bars = zone_life() ~ ' + 20' if lookback == 'zone_life' else lookback %}
    with reached as materialized (
        select
            series.venue,
            series.symbol,
            series.tf,
            least(
                {{ wanted }},
                coalesce(
                    (select mart.{{ column }}::timestamp at time zone 'UTC' from {{ relation }} as mart
                     where mart.venue = {{ literal(var('venue')) }} and mart.symbol = {{ literal(var('symbol')) }}
                       and mart.tf = series.tf collate "default"
                     order by mart.{{ column }} desc limit 1),
                    '-infinity'
                )
            ) as from_bar
        from {{ source('market', 'series') }} as series
        where series.venue = {{ literal(var('venue')) }} and series.symbol = {{ literal(var('symbol')) }}
    ),

    looked_back as materialized (
        select
            venue,
            symbol,
            tf,
            {% if lookback == 0 %}
            from_bar as since
            {% else %}
            coalesce(
                (select candles.open_time from {{ source('market', 'candles') }} as candles
                 where candles.venue = reached.venue and candles.symbol = reached.symbol and candles.tf = reached.tf
                   and candles.open_time < reached.from_bar
                 order by candles.open_time desc offset {{ bars }} - 1 limit 1),
                '-infinity'
            ) as since
            {% endif %}
        from reached
    )

    select
        venue,
        symbol,
        tf,
        case when isfinite(since) then
            {% if grain in ('day', 'month') %}
            to_char(date_trunc('{{ grain }}', since at time zone 'UTC'), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            {% else %}
            to_char(since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            {% endif %}
        end as since
    from looked_back
    order by venue, symbol, tf
{% endmacro %}

{# For how many bars a zone may live, by the parameters of the engine that fills the analysis tables now. #}
{% macro zone_life() -%}
    (select coalesce((select (params ->> 'expiry_bars')::int from {{ source('analysis', 'engines') }}
                      order by live_since desc limit 1), 200))
{%- endmacro %}

{#
  The rows of a relation inside the windows, as a subquery; `at` says how its time column lies in them: `>=` for the
  open time of a bar, a day or a month, `>` for a ts (the close of a bar, so that of the first bar is after the start).
#}
{% macro inside(relation, windows, column, at) -%}
    {%- if windows is none -%}
    (select * from {{ relation }} where (venue, symbol, tf) in (select venue, symbol, tf from {{ source('market', 'series') }}))
    {%- elif not windows -%}
    (select * from {{ relation }} where false)
    {%- else -%}
    (
    {%- for row in windows %}
        select * from {{ relation }} where {{ is_series(row) }}
        {%- if row.since is not none %} and {{ column }} {{ at }} {{ literal(row.since) }}{% endif %}
        {%- if not loop.last %} union all {% endif %}
    {%- endfor %}
    )
    {%- endif -%}
{%- endmacro %}

{# The rows of the run's instrument; all of them where everything is built. #}
{% macro of_the_instrument() -%}
    {%- if is_windowed() -%}
    where venue = {{ literal(var('venue')) }} and symbol = {{ literal(var('symbol')) }}
    {%- endif -%}
{%- endmacro %}

{#
  One query a series of the windows, put together. `caller` is given the windows of that one series, so that relations
  are joined by time alone: comparing three texts for every pair of rows takes longer than all the rest. Where
  everything is built at once there is one query for all series, whose joins say the series too (`same_series`).
#}
{% macro each_series(windows) %}
    {% if windows is none %}
        {{ caller(none) }}
    {% elif not windows %}
        select * from ({{ caller(none) }}) as nothing where false
    {% else %}
        {% for row in windows %}
        ({{ caller([row]) }})
        {{ 'union all' if not loop.last }}
        {% endfor %}
    {% endif %}
{% endmacro %}

{% macro same_series(left, right, windows) -%}
    {%- if windows is none -%}
    {{ left }}.venue = {{ right }}.venue and {{ left }}.symbol = {{ right }}.symbol and {{ left }}.tf = {{ right }}.tf and
    {%- endif -%}
{%- endmacro %}

{% call(series) each_series(windows()) %}

with bars as (
    select
        venue,
        symbol,
        tf,
        ts,
        high,
        low,
        close,
        row_number() over ({{ 'partition by venue, symbol, tf' if series is none }} order by open_time) as n
    from {{ inside(ref('int_bars'), series, 'open_time', '>=') }} as b
),

last_bars as (
    select
        venue,
        symbol,
        tf,
        max(n) as n
    from bars
    group by venue, symbol, tf
),

zones as (
    select
        zone.*,
        zone.price_lo::float8 as lower_edge,
        zone.price_hi::float8 as upper_edge,
        indicator.atr14,
        regime.regime,
        regime.vol_state,
        created.n as created_n,
        touching.n as touch_n,
        case when touching.n is not null then least(last_bar.n - touching.n, 20) end as bars_after_touch,
        case zone.status when 'MITIGATED' then zone.ended_ts end as mitigated_ts,
        row_number() over () as id
    from {{ inside(ref('stg_zones'), series, 'created_ts', '>') }} as zone
    inner join {{ inside(ref('stg_indicators'), series, 'ts', '>') }} as indicator
        on {{ same_series('zone', 'indicator', series) }} zone.created_ts = indicator.ts
    inner join bars as created
        on {{ same_series('zone', 'created', series) }} zone.created_ts = created.ts
    inner join last_bars as last_bar
        on {{ same_series('zone', 'last_bar', series) }} true
    left join bars as touching
        on {{ same_series('zone', 'touching', series) }} zone.first_touch_ts = touching.ts
    left join {{ inside(ref('stg_regimes'), series, 'ts', '>') }} as regime
        on {{ same_series('zone', 'regime', series) }} zone.created_ts = regime.ts
),

-- The first close beyond the far edge mitigates a zone that lives. Whatever ended before its bars were over, or is not
-- analysed up to them, has nobody to say so: there the bars themselves are asked. Few are, so they are found first.
unseen as materialized (
    select zone.*
    from zones as zone
    inner join bars as last_watched
        on {{ same_series('zone', 'last_watched', series) }} zone.touch_n + zone.bars_after_touch = last_watched.n
    where zone.mitigated_ts is null and coalesce(zone.ended_ts <= last_watched.ts, true)
),

closed_unseen as (
    select
        zone.id,
        min(bar.ts) as ts
    -- `offset 0`: numbered first, joined then. Without statistics the planner would go through all bars for each zone.
    from (
        select
            unseen.*,
            generate_series(unseen.touch_n, unseen.touch_n + unseen.bars_after_touch) as watched_n
        from unseen
        offset 0
    ) as zone
    inner join bars as bar
        on {{ same_series('zone', 'bar', series) }} zone.watched_n = bar.n
    where case zone.side when 'DEMAND' then bar.close < zone.lower_edge else bar.close > zone.upper_edge end
    group by zone.id
),

touched as (
    select
        zone.id,
        zone.venue,
        zone.symbol,
        zone.tf,
        zone.side,
        zone.lower_edge,
        zone.upper_edge,
        zone.atr14,
        zone.first_touch_ts,
        zone.touch_n,
        zone.bars_after_touch,
        coalesce(zone.mitigated_ts, closed_unseen.ts) as closed_ts
    from zones as zone
    left join closed_unseen on zone.id = closed_unseen.id
    where zone.touch_n is not null
),

-- The bars after the touching one, up to the twentieth, that closed before the zone was closed through.
watched as (
    select
        zone.id,
        zone.watched_n - zone.touch_n as k,
        zone.atr14,
        case zone.side when 'DEMAND' then bar.high - zone.upper_edge else zone.lower_edge - bar.low end as distance
    from (
        select
            touched.*,
            -- Between two instants there are no more bars than slots of the grid.
            generate_series(touched.touch_n + 1, touched.touch_n + least(
                touched.bars_after_touch,
                (date_part('epoch', touched.closed_ts - touched.first_touch_ts) / 60 / {{ minutes('touched.tf') }})::bigint
            )) as watched_n
        from touched
        offset 0
    ) as zone
    inner join bars as bar
        on {{ same_series('zone', 'bar', series) }} zone.watched_n = bar.n
    where bar.ts < zone.closed_ts or zone.closed_ts is null
),

reactions as (
    select
        id,
        max(distance) as distance,
        min(k) filter (where distance >= atr14) as respected_after_bars
    from watched
    group by id
),

decided as (
    select
        zone.*,
        zone.bars_after_touch = 20
            or zone.touch_n is not null and coalesce(zone.mitigated_ts, closed_unseen.ts) is not null as is_decided,
        greatest(coalesce(reaction.distance, 0), 0) / zone.atr14 as reaction_atr,
        reaction.respected_after_bars
    from zones as zone
    left join closed_unseen on zone.id = closed_unseen.id
    left join reactions as reaction on zone.id = reaction.id
)

select
    venue,
    symbol,
    tf,
    kind,
    created_ts,
    side,
    price_lo,
    price_hi,
    origin_event,
    strength,
    regime,
    vol_state,
    atr14,
    (upper_edge - lower_edge) / atr14 as height_atr,
    status,
    ended_ts,
    touches,
    first_touch_ts is not null as was_touched,
    first_touch_ts,
    (touch_n - created_n)::int as bars_to_touch,
    bars_after_touch::int as bars_after_touch,
    case when is_decided then reaction_atr end as reaction_atr,
    case when is_decided then respected_after_bars is not null end as was_respected,
    case when is_decided then respected_after_bars::int end as respected_after_bars
from decided

{% endcall %}

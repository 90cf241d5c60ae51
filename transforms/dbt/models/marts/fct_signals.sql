{% set horizons = [5, 10, 20] %}

{% call(series) each_series(windows()) %}

with bars as (
    select
        venue,
        symbol,
        tf,
        ts,
        high,
        low,
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

-- From the oldest zone on that a signal of the window speaks of: the planner would go through all there are.
zones as (
    select
        venue,
        symbol,
        tf,
        kind,
        created_ts,
        strength
    from {{ ref('stg_zones') }}
    {%- if series %}
    where {{ is_series(series[0]) }} and created_ts >= (
        select min(s.zone_created_ts) from {{ inside(ref('stg_signals'), series, 'ts', '>') }} as s
    )
    {%- endif %}
),

signals as (
    select
        signal.*,
        nullif(abs(signal.entry_hint - signal.sl_hint), 0) as risk,
        case signal.side_hint when 'LONG' then 1 else -1 end as direction,
        regime.regime,
        regime.vol_state,
        zone.strength as zone_strength,
        bar.n,
        least(last_bar.n - bar.n, 20)::int as bars_after,
        row_number() over () as id
    from {{ inside(ref('stg_signals'), series, 'ts', '>') }} as signal
    inner join bars as bar
        on {{ same_series('signal', 'bar', series) }} signal.ts = bar.ts
    inner join last_bars as last_bar
        on {{ same_series('signal', 'last_bar', series) }} true
    left join {{ inside(ref('stg_regimes'), series, 'ts', '>') }} as regime
        on {{ same_series('signal', 'regime', series) }} signal.ts = regime.ts
    left join zones as zone
        on signal.venue = zone.venue and signal.symbol = zone.symbol and signal.tf = zone.tf
        and signal.zone_kind = zone.kind and signal.zone_created_ts = zone.created_ts
),

followed as (
    select
        signal.id,
        (signal.followed_n - signal.n)::int as k,
        case when signal.direction = 1 then bar.high - signal.entry_hint else signal.entry_hint - bar.low end as gain,
        case when signal.direction = 1 then signal.entry_hint - bar.low else bar.high - signal.entry_hint end as loss,
        signal.direction * case when signal.direction = 1 then bar.low else bar.high end
            <= signal.direction * signal.sl_hint as is_at_stop,
        signal.direction * case when signal.direction = 1 then bar.high else bar.low end
            >= signal.direction * (signal.entry_hint + signal.direction * signal.tp_r[1] * signal.risk) as is_at_target
    -- `offset 0`: numbered first, joined then. Without statistics the planner would go through all bars for each signal.
    from (
        select
            signals.*,
            generate_series(signals.n + 1, signals.n + signals.bars_after) as followed_n
        from signals
        offset 0
    ) as signal
    inner join bars as bar
        on {{ same_series('signal', 'bar', series) }} signal.followed_n = bar.n
),

outcomes as (
    select
        id,
        {%- for bars in horizons %}
        greatest(max(gain) filter (where k <= {{ bars }}), 0) as gain_{{ bars }},
        greatest(max(loss) filter (where k <= {{ bars }}), 0) as loss_{{ bars }},
        {%- endfor %}
        min(k) filter (where is_at_stop) as stop_after_bars,
        min(k) filter (where is_at_target) as target_after_bars
    from followed
    group by id
)

select
    signal.venue,
    signal.symbol,
    signal.tf,
    signal.ts,
    signal.signal_id,
    signal.agent,
    signal.side_hint as side,
    signal.entry_hint as entry,
    signal.sl_hint as stop,
    signal.risk,
    signal.tp_r[1] as target_r,
    signal.score,
    signal.retest_ok,
    signal.structure_ok,
    signal.zone_kind,
    signal.zone_created_ts,
    signal.zone_strength,
    signal.regime,
    signal.vol_state,
    signal.bars_after,
    {%- for bars in horizons %}
    case when signal.bars_after >= {{ bars }} then outcome.gain_{{ bars }} / signal.risk end as mfe_r_{{ bars }},
    case when signal.bars_after >= {{ bars }} then outcome.loss_{{ bars }} / signal.risk end as mae_r_{{ bars }},
    {%- endfor %}
    case when signal.bars_after = 20 then outcome.stop_after_bars end as stop_after_bars,
    case when signal.bars_after = 20 then outcome.target_after_bars end as target_after_bars,
    case
        when signal.bars_after < 20 or signal.risk is null then null
        when outcome.stop_after_bars <= coalesce(outcome.target_after_bars, 20) then 'STOP'
        when outcome.target_after_bars is not null then 'TARGET'
        else 'OPEN'
    end as outcome
from signals as signal
left join outcomes as outcome on signal.id = outcome.id

{% endcall %}

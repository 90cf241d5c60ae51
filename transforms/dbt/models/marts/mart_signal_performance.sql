with signals as (
    select * from {{ inside(ref('fct_signals'), windows(), 'ts', '>=') }} as s
)

select
    venue,
    symbol,
    tf,
    {{ utc_month('ts') }} as month,
    agent,
    side,
    coalesce(regime, 'WARM-UP') as regime,
    count(*) as signals,
    count(outcome) as decided,
    count(*) filter (where outcome = 'TARGET') as targets,
    count(*) filter (where outcome = 'STOP') as stops,
    count(*) filter (where outcome = 'OPEN') as open_after_20,
    (count(*) filter (where outcome = 'TARGET'))::float8 / nullif(count(outcome), 0) as target_share,
    avg(score) as mean_score,
    avg(mfe_r_5) as mean_mfe_r_5,
    avg(mae_r_5) as mean_mae_r_5,
    avg(mfe_r_10) as mean_mfe_r_10,
    avg(mae_r_10) as mean_mae_r_10,
    avg(mfe_r_20) as mean_mfe_r_20,
    avg(mae_r_20) as mean_mae_r_20,
    percentile_cont(0.5) within group (order by mfe_r_20) as median_mfe_r_20,
    percentile_cont(0.5) within group (order by mae_r_20) as median_mae_r_20
from signals
group by venue, symbol, tf, {{ utc_month('ts') }}, agent, side, coalesce(regime, 'WARM-UP')

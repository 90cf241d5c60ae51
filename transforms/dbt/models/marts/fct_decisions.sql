with decisions as (
    select * from {{ ref('stg_decisions') }} {{ of_the_instrument() }}
)

select
    decision.decision_id,
    decision.venue,
    decision.symbol,
    signal.tf,
    decision.ts,
    decision.evaluated_at,
    extract(epoch from decision.evaluated_at - decision.ts)::float8 as seconds_after_close,
    decision.origin,
    decision.book,
    decision.account,
    decision.profile,
    decision.param_set,
    decision.signal_id,
    signal.agent,
    decision.bracket_id,
    decision.side,
    decision.side <> 'HOLD' as is_accepted,
    decision.size,
    decision.entry,
    decision.sl as stop,
    (decision.risk ->> 'risk_amount')::numeric as risk_amount,
    (decision.risk ->> 'risk_reward')::float8 as risk_reward,
    verdict.gates::int as gates,
    verdict.failed::int as gates_failed,
    verdict.first_failed as first_failed_gate,
    decision.rule_id,
    decision.confidence,
    decision.reason,
    decision.dataset_id
from decisions as decision
left join lateral (
    select
        count(*) as gates,
        count(*) filter (where not (gate.verdict ->> 'passed')::boolean) as failed,
        (array_agg(gate.verdict ->> 'gate' order by gate.place)
            filter (where not (gate.verdict ->> 'passed')::boolean))[1] as first_failed
    from jsonb_array_elements(
        case jsonb_typeof(decision.gates) when 'array' then decision.gates end
    ) with ordinality as gate (verdict, place)
) as verdict on true
left join lateral (
    select s.tf, s.agent
    from {{ ref('stg_signals') }} as s
    where s.signal_id = decision.signal_id
    order by s.ts desc
    limit 1
) as signal on true

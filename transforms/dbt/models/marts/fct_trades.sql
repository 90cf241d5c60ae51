with positions as (
    select * from {{ ref('stg_positions') }} {{ of_the_instrument() }}
),

fills as (
    select
        fill.origin,
        fill.account,
        fill.bracket_id,
        sum(fill.qty * fill.price) filter (where orders.role <> 'ENTRY')
            / nullif(sum(fill.qty) filter (where orders.role <> 'ENTRY'), 0) as exit,
        sum(fill.qty) filter (where orders.role = 'ENTRY') as qty,
        sum(fill.fee) filter (where fill.fee_asset = instrument.quote) as fees_in_quote,
        (array_agg(orders.role order by fill.ts desc) filter (where orders.role <> 'ENTRY'))[1] as exit_reason
    from (select * from {{ ref('stg_fills') }} {{ of_the_instrument() }}) as fill
    inner join {{ ref('stg_orders') }} as orders
        on fill.origin = orders.origin and fill.order_id = orders.order_id
    left join {{ ref('stg_instruments') }} as instrument
        on fill.venue = instrument.venue and fill.symbol = instrument.symbol
    group by 1, 2, 3
),

decisions as (
    select distinct on (origin, bracket_id) * from {{ ref('fct_decisions') }} {{ of_the_instrument() }}
    {{ 'and' if is_windowed() else 'where' }} is_accepted
    order by origin, bracket_id, ts desc
),

taken as (
    select
        position.origin,
        position.account as run,
        position.position_id::text as trade_id,
        position.venue,
        position.symbol,
        decision.tf,
        position.profile,
        position.bracket_id,
        position.side,
        position.opened_at as entry_ts,
        position.closed_at as exit_ts,
        position.entry_price as entry,
        fills.exit,
        coalesce(fills.qty, position.size) as qty,
        case when position.closed_at is not null
            then (position.realized_pnl / nullif(decision.risk_amount, 0))::float8 end as r,
        position.realized_pnl as pnl,
        fills.fees_in_quote as fees,
        null::numeric as funding,
        fills.exit_reason,
        null::boolean as is_ambiguous,
        null::float8 as mfe_r,
        null::float8 as mae_r,
        null::text as regime,
        null::int as zone_strength
    from positions as position
    left join fills
        on position.origin = fills.origin and position.account = fills.account and position.bracket_id = fills.bracket_id
    left join decisions as decision
        on position.origin = decision.origin and position.bracket_id = decision.bracket_id
),

simulated as (
    select
        'backtest' as origin,
        run_id as run,
        trade_id,
        venue,
        symbol,
        tf,
        null::text as profile,
        null::text as bracket_id,
        side,
        entry_ts,
        exit_ts,
        entry,
        exit,
        qty,
        case when exit_ts is not null then r end as r,
        pnl,
        fees,
        funding,
        exit_reason,
        ambiguous as is_ambiguous,
        mfe_r,
        mae_r,
        regime,
        zone_strength
    from {{ ref('stg_backtest_trades') }} {{ of_the_instrument() }}
)

select * from taken
union all
select * from simulated

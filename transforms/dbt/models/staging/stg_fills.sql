{% set columns = {
    'venue': 'text',
    'symbol': 'text',
    'account': 'text',
    'trade_id': 'text',
    'order_id': 'uuid',
    'bracket_id': 'text',
    'qty': 'numeric',
    'price': 'numeric',
    'fee': 'numeric',
    'fee_asset': 'text',
    'maker': 'boolean',
    'ts': 'timestamp with time zone'
} %}

select 'live' as origin, * from {{ present_or_empty('trading', 'fills', columns) }} as trading_fills

union all

select 'paper' as origin, * from {{ present_or_empty('paper', 'fills', columns) }} as paper_fills

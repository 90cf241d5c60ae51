{% set columns = {
    'order_id': 'uuid',
    'bracket_id': 'text',
    'account': 'text',
    'venue': 'text',
    'symbol': 'text',
    'role': 'text',
    'status': 'text'
} %}

select 'live' as origin, * from {{ present_or_empty('trading', 'orders', columns) }} as trading_orders

union all

select 'paper' as origin, * from {{ present_or_empty('paper', 'orders', columns) }} as paper_orders

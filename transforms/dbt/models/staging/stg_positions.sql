{% set columns = {
    'position_id': 'uuid',
    'account': 'text',
    'venue': 'text',
    'symbol': 'text',
    'profile': 'text',
    'bracket_id': 'text',
    'side': 'text',
    'size': 'numeric',
    'entry_price': 'numeric',
    'realized_pnl': 'numeric',
    'opened_at': 'timestamp with time zone',
    'closed_at': 'timestamp with time zone'
} %}

select 'live' as origin, * from {{ present_or_empty('trading', 'positions', columns) }} as trading_positions

union all

select 'paper' as origin, * from {{ present_or_empty('paper', 'positions', columns) }} as paper_positions

{% set columns = {
    'decision_id': 'text',
    'bracket_id': 'text',
    'ts': 'timestamp with time zone',
    'evaluated_at': 'timestamp with time zone',
    'book': 'text',
    'account': 'text',
    'profile': 'text',
    'param_set': 'text',
    'signal_id': 'text',
    'venue': 'text',
    'symbol': 'text',
    'side': 'text',
    'size': 'numeric',
    'entry': 'numeric',
    'sl': 'numeric',
    'risk': 'jsonb',
    'gates': 'jsonb',
    'rule_id': 'text',
    'confidence': 'double precision',
    'reason': 'text',
    'dataset_id': 'text'
} %}

select 'live' as origin, * from {{ present_or_empty('trading', 'decisions', columns) }} as trading_decisions

union all

select 'paper' as origin, * from {{ present_or_empty('paper', 'decisions', columns) }} as paper_decisions

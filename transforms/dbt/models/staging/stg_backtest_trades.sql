{% set columns = {
    'run_id': 'text',
    'trade_id': 'text',
    'venue': 'text',
    'symbol': 'text',
    'tf': 'text',
    'side': 'text',
    'entry_ts': 'timestamp with time zone',
    'exit_ts': 'timestamp with time zone',
    'entry': 'numeric',
    'exit': 'numeric',
    'qty': 'numeric',
    'r': 'double precision',
    'pnl': 'numeric',
    'fees': 'numeric',
    'funding': 'numeric',
    'exit_reason': 'text',
    'ambiguous': 'boolean',
    'mfe_r': 'double precision',
    'mae_r': 'double precision',
    'regime': 'text',
    'zone_strength': 'integer'
} %}

select * from {{ present_or_empty('research', 'backtest_trades', columns) }} as backtest_trades

{% set columns = {
    'day': 'date',
    'venue': 'text',
    'symbol': 'text',
    'tf': 'text',
    'table_name': 'text',
    'rows_live': 'bigint',
    'rows_batch': 'bigint',
    'mismatches': 'bigint',
    'first_difference': 'text'
} %}

select * from {{ present_or_empty('ops', 'parity_results', columns) }} as parity_results

select
    venue,
    symbol,
    tf,
    day,
    table_name,
    rows_live,
    rows_batch,
    mismatches,
    1 - mismatches::float8 / nullif(greatest(rows_live, rows_batch), 0) as agreement,
    mismatches = 0 and rows_live = rows_batch as is_equal,
    first_difference
from {{ ref('stg_parity_results') }} {{ of_the_instrument() }}

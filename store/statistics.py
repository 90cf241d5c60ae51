"""What the planner knows of tables: brought up to date after they were filled.

Autovacuum looks at a table once a minute; until then a month that was just loaded counts as no rows at all, and what
is asked of it (checks, marts) is planned for an empty table.

    gather_statistics(conn)      # after a step that wrote many rows
"""

from __future__ import annotations

import psycopg

from store.connections import translated


def gather_statistics(conn: psycopg.Connection) -> int:
    """Have every table analyzed of which more than a fifth has changed since it last was.

    Args:
        conn: A connection in autocommit mode; what it wrote must be committed.

    Returns:
        How many tables were.
    """
    with translated("gather statistics"):
        # What a session has changed is reported once a second at most: without this, the last rows would not count.
        conn.execute("SELECT pg_stat_force_next_flush()")
        row = conn.execute("SELECT ops.gather_statistics()").fetchone()
    return 0 if row is None else int(row[0])

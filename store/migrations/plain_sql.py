"""How a revision runs: its SQL file as it stands, and hypertables where the server has TimescaleDB.

A revision is `versions/NNNN_name.py` beside `versions/NNNN_name.sql`. Released files never change; a change is a new
revision. There are no downgrades: what an upgrade drops cannot be brought back, a backup can.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import text

_VERSIONS = Path(__file__).parent / "versions"


def run_file(name: str) -> None:
    """Execute one SQL file of `versions/`, statement texts unchanged."""
    run_text(text_of(name))


def text_of(name: str) -> str:
    """One SQL file of `versions/`."""
    return (_VERSIONS / name).read_text(encoding="utf-8")


def run_text(statements: str) -> None:
    """Execute SQL that stands in a file of `versions/`."""
    op.get_bind().exec_driver_sql(statements)


def make_hypertable(
    table: str,
    *,
    time_column: str,
    chunk: str,
    order_by: tuple[str, ...] = (),
    compress_after: str | None = None,
) -> None:
    """Turn an empty table into a hypertable, columnar by series; do nothing on a server without TimescaleDB.

    Args:
        table: `schema.table`, keyed by venue, symbol, tf, `time_column` and `order_by`.
        time_column: The column chunks are cut by, and compressed rows are ordered by first.
        chunk: Interval of one chunk.
        order_by: The other columns of its key.
        compress_after: Age at which a job compresses a chunk; None = whoever verified the rows compresses them.
    """
    bind = op.get_bind()
    if bind.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")).first() is None:
        return
    bind.execute(
        text(
            "SELECT create_hypertable(CAST(:relation AS regclass), CAST(:time_column AS name), "
            "chunk_time_interval => CAST(:chunk AS interval), create_default_indexes => false)"
        ),
        {"relation": table, "time_column": time_column, "chunk": chunk},
    )
    quote = bind.dialect.identifier_preparer.quote
    relation = ".".join(quote(part) for part in table.split("."))
    order = ", ".join(quote(column) for column in (time_column, *order_by))
    bind.exec_driver_sql(
        f"ALTER TABLE {relation} SET (timescaledb.compress, "
        f"timescaledb.compress_segmentby = 'venue, symbol, tf', timescaledb.compress_orderby = '{order}')"
    )
    if compress_after is not None:
        bind.execute(
            text("SELECT add_compression_policy(CAST(:relation AS regclass), CAST(:age AS interval))"),
            {"relation": table, "age": compress_after},
        )

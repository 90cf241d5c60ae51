import psycopg
import pytest

from assets.columns import Column, all_columns, columns_of

CATALOGUE = """
    SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
           col_description(c.oid, a.attnum)
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('market', 'analysis', 'research', 'trading', 'paper', 'ops') AND c.relname <> 'alembic_version'
      AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY 1, a.attnum
"""


def test_they_are_the_columns_of_a_migrated_database(conn: psycopg.Connection) -> None:
    stored: dict[str, dict[str, Column]] = {}
    for table, name, kind, nullable, comment in conn.execute(CATALOGUE):
        spelled = kind.replace("timestamp with time zone", "timestamptz")
        stored.setdefault(table, {})[name] = Column(spelled, nullable, comment)
    assert len(stored) > 15
    read = {table: dict(columns) for table, columns in all_columns().items()}
    assert read == stored
    assert {table: list(columns) for table, columns in read.items()} == {
        table: list(columns) for table, columns in stored.items()
    }


def test_an_asset_shows_types_comments_and_what_may_be_null() -> None:
    metadata = columns_of("market.candles")
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    assert metadata["dagster/table_name"] == "market.candles"
    assert list(columns)[:4] == ["venue", "symbol", "tf", "open_time"]
    assert (columns["volume"].type, columns["volume"].description) == ("numeric", "In base units")
    assert not columns["volume"].constraints.nullable
    assert {column.name: column for column in columns_of("market.candle_gaps")["dagster/column_schema"].columns}[
        "resolved_at"
    ].constraints.nullable


def test_a_table_that_no_migration_makes_is_refused() -> None:
    with pytest.raises(KeyError):
        columns_of("market.tea_leaves")

"""The columns of the tables that assets write, as the Dagster UI shows them, told without asking a database.

The migrations are the one place where a column and its meaning are written down, so they are what is read: every
`CREATE TABLE`, `ADD COLUMN` and `COMMENT ON COLUMN` of `store/migrations/versions`, in their order. The schema `paper`
is written nowhere: it is `trading` once more. A test holds the result against the catalogue of a migrated database,
column by column.

    dg.AssetSpec("candles", metadata=columns_of("market.candles"))
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from store import migrations

_VERSIONS = Path(migrations.__file__).parent / "versions"
_TYPE = r"(?P<type>(?:double precision|[a-z]+)(?:\[\])?)(?P<rest>[^\n]*)"
_TABLE = re.compile(r"^CREATE TABLE (?P<table>\w+\.\w+) \(\n(?P<body>.*?)^\);", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(rf"^    (?P<name>[a-z]\w*)\s+{_TYPE}$", re.MULTILINE)
_ADDED = re.compile(rf"^ALTER TABLE (?P<table>\w+\.\w+) ADD COLUMN (?P<name>\w+) {_TYPE}$", re.MULTILINE)
_COMMENT = re.compile(r"^COMMENT ON COLUMN (?P<column>\w+\.\w+\.\w+) IS '(?P<text>(?:[^']|'')*)';", re.MULTILINE)

# The second is made from the text of the first (0009_trading.py).
_TWICE = ("trading.", "paper.")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        type: Its SQL type.
        nullable: Whether it may be null.
        description: Its comment; None = the name says it.
    """

    type: str
    nullable: bool
    description: str | None = None


@cache
def all_columns() -> Mapping[str, Mapping[str, Column]]:
    """Every migrated table as `schema.table` → its columns in order."""
    found: dict[str, dict[str, Column]] = {}
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(_VERSIONS.glob("*.sql")))
    for table in _TABLE.finditer(text):
        found[table["table"]] = {one["name"]: _column(one) for one in _COLUMN.finditer(table["body"])}
    for one in _ADDED.finditer(text):
        found[one["table"]][one["name"]] = _column(one)
    for comment in _COMMENT.finditer(text):
        table_name, _, name = comment["column"].rpartition(".")
        if name in found.get(table_name, {}):
            column = found[table_name][name]
            found[table_name][name] = Column(column.type, column.nullable, comment["text"].replace("''", "'"))
    schema, again = _TWICE
    return found | {
        again + table.removeprefix(schema): columns for table, columns in found.items() if table.startswith(schema)
    }


def columns_of(table: str) -> Mapping[str, Any]:
    """Metadata of an asset that writes `table` (`schema.table`): its column schema and its name in the database.

    Raises:
        KeyError: No migration makes this table.
    """
    columns = [
        dg.TableColumn(
            name, column.type, column.description, constraints=dg.TableColumnConstraints(nullable=column.nullable)
        )
        for name, column in all_columns()[table].items()
    ]
    return {"dagster/column_schema": dg.TableSchema(columns), "dagster/table_name": table}


def _column(found: re.Match[str]) -> Column:
    return Column(found["type"], not re.search("NOT NULL|PRIMARY KEY", found["rest"]))

"""Alembic's entry: `store.schema` hands in the connection and holds the lock."""

from alembic import context
from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table_schema="ops",
    # One transaction for all revisions: an upgrade happens as a whole or not at all.
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
connection.commit()

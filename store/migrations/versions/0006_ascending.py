"""Indexes by symbol, timeframe and time ascend, as rows come."""

from store.migrations.plain_sql import run_file

revision = "0006_ascending"
down_revision = "0005_comments"


def upgrade() -> None:
    run_file("0006_ascending.sql")

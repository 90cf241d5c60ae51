"""A comment for every column that an asset shows: what Dagster and psql tell of it."""

from store.migrations.plain_sql import run_file

revision = "0005_comments"
down_revision = "0004_truth"


def upgrade() -> None:
    run_file("0005_comments.sql")

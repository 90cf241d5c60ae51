"""A study is bound to its bars; versions of parameters keep their laws by themselves; numbers are numbers."""

from store.migrations.plain_sql import run_file

revision = "0008_studies"
down_revision = "0007_research"


def upgrade() -> None:
    run_file("0008_studies.sql")

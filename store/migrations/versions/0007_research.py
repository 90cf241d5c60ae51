"""Research: backtests, walk-forwards, every trial, and the versions of parameters and profiles."""

from store.migrations.plain_sql import run_file

revision = "0007_research"
down_revision = "0006_ascending"


def upgrade() -> None:
    # Plain tables all of them: they are keyed by run, and read by run.
    run_file("0007_research.sql")

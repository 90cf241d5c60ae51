"""Truth beyond candles: funding with its history, the calendar as it was known, datasets, schemas for dbt."""

from store.migrations.plain_sql import run_file

revision = "0004_truth"
down_revision = "0003_structure"


def upgrade() -> None:
    # Plain tables all of them: an instrument settles funding a few times a day.
    run_file("0004_truth.sql")

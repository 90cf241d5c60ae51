"""Analysis: what the engine makes of candles, and its snapshots."""

from store.migrations.plain_sql import make_hypertable, run_file

revision = "0002_analysis"
down_revision = "0001_market"


def upgrade() -> None:
    run_file("0002_analysis.sql")
    # Compressed by whoever verified the month, not by age: a recompute rewrites whole months.
    make_hypertable("analysis.indicators", time_column="ts", chunk="30 days")
    make_hypertable("analysis.regimes", time_column="ts", chunk="30 days")

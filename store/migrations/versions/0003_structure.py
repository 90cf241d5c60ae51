"""Structure: swings, breaks, liquidity, zones and their life cycle, signals, and spans of quarantined bots."""

from store.migrations.plain_sql import make_hypertable, run_file

revision = "0003_structure"
down_revision = "0002_analysis"


def upgrade() -> None:
    run_file("0003_structure.sql")
    # Compressed by whoever verified the month, as the other analysis is. The columns named last complete the unique
    # key: batches that cannot hold a row's twin are then left compressed when it is inserted.
    make_hypertable(
        "analysis.zone_events",
        time_column="ts",
        chunk="30 days",
        order_by=("kind", "created_ts", "parent_created_ts"),
    )
    # A month of these is a tenth of a month of candles: three of them in a chunk.
    for table in ("swings", "smc_events", "liquidity_events"):
        make_hypertable(f"analysis.{table}", time_column="ts", chunk="90 days", order_by=("kind",))
    make_hypertable("analysis.zones", time_column="created_ts", chunk="90 days", order_by=("kind",))
    make_hypertable(
        "analysis.inversions", time_column="parent_created_ts", chunk="90 days", order_by=("kind", "created_ts")
    )
    make_hypertable("analysis.signals_raw", time_column="ts", chunk="90 days", order_by=("signal_id",))

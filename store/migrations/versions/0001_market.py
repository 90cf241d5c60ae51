"""Market: what the platform keeps, candles and their history, holes, digests, rules."""

from store.migrations.plain_sql import make_hypertable, run_file

revision = "0001_market"
down_revision = None


def upgrade() -> None:
    run_file("0001_market.sql")
    # A month of 1m bars of 20 instruments is about 200 MB: a chunk and its indexes fit into memory beside others.
    make_hypertable("market.candles", time_column="open_time", chunk="30 days", compress_after="45 days")
    # Revisions are rare: a year of them is small.
    make_hypertable("market.candle_revisions", time_column="open_time", chunk="365 days")

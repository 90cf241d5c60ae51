"""Trading: decisions, orders, fills, positions, states, the audit log, and leases. `paper` is `trading` once more."""

import re

from store.migrations.plain_sql import run_file, run_text, text_of

revision = "0009_trading"
down_revision = "0008_studies"


def upgrade() -> None:
    run_file("0009_ops.sql")
    # Plain tables all of them: a few thousand rows a day at most.
    text = text_of("0009_trading.sql")
    # Written once, so that what holds for one holds for the other: in this text the word `trading` is the schema.
    for schema in ("trading", "paper"):
        run_text(re.sub(r"\btrading\b", schema, text))

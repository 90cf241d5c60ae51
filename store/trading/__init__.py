"""What a router keeps and reads in the schemas `trading` and `paper`: leases, states, the audit log.

Both schemas have the same tables (migration 0009), so everything here takes the schema as an argument. Invariant:
neither polars nor dagster is imported, here or by what is imported here: the router's process is a small one.

    from store.trading import audit, leases, state
"""

from typing import Final, Literal

# `trading`: real accounts; `paper`: the paper broker's.
Schema = Literal["trading", "paper"]
SCHEMAS: Final[tuple[Schema, ...]] = ("trading", "paper")

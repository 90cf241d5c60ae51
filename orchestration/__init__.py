"""Jobs and definitions: what Dagster loads."""

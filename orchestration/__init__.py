"""Jobs and definitions: what Dagster loads, and the file that describes its instance."""

from pathlib import Path

DAGSTER_YAML = Path(__file__).with_name("dagster.yaml")

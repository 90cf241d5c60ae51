"""Marts: the dbt project in `transforms/dbt`, and how it is parsed and run inside a process of the platform.

The project is plain dbt; nothing but SQL and YAML stands in it. What it becomes in Dagster is in `assets.marts`.
"""

from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).with_name("dbt")

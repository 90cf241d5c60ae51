"""The real one-minute bars that stand beside the repository, where they are there."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from contracts.candles import BAR_SCHEMA

REAL_BARS = Path(__file__).parents[3] / "shared" / "data" / "btc_perp_1m_2022-01.csv.gz"

needs_real_bars = pytest.mark.skipif(
    not REAL_BARS.exists(), reason="the real bars are not there: ../shared/data/btc_perp_1m_2022-01.csv.gz"
)


def read_real_bars() -> pl.DataFrame:
    """45,031 one-minute bars of a BTC perpetual."""
    return pl.read_csv(REAL_BARS, schema_overrides=dict(BAR_SCHEMA) | {"open_time": pl.String()}).with_columns(
        pl.col("open_time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    )

"""The real one-minute bars that stand beside the repository, where they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.bars import REAL_BARS, real_bars

if TYPE_CHECKING:
    import polars as pl

needs_real_bars = pytest.mark.skipif(
    not REAL_BARS.exists(), reason="the real bars are not there: ../shared/data/btc_perp_1m_2022-01.csv.gz"
)


def read_real_bars() -> pl.DataFrame:
    """45,031 one-minute bars of a BTC perpetual."""
    bars = real_bars()
    assert bars is not None
    return bars

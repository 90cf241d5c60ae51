"""The fingerprint of this engine version's output: what stored rows and snapshots rely on."""

import hashlib

import polars as pl

from contracts.candles import BAR_SCHEMA
from engine import ENGINE_VERSION, TABLES, EngineParams, SeriesEngine
from tests.engine.strategies import KEY, START, STEP

FINGERPRINT = {
    1: "9ea8bfdb18bba3a0fb698d091d09993dbfb9fbcf96e7168b9187c1756356a6fe",
    2: "7d913f2f68c1cd4f246e409ac9fc8d7173ba5255e9c8b5298b2b20f4e0a7a86d",
}


def portable_bars(size: int) -> pl.DataFrame:
    """Bars whose every value is a whole number of quarters, drawn by a linear congruential generator on integers."""
    seed = 20220101
    rows: list[tuple[float, ...]] = []
    close = 40_000
    opened = START
    for _ in range(size):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        bits = seed >> 24
        open_ = close
        swing = 400 if bits % 97 == 0 else 20
        close = max(open_ + (bits >> 3) % (2 * swing + 1) - swing, 4_000)
        high = max(open_, close) + (bits >> 13) % 12
        low = min(open_, close) - (bits >> 18) % 12
        volume = 0 if bits % 13 == 0 else (bits >> 24) % 4096
        opened += STEP * (5 if bits % 211 == 0 else 1)
        rows.append((opened, open_ / 4, high / 4, low / 4, close / 4, volume / 4))
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")


def fingerprint(table: pl.DataFrame) -> str:
    """sha256 over every column: the mask of its nulls, then its values as little-endian bytes or text."""
    digest = hashlib.sha256()
    for column in table.iter_columns():
        digest.update(column.name.encode())
        digest.update(bytes(column.is_null().cast(pl.UInt8).to_list()))
        if column.dtype == pl.Float64:
            digest.update(column.fill_null(0.0).to_numpy().astype("<f8").tobytes())
        elif column.dtype == pl.Datetime:
            digest.update(column.to_physical().fill_null(0).to_numpy().astype("<i8").tobytes())
        elif column.dtype == pl.List:
            digest.update(column.explode().to_numpy().astype("<f8").tobytes())
        else:
            digest.update("\n".join(column.cast(pl.String).fill_null("").to_list()).encode())
    return digest.hexdigest()


def test_the_output_of_this_version_has_not_changed() -> None:
    bars = portable_bars(5_000)
    micro_bos = [(row * 7 // 5) % 3 - 1 for row in range(bars.height)]
    digests = []
    for params in (EngineParams(), EngineParams(swing_mode="zigzag", max_zones=8, max_inversions=8)):
        rows = SeriesEngine(KEY, params).advance(bars.with_columns(pl.Series("micro_bos", micro_bos, pl.Int8)))
        assert rows.regimes["regime"].n_unique() == rows.regimes["vol_state"].n_unique() == 3
        assert rows.smc_events["kind"].n_unique() == rows.liquidity_events["kind"].n_unique() == 4
        assert rows.zone_events.select("kind", "event").n_unique() >= 16
        assert rows.signals.height > 50
        digests += [fingerprint(rows.frame(table)) for table in TABLES]
    found = hashlib.sha256("".join(digests).encode()).hexdigest()
    assert found == FINGERPRINT[ENGINE_VERSION], (
        f"output changed: raise ENGINE_VERSION and write down its fingerprint, {found}"
    )

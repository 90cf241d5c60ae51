"""Bars for property tests: stretches of a walk joined with everything that makes indicators stumble.

A frame is drawn as a short list of stretches, each a kind, a length and a seed; hypothesis shrinks that list, so a
failure is told in a few words. Prices lie on a coarse grid, which makes equal values common and sums exact; a `rough`
stretch leaves the grid, so that from there on the order of every addition shows in the last bit.

    @given(bar_frames())
    def test_...(bars): ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from hypothesis import strategies as st

from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA

KEY = SeriesKey("binance_spot", "BTCUSDT", "15m")
STEP = KEY.tf.us
START = 1_640_995_200_000_000  # 2022-01-01T00:00Z

KINDS = (
    "walk",
    "rough",
    "flat",
    "doji",
    "same_range",
    "spikes",
    "untraded",
    "ramp",
    "holes",
    "late_start",
    "waves",
    "shelves",
    "jumps",
)


Table = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Stretch:
    kind: str
    bars: int
    seed: int


def make_bars(stretches: list[Stretch], *, scale: float = 1.0, start: int = START, step: int = STEP) -> pl.DataFrame:
    """The bar frame of the stretches, one after the other; the first bar opens one step after `start`."""
    parts = [_stretch(stretch) for stretch in stretches]
    table = np.concatenate(parts) if parts else np.empty((0, 7))
    level = 1000.0
    open_, high, low, close = (np.empty(len(table)) for _ in range(4))
    for i, (move, up, down, _, spread, _, jump) in enumerate(table):
        level = open_[i] = max(level + jump, 20.0)
        level = max(level + move, 20.0)
        close[i] = level
        high[i] = max(open_[i], close[i]) + up * spread
        low[i] = max(min(open_[i], close[i]) - down * spread, 1.0)
    # a power of two, so that scaling is exact and keeps equal prices equal
    factor = 2.0 ** round(np.log2(scale))
    opened = start + np.cumsum(table[:, 5].astype(np.int64)) * step
    return pl.DataFrame(
        {
            "open_time": pl.Series(opened, dtype=pl.Int64).cast(BAR_SCHEMA["open_time"]),
            "open": open_ * factor,
            "high": high * factor,
            "low": low * factor,
            "close": close * factor,
            "volume": table[:, 3],
        },
        schema=BAR_SCHEMA,
    )


def _stretch(stretch: Stretch) -> Table:
    """One row a bar: move of the close, room above, room below, volume, spread, steps since the bar before, jump.

    The jump is that of the open from the close before.
    """
    rng = np.random.default_rng(stretch.seed)
    rows = np.zeros((stretch.bars, 7))
    rows[:, 0] = rng.integers(-6, 7, stretch.bars) / 2
    rows[:, 1] = rng.integers(0, 4, stretch.bars) / 2
    rows[:, 2] = rng.integers(0, 4, stretch.bars) / 2
    rows[:, 3] = rng.integers(0, 500, stretch.bars) / 7
    rows[:, 4] = 1.0
    rows[:, 5] = 1.0
    match stretch.kind:
        case "rough":
            rows[:, 0] = rng.normal(0, 3, stretch.bars)
            rows[:, 1:3] = rng.exponential(1, (stretch.bars, 2))
        case "flat":
            rows[:, :3] = 0.0
        case "doji":
            rows[:, 0] = 0.0
        case "same_range":
            rows[:, 0] = np.where(np.arange(stretch.bars) % 2 == 0, 1.0, -1.0)
            rows[:, 1:3] = 1.0
        case "spikes":
            rows[:, 4] = np.where(rng.random(stretch.bars) < 0.1, 200.0, 1.0)
            rows[:, 0] *= np.where(rng.random(stretch.bars) < 0.05, 50.0, 1.0)
        case "untraded":
            rows[:, 3] = 0.0
        case "ramp":
            rows[:, 0] = rng.choice([-2.5, 2.5])
        case "holes":
            rows[:, 5] = np.where(rng.random(stretch.bars) < 0.2, rng.integers(2, 300, stretch.bars), 1)
        case "late_start":
            rows[:1, 5] = rng.integers(1, 96)
    _add_structure(rows, stretch.kind, rng)
    return rows


def _add_structure(rows: Table, kind: str, rng: np.random.Generator) -> None:
    """What breaks, zones and retests need: legs with pullbacks, levels met again and again, opens off the close."""
    size = len(rows)
    match kind:
        case "waves":
            # trends of 40 bars either way; in each, legs of three fifths of 5 to 12 bars and a pullback for the rest
            trend = np.repeat(rng.choice([1.0, -1.0], size // 40 + 1), 40)[:size]
            length = rng.integers(5, 13)
            rows[:, 0] = trend * np.where(np.arange(size) % length < 0.6 * length, 1.5, -1.5)
            rows[:, 0] += rng.integers(-2, 3, size) / 2
        case "shelves":
            # up two bars and down two bars, with wicks of nothing or a half beyond the two levels
            rows[:, 0] = np.where(np.arange(size) // 2 % 2 == 0, 2.0, -2.0)
            rows[:, 1:3] = rng.choice([0.0, 0.0, 0.0, 0.5], (size, 2))
        case "jumps":
            rows[:, 6] = np.where(rng.random(size) < 0.3, rng.integers(-12, 13, size) / 2, 0.0)


def micro_signs(seed: int, size: int) -> list[int]:
    """What a sub-timeframe might have broken in each bar: −1, 0 or 1."""
    signs: list[int] = np.random.default_rng(seed).integers(-1, 2, size).tolist()
    return signs


def stretches(min_size: int = 1, max_size: int = 8, max_bars: int = 90) -> st.SearchStrategy[list[Stretch]]:
    return st.lists(
        st.builds(Stretch, st.sampled_from(KINDS), st.integers(0, max_bars), st.integers(0, 2**16)),
        min_size=min_size,
        max_size=max_size,
    )


# From far below the smallest tick ever listed to far above any price.
SCALES = st.sampled_from([1.0, 1e-8, 1e4, 1e-30, 1e30])


def bar_frames() -> st.SearchStrategy[pl.DataFrame]:
    """0 to 720 bars, about half of the frames long enough for every column to be defined."""
    return st.builds(lambda drawn, scale: make_bars(drawn, scale=scale), stretches(), SCALES)

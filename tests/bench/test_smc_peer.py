"""The adapter of the library, not the library."""

import subprocess
import sys

import numpy as np
import pytest

from bench.first_touch import NEVER
from bench.smc_peer import everything, pandas_ohlc, surviving_blocks
from bench.walks import STEPS, Walk


def test_everything_has_the_five_outputs_a_row_a_bar() -> None:
    walk = Walk.of(seed=1, bars=300)
    found = everything(pandas_ohlc(walk.bars), half_width=3)
    assert list(found) == ["swings", "breaks", "order_blocks", "gaps", "liquidity"]
    assert {len(frame) for frame in found.values()} == {300}


def test_a_surviving_block_is_traded_at_the_edges_of_the_candle_it_is_drawn_at() -> None:
    walk = Walk.of(seed=1, bars=1_000)
    orders = surviving_blocks(pandas_ohlc(walk.bars), half_width=5, delay=0)
    assert orders.side.size > 5
    assert set(orders.side) == {1.0, -1.0}
    candle = walk.bars[orders.start // STEPS - 1]
    buys = orders.side > 0
    near, far = (np.where(buys, candle[a], candle[b]) for a, b in (("high", "low"), ("low", "high")))
    np.testing.assert_allclose(orders.entry, near, rtol=1e-6)  # it keeps prices in float32
    np.testing.assert_allclose(orders.stop, far, rtol=1e-6)
    np.testing.assert_allclose(orders.target, 3 * orders.entry - 2 * orders.stop)
    assert (orders.until == NEVER).all()


def test_a_delay_moves_the_start_and_nothing_else() -> None:
    frame = pandas_ohlc(Walk.of(seed=1, bars=1_000).bars)
    at_once, later = (surviving_blocks(frame, half_width=5, delay=delay) for delay in (0, 15))
    assert (later.start - at_once.start == 15 * STEPS).all()
    assert later.entry == pytest.approx(at_once.entry)


def test_using_the_library_prints_nothing() -> None:
    code = (
        "from bench.smc_peer import everything, pandas_ohlc\n"
        "from bench.walks import Walk\n"
        "everything(pandas_ohlc(Walk.of(seed=1, bars=60).bars), half_width=3)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout == ""

"""A small market worked out by hand, a frozen exchange on it, and real seconds under the test's control."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.venues.simulator.ticks import Ticks
from venues.simulator import Simulator, SimulatorConfig, running

# Five minutes before New Year's midnight of 2025, the third of them missing; then two of the new year.
HAND_MADE = """\
open_time,open,high,low,close,volume,quote_volume,count,taker_buy_volume,taker_buy_quote_volume
2024-12-31T23:55:00Z,100.0,104.5,99.0,102.0,10.500,1071.0,21,4.250,433.5
2024-12-31T23:56:00Z,102.0,103.0,101.5,101.5,2.000,204.0,4,1.000,102.0
2024-12-31T23:58:00Z,101.5,106.0,101.5,105.0,0.125,13.0,1,0.125,13.0
2024-12-31T23:59:00Z,105.0,105.0,98.5,99.0,7.375,750.5,15,0.000,0.0
2025-01-01T00:00:00Z,99.0,120.0,60.0,90.0,6.000,600.0,30,3.000,300.0
2025-01-01T00:01:00Z,90.0,90.0,90.0,90.0,0.000,0.0,0,0.000,0.0
"""


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def bars_file(tmp_path: Path) -> Path:
    path = tmp_path / "bars.csv"
    path.write_text(HAND_MADE, encoding="utf-8")
    return path


Start = Callable[[str], Simulator]


@pytest.fixture
def start_at(bars_file: Path, ticks: Ticks) -> Iterator[Start]:
    """Starts a frozen exchange on the hand-made market at a given instant."""
    with ExitStack() as stack:

        def start(text: str) -> Simulator:
            config = SimulatorConfig(bars=bars_file, symbol="BTCUSDT", speed=0, start=datetime.fromisoformat(text))
            return stack.enter_context(running(config, ticks=ticks))

        yield start


@pytest.fixture(scope="module")
def seeded() -> Iterator[Simulator]:
    """A frozen exchange on the generated market, shared by a module's tests that change nothing."""
    config = SimulatorConfig(speed=0, start=datetime(2025, 3, 20, 10, 0, 30, tzinfo=UTC), spot_weight_limit=10**6)
    with running(config, ticks=Ticks()) as simulator:
        yield simulator


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10) as client:
        yield client

"""What the three addresses of one simulator share: its settings, clock, history, funding and faults.

Accounts and matching join here once orders are simulated.

    exchange = open_exchange(SimulatorConfig(speed=0))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from venues.simulator.clock import SimClock
from venues.simulator.config import SimulatorConfig
from venues.simulator.faults import FaultBoard
from venues.simulator.funding import FundingBook
from venues.simulator.history import History


@dataclass(frozen=True, slots=True)
class Exchange:
    """One simulated exchange.

    Attributes:
        ticks: Real seconds, monotonic: what limits and cadences run on.
    """

    config: SimulatorConfig
    clock: SimClock
    history: History
    funding: FundingBook
    faults: FaultBoard
    ticks: Callable[[], float]


def open_exchange(config: SimulatorConfig, *, ticks: Callable[[], float] = time.monotonic) -> Exchange:
    """The exchange these settings describe, its clock started.

    Raises:
        BarsRejected: The file of bars cannot be used.
    """
    market = config.market()
    start = config.clock_start(market, now=datetime.now(UTC))
    clock = SimClock(start, speed=config.speed, ticks=ticks)
    history = History(market)
    return Exchange(config, clock, history, FundingBook(history, seed=config.seed), FaultBoard(), ticks)

"""An exchange on loopback that speaks Binance's own protocol: spot, USD-M and archive.

Market data only so far: REST, kline streams and the public archive, served from a file of bars or a seeded generator.
It shares no code with the client in `venues.binance`, so the two cannot agree on one mistake.

    with running(SimulatorConfig(speed=0)) as simulator:
        httpx.get(f"{simulator.spot_url}/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1m"})
"""

from venues.simulator.clock import SimClock
from venues.simulator.config import SimulatorConfig
from venues.simulator.faults import Fault, FaultBoard
from venues.simulator.market import BarsRejected
from venues.simulator.server import AddressInUse, Simulator, running, serve

__all__ = [
    "AddressInUse",
    "BarsRejected",
    "Fault",
    "FaultBoard",
    "SimClock",
    "Simulator",
    "SimulatorConfig",
    "running",
    "serve",
]

"""An unmodified public client builds its markets from the simulator and reads candles from it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.venues.simulator.conftest import Start
from venues.simulator import Simulator

MIDNIGHT_MS = 1735689600000


def client(simulator: Simulator) -> Any:  # noqa: ANN401 - ccxt has no types
    exchange = ccxt.binance({"options": {"fetchCurrencies": False, "fetchMargins": False}})
    exchange.options["fetchMarkets"] = {"types": ["spot", "linear"]}
    exchange.urls["api"]["public"] = f"{simulator.spot_url}/api/v3"
    exchange.urls["api"]["v1"] = f"{simulator.spot_url}/api/v1"
    exchange.urls["api"]["fapiPublic"] = f"{simulator.usdm_url}/fapi/v1"
    exchange.enableRateLimit = False
    return exchange


@pytest.fixture
def exchange(seeded: Simulator) -> Iterator[Any]:
    one = client(seeded)
    yield one
    one.close() if hasattr(one, "close") else one.session.close()


def test_it_loads_both_markets_of_every_symbol(exchange: Any) -> None:  # noqa: ANN401 - ccxt has no types
    markets = exchange.load_markets()
    assert set(markets) == {"BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"}
    spot, perpetual = markets["BTC/USDT"], markets["BTC/USDT:USDT"]
    assert (spot["type"], spot["active"], perpetual["type"], perpetual["linear"]) == ("spot", True, "swap", True)
    assert Decimal(str(spot["precision"]["price"])) == Decimal("0.1")
    assert Decimal(str(perpetual["precision"]["amount"])) == Decimal("0.001")
    assert perpetual["limits"]["cost"]["min"] == 50


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT"])
def test_it_fetches_candles_of_spot_and_usdm(start_at: Start, symbol: str) -> None:
    one = client(start_at("2025-01-01T12:00:00Z"))
    candles = one.fetch_ohlcv(symbol, "1m", since=MIDNIGHT_MS - 300_000, limit=3)
    one.session.close()
    assert candles == [
        [MIDNIGHT_MS - 300_000, 100.0, 104.5, 99.0, 102.0, 10.5],
        [MIDNIGHT_MS - 240_000, 102.0, 103.0, 101.5, 101.5, 2.0],
        [MIDNIGHT_MS - 120_000, 101.5, 106.0, 101.5, 105.0, 0.125],
    ]


def test_it_sees_the_simulated_time(exchange: Any, seeded: Simulator) -> None:  # noqa: ANN401 - ccxt has no types
    assert exchange.fetch_time() == seeded.clock.now_ms()

"""The rules of an instrument for tests: BTCUSDT on USD-M futures, tick 0.1, step 0.001."""

from decimal import Decimal
from typing import Any

from contracts import InstrumentRules


def rules(**changes: Any) -> InstrumentRules:  # noqa: ANN401 - the model checks them
    fields: dict[str, Any] = {
        "venue": "binance_usdm",
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "contract_type": "PERPETUAL",
        "base": "BTC",
        "quote": "USDT",
        "tick_size": Decimal("0.1"),
        "min_price": Decimal("556.80"),
        "max_price": Decimal(4529764),
        "step_size": Decimal("0.001"),
        "min_qty": Decimal("0.001"),
        "max_qty": Decimal(1000),
        "market_step_size": Decimal("0.001"),
        "market_min_qty": Decimal("0.001"),
        "market_max_qty": Decimal(120),
        "min_notional": Decimal(50),
        "max_notional": None,
        "order_types": ("LIMIT", "MARKET", "STOP_MARKET"),
        "filters": (),
        "maker_fee": Decimal("0.0002"),
        "taker_fee": Decimal("0.0005"),
        "max_leverage": Decimal(20),
        "fees_source": "exchange",
    }
    return InstrumentRules(**fields | changes)

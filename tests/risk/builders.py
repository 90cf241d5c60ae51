"""One signal that every gate lets pass, and ways to change one thing about it.

Worked by hand once, for all tests: long 60,000.0 with the stop at 59,400.0 (1.5 atr14 of 400); tick 0.1, step 0.001,
fee 0.05 %, slippage 0.02 %; equity 10,000, hence a budget of 50.
The entry slips to 60,012.0, the stop of 59,400 to 59,388.12, in ticks 59,388.1. A unit loses 623.9 and fees of
0.0005 · 119,400.1 = 59.70005, together 683.60005. 50 / 683.60005 = 0.07314…: 0.073.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from risk import ClosedTrade, Funding, OpenBracket, Position, RiskContext, Signal
from tests.contracts.instruments import rules

TS = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


SPOT = {"venue": "binance_spot", "contract_type": "SPOT", "max_leverage": Decimal(1)}


def signal(**changes: Any) -> Signal:  # noqa: ANN401 - the model checks them
    fields: dict[str, Any] = {
        "signal_id": "0123456789abcdef01234567",
        "agent": "retest",
        "venue": "binance_usdm",
        "symbol": "BTCUSDT",
        "tf": "15m",
        "ts": TS,
        "side_hint": "LONG",
        "entry_hint": 60000.0,
        "sl_hint": 59400.0,
        "atr14": 400.0,
        "ttl_bars": 6,
        "score": 0.7,
        "structure_ok": True,
        "ema200": True,
        "macd": True,
        "rsi": False,
        "zone_kind": "OB",
        "zone_created_ts": TS - hours(5),
    }
    return Signal(**fields | changes)


def short(**changes: Any) -> Signal:  # noqa: ANN401 - the model checks them
    return signal(**{"side_hint": "SHORT", "sl_hint": 60600.0} | changes)


def funding(**changes: Any) -> Funding:  # noqa: ANN401 - the model checks them
    fields = {"next_time": TS + hours(6), "last_time": TS - hours(2), "last_rate": 0.0001}
    return Funding(**fields | changes)


def context(**changes: Any) -> RiskContext:  # noqa: ANN401 - the model checks them
    fields: dict[str, Any] = {
        "book": "paper",
        "account": "main",
        "now": TS + timedelta(seconds=2),
        "ts": TS,
        "close": 60000.0,
        "vol_state": "OK",
        "zone_status": "ACTIVE",
        "trading_state": "ACTIVE",
        "equity": Decimal(10_000),
        "day_start_equity": Decimal(10_000),
        "peak_equity": Decimal(10_000),
        "funding": funding(),
        "rules": rules(),
    }
    return RiskContext(**fields | changes)


def position(notional: int, **changes: Any) -> Position:  # noqa: ANN401 - the model checks them
    """A position of that notional whose stop stands at its entry, so that it puts nothing at risk."""
    fields: dict[str, Any] = {
        "venue": "binance_usdm",
        "symbol": "ETHUSDT",
        "profile": "default",
        "side": "LONG",
        "quantity": Decimal(notional) / 100,
        "entry_price": Decimal(100),
        "mark_price": Decimal(100),
        "stop": Decimal(100),
    }
    return Position(**fields | changes)


def bracket(**changes: Any) -> OpenBracket:  # noqa: ANN401 - the model checks them
    fields: dict[str, Any] = {
        "bracket_id": "fedcba9876543210fedcba98",
        "venue": "binance_usdm",
        "symbol": "BTCUSDT",
        "profile": "default",
        "side": "LONG",
        "unfilled": Decimal(0),
        "entry": Decimal(100),
        "stop": Decimal(90),
    }
    return OpenBracket(**fields | changes)


def trade(*, ago: timedelta, **changes: Any) -> ClosedTrade:  # noqa: ANN401 - the model checks them
    fields: dict[str, Any] = {
        "venue": "binance_usdm",
        "symbol": "BTCUSDT",
        "exit_ts": TS - ago,
        "r": -0.1 if changes.get("stopped") else 0.5,
        "stopped": False,
    }
    return ClosedTrade(**fields | changes)

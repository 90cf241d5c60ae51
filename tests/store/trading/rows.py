"""One row of each table of trading that every law holds for; a test changes what it is about.

insert(conn, "trading", "orders", order(client_order_id="td-1"))
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

AT = datetime(2022, 1, 1, 12, tzinfo=UTC)
BRACKET = "b" * 24
ORDER = uuid.UUID(int=1)


def decision(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """A BUY of 2 at 100 with a stop at 98."""
    return {
        "decision_id": "d" * 24,
        "bracket_id": BRACKET,
        "ts": AT,
        "evaluated_at": AT,
        "book": "live",
        "account": "main",
        "profile": "calm",
        "param_set": "f" * 64,
        "signal_id": "a" * 24,
        "venue": "binance_spot",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "size": Decimal(2),
        "entry": Decimal(100),
        "sl": Decimal(98),
        "tp_ladder": '[{"price": "104", "qty": "2"}]',
        "risk": '{"position_value": "200", "risk_amount": "4", "risk_reward": 2.0}',
        "gates": '[{"gate": "fresh", "passed": true, "value": null, "limit": null}]',
        "context": "{}",
        "rule_id": "retest",
        "confidence": 0.5,
        "reason": None,
        **changes,
    }


def hold(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """A HOLD for want of a price."""
    values = {"side": "HOLD", "size": 0, "entry": None, "sl": None, "tp_ladder": "[]", "reason": "fresh"}
    return decision(**{**values, **changes})


def outbox(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """A decision that waits to be sent."""
    return {"bracket_id": BRACKET, "payload": "{}", "state": "PENDING", "attempts": 0, "updated_at": AT, **changes}


def intent(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """An intent under the first token of the lease `router`."""
    return {
        "bracket_id": BRACKET,
        "payload": '{"as": "received"}',
        "plan": "{}",
        "lease_name": "router",
        "lease_token": 1,
        "state": "ACCEPTED",
        "created_at": AT,
        "updated_at": AT,
        **changes,
    }


def order(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """The entry of that bracket, not yet filled."""
    return {
        "order_id": ORDER,
        "client_order_id": f"td-{BRACKET}-E0-0",
        "bracket_id": BRACKET,
        "account": "main",
        "profile": "calm",
        "venue": "binance_spot",
        "symbol": "BTCUSDT",
        "role": "ENTRY",
        "rung": 0,
        "attempt": 0,
        "side": "BUY",
        "type": "LIMIT",
        "quantity": Decimal(2),
        "price": Decimal(100),
        "reduce_only": False,
        "filled_qty": 0,
        "status": "NEW",
        "created_at": AT,
        "updated_at": AT,
        **changes,
    }


def event(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """Its acknowledgement."""
    return {"order_id": ORDER, "seq": 1, "event_time": AT, "type": "ACK", "payload": "{}", **changes}


def fill(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """Half of it, filled."""
    return {
        "venue": "binance_spot",
        "account": "main",
        "symbol": "BTCUSDT",
        "trade_id": "7",
        "order_id": ORDER,
        "bracket_id": BRACKET,
        "qty": Decimal(1),
        "price": Decimal(100),
        "fee": Decimal("0.1"),
        "fee_asset": "USDT",
        "maker": True,
        "ts": AT,
        **changes,
    }


def position(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """What is held of it."""
    return {
        "position_id": uuid.UUID(int=2),
        "venue": "binance_spot",
        "account": "main",
        "symbol": "BTCUSDT",
        "profile": "calm",
        "bracket_id": BRACKET,
        "side": "LONG",
        "size": Decimal(1),
        "entry_price": Decimal(100),
        "realized_pnl": 0,
        "opened_at": AT,
        **changes,
    }


MAKERS = {
    "decisions": decision,
    "outbox": outbox,
    "intents": intent,
    "orders": order,
    "order_events": event,
    "fills": fill,
    "positions": position,
}


def insert(conn: psycopg.Connection, schema: str, table: str, row: Mapping[str, Any]) -> None:
    """Insert one row, a column a name."""
    conn.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(schema, table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        ),
        list(row.values()),
    )

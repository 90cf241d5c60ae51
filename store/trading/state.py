"""Who may trade what, now: a state for each scope, of which the strictest wins.

A scope is `global`, an account, a profile or a symbol, by its plain name: where two kinds share one, a state concerns
both, which is the strict reading. A scope without a row restricts nothing.
Invariant: no state changes without a row of the audit log, in the same transaction: a trigger writes it.

    change(conn, "global", to="REDUCING", reason="venue errors: 5 in 60 s", actor="router")
    restriction = strictest(conn, ["main", "calm", "BTCUSDT"])      # None = ACTIVE
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import psycopg
from psycopg import sql

from store.connections import translated
from store.errors import DatabaseRefused
from store.trading import Schema

GLOBAL: Final = "global"
State = Literal["ACTIVE", "REDUCING", "HALTED"]

# Of every scope, or what restricts one of `restricting`; the strictest first.
_SELECT: Final = sql.SQL(
    """
    SELECT scope, state, reason, actor, changed_at FROM {}
    WHERE %(restricting)s::text[] IS NULL OR scope = ANY(%(restricting)s) AND state <> 'ACTIVE'
    ORDER BY array_position(ARRAY['HALTED', 'REDUCING', 'ACTIVE'], state), scope
    """
)


@dataclass(frozen=True, slots=True)
class TradingState:
    """The state of one scope.

    Attributes:
        scope: `global`, an account, a profile or a symbol.
        state: ACTIVE, REDUCING = no entries, HALTED = entries cancelled and nothing new; stops always stay.
        reason: Why.
        actor: Who changed it.
        changed_at: When, by the database's clock.
    """

    scope: str
    state: State
    reason: str
    actor: str
    changed_at: datetime


def states(conn: psycopg.Connection, *, schema: Schema = "trading") -> list[TradingState]:
    """The state of every scope that ever had one, the strictest first, then by name."""
    with translated("list the states of trading", key=schema):
        rows = conn.execute(_SELECT.format(sql.Identifier(schema, "trading_state")), {"restricting": None}).fetchall()
    return [TradingState(*row) for row in rows]


def strictest(conn: psycopg.Connection, scopes: Iterable[str], *, schema: Schema = "trading") -> TradingState | None:
    """What restricts an order of these scopes.

    Args:
        conn: A connection.
        scopes: The order's account, profile and symbol, in any order; `global` is always asked for.
        schema: Real or paper.

    Returns:
        The strictest state, REDUCING or HALTED; None = nothing restricts it, it is ACTIVE.
    """
    asked = [GLOBAL, *scopes]
    with translated("read the state of trading", key=", ".join(asked)):
        row = conn.execute(_SELECT.format(sql.Identifier(schema, "trading_state")), {"restricting": asked}).fetchone()
    return None if row is None else TradingState(*row)


def change(
    conn: psycopg.Connection, scope: str, *, to: State, reason: str, actor: str, schema: Schema = "trading"
) -> TradingState:
    """Give a scope a state, the one it has included: who says it again is on record, too.

    Args:
        conn: A connection of the router's role; where it is in a transaction, do this last in it (`audit.append`).
        scope: `global`, an account, a profile or a symbol.
        to: The state.
        reason: Why, not empty.
        actor: A person or a part of the platform, not empty.
        schema: Real or paper.

    Raises:
        FrameRejected: A name or the reason is empty, or there is no such state; nothing was changed.
        DatabaseUnavailable: The server was lost; ask it for the states before anything else.
    """
    with translated(f"set the state of trading to {to}", key=scope), conn.transaction():
        row = conn.execute(
            sql.SQL(
                """
                INSERT INTO {} (scope, state, reason, actor, changed_at)
                VALUES (%(scope)s, %(state)s, %(reason)s, %(actor)s, clock_timestamp())
                ON CONFLICT (scope) DO UPDATE
                SET state = EXCLUDED.state, reason = EXCLUDED.reason, actor = EXCLUDED.actor,
                    changed_at = clock_timestamp()
                RETURNING scope, state, reason, actor, changed_at
                """
            ).format(sql.Identifier(schema, "trading_state")),
            {"scope": scope, "state": to, "reason": reason, "actor": actor},
        ).fetchone()
    if row is None:
        msg = f"set the state of trading of {scope!r} to {to}: the database told no row; ask for the states"
        raise DatabaseRefused(msg)
    return TradingState(*row)

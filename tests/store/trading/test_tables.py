"""The laws of migration 0009, tried on both schemas that it makes."""

import threading
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from store.connections import connect
from store.roles import OWNER, ROUTER
from store.trading import SCHEMAS, Schema
from store.trading.leases import acquire
from tests.databases import Database
from tests.store.trading.rows import AT, MAKERS, decision, event, fill, hold, insert, intent, order

LONG = timedelta(minutes=10)
NAN = Decimal("NaN")
ENDLESS = Decimal("Infinity")

SHAPE = """
    SELECT c.relname::text, 'column', a.attname::text, format_type(a.atttypid, a.atttypmod) || a.attnotnull::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = %(schema)s::text::regnamespace AND c.relkind = 'r' AND a.attnum > 0
    UNION ALL
    SELECT c.relname, 'constraint', k.conname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relnamespace = %(schema)s::text::regnamespace
    UNION ALL
    SELECT tablename, 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = %(schema)s::text
    UNION ALL
    SELECT c.relname, 'trigger', t.tgname, pg_get_triggerdef(t.oid) || t.tgenabled::text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = %(schema)s::text::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'function', p.proname, pg_get_functiondef(p.oid), array_to_string(p.proacl, ' ')
    FROM pg_proc p WHERE p.pronamespace = %(schema)s::text::regnamespace
    ORDER BY 1, 2, 3
"""


def test_paper_is_trading_once_more_to_the_last_law(admin: psycopg.Connection) -> None:
    shapes = {schema: admin.execute(SHAPE, {"schema": schema}).fetchall() for schema in SCHEMAS}
    assert len(shapes["trading"]) > 200
    renamed = [
        tuple(None if text is None else text.replace("paper.", "trading.") for text in row) for row in shapes["paper"]
    ]
    assert renamed == shapes["trading"]


@pytest.fixture(params=SCHEMAS)
def schema(request: pytest.FixtureRequest, router: psycopg.Connection) -> Schema:
    """Each of the two; the lease is held with token 1."""
    acquire(router, "router", holder="one", ttl=LONG)
    found: Schema = request.param
    return found


def law_broken_by(conn: psycopg.Connection, schema: Schema, table: str, row: dict[str, Any]) -> str | None:
    """The name of the law that kept a row out; None = it was let in. Nothing of it stays."""
    try:
        with conn.transaction(force_rollback=True):
            if table in {"order_events", "fills"}:
                insert(conn, schema, "orders", order())
            insert(conn, schema, table, row)
    except psycopg.IntegrityError as error:
        return error.diag.constraint_name or error.diag.column_name
    return None


@pytest.mark.parametrize("table", MAKERS)
def test_a_row_that_keeps_every_law_is_let_in(admin: psycopg.Connection, schema: Schema, table: str) -> None:
    assert law_broken_by(admin, schema, table, MAKERS[table]()) is None


@pytest.mark.parametrize(
    ("table", "changes", "law"),
    [
        ("decisions", {"decision_id": "D" * 24}, "decision_id_is_hex"),
        ("decisions", {"bracket_id": "b" * 23}, "bracket_id_is_hex"),
        ("decisions", {"book": "backtest"}, "book_known"),
        ("decisions", {"side": "LONG"}, "side_known"),
        ("decisions", {"size": 0}, "hold_has_no_size"),
        ("decisions", {"size": NAN}, "hold_has_no_size"),
        ("decisions", {"side": "HOLD", "reason": "fresh"}, "hold_has_no_size"),
        ("decisions", {"sl": None}, "acts_at_a_price_with_a_stop"),
        ("decisions", {"entry": None}, "acts_at_a_price_with_a_stop"),
        ("decisions", {"reason": "fresh"}, "hold_has_a_reason"),
        ("decisions", {"entry": NAN}, "entry_is_positive"),
        ("decisions", {"sl": -1}, "sl_is_positive"),
        ("decisions", {"gates": "{}"}, "gates_is_list"),
        ("decisions", {"confidence": float("nan")}, "confidence_is_finite"),
        ("outbox", {"state": "LOST"}, "state_known"),
        ("outbox", {"attempts": -1}, "attempts_are_counted"),
        ("intents", {"lease_token": 2}, "lease_is_held"),
        ("intents", {"lease_token": 0}, "lease_is_held"),
        ("intents", {"lease_name": "stream"}, "lease_is_held"),
        ("intents", {"lease_token": None}, "lease_is_held"),
        ("intents", {"plan": "[]"}, "plan_is_object"),
        ("orders", {"client_order_id": "x" * 37}, "client_order_id_is_safe"),
        ("orders", {"client_order_id": ""}, "client_order_id_is_safe"),
        ("orders", {"client_order_id": "td/1"}, "client_order_id_is_safe"),
        ("orders", {"client_order_id": "td-1\n"}, "client_order_id_is_safe"),
        ("orders", {"client_order_id": "tdé"}, "client_order_id_is_safe"),
        ("orders", {"client_order_id": None}, "client_order_id"),
        ("orders", {"role": "LIST"}, "role_known"),
        ("orders", {"attempt": -1}, "attempt_is_counted"),
        ("orders", {"side": "HOLD"}, "side_known"),
        ("orders", {"quantity": NAN, "filled_qty": 0}, "quantity_is_positive"),
        ("orders", {"quantity": ENDLESS}, "quantity_is_positive"),
        ("orders", {"price": 0}, "price_is_positive"),
        ("orders", {"stop_price": NAN}, "stop_price_is_positive"),
        ("orders", {"filled_qty": Decimal("2.00000001")}, "filled_is_part_of_it"),
        ("orders", {"filled_qty": NAN}, "filled_is_part_of_it"),
        ("orders", {"status": "new"}, "status_is_a_word"),
        ("order_events", {"type": "NEW"}, "type_known"),
        ("order_events", {"seq": -1}, "seq_is_counted"),
        ("order_events", {"order_id": uuid.UUID(int=9)}, "order_events_order_id_fkey"),
        ("fills", {"qty": 0}, "qty_is_positive"),
        ("fills", {"price": NAN}, "price_is_positive"),
        ("fills", {"fee": NAN}, "fee_is_finite"),
        ("fills", {"fee_asset": None}, "fee_has_an_asset"),
        ("fills", {"trade_id": ""}, "trade_has_an_id"),
        ("fills", {"order_id": uuid.UUID(int=9)}, "fills_order_id_fkey"),
        ("positions", {"side": "BUY"}, "side_known"),
        ("positions", {"size": -1}, "size_is_finite"),
        ("positions", {"closed_at": AT}, "closed_is_flat"),
        ("positions", {"size": 0, "closed_at": AT - timedelta(seconds=1)}, "times_are_ordered"),
        ("positions", {"realized_pnl": NAN}, "pnl_is_finite"),
        ("positions", {"unrealized_pnl": ENDLESS}, "pnl_is_finite"),
        ("positions", {"stop_order_id": uuid.UUID(int=9)}, "positions_stop_order_id_fkey"),
    ],
)
def test_a_row_that_breaks_a_law_is_kept_out_by_its_name(
    admin: psycopg.Connection, schema: Schema, table: str, changes: dict[str, Any], law: str
) -> None:
    assert law_broken_by(admin, schema, table, MAKERS[table](**changes)) == law


def test_a_bracket_is_acted_on_once_and_may_be_looked_at_often(admin: psycopg.Connection, schema: Schema) -> None:
    insert(admin, schema, "decisions", hold(decision_id="1" * 24))
    insert(admin, schema, "decisions", hold(decision_id="2" * 24))
    insert(admin, schema, "decisions", decision(decision_id="3" * 24))
    insert(admin, schema, "decisions", hold(decision_id="4" * 24))
    again = decision(decision_id="5" * 24, side="SELL")
    assert law_broken_by(admin, schema, "decisions", again) == "decisions_one_bracket_once"


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"rung": 1}, "client_order_id_is_unique"),
        ({"client_order_id": "another"}, "orders_one_attempt_once"),
        ({"client_order_id": "another", "attempt": 1}, None),
        ({"client_order_id": "another", "bracket_id": None}, None),
    ],
)
def test_an_order_has_a_name_of_its_own_and_an_attempt_is_made_once(
    admin: psycopg.Connection, schema: Schema, changes: dict[str, Any], law: str | None
) -> None:
    insert(admin, schema, "orders", order())
    assert law_broken_by(admin, schema, "orders", order(order_id=uuid.UUID(int=5), **changes)) == law


def test_a_fill_that_is_told_twice_is_one_row(router: psycopg.Connection, schema: Schema) -> None:
    insert(router, schema, "orders", order())
    insert(router, schema, "fills", fill())
    insert(router, schema, "fills", fill(account="other"))
    with pytest.raises(psycopg.errors.UniqueViolation, match="fills_pkey"):
        insert(router, schema, "fills", fill(price=Decimal(101)))


def test_what_happened_to_an_order_is_never_changed_by_anybody(
    database: Database, router: psycopg.Connection, schema: Schema
) -> None:
    insert(router, schema, "orders", order())
    insert(router, schema, "order_events", event())
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert(router, schema, "order_events", event(type="FILLED"))
    for dsn in (database.dsn(OWNER), database.admin_dsn):
        with connect(dsn) as conn:
            for change in ("UPDATE {}.order_events SET type = 'FILLED'", "DELETE FROM {}.order_events"):
                with pytest.raises(psycopg.errors.CheckViolation, match="append_only"):
                    conn.execute(change.format(schema).encode())
            with pytest.raises(psycopg.errors.CheckViolation, match="append_only"):
                conn.execute(f"TRUNCATE {schema}.orders CASCADE".encode())
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                conn.execute(f"DELETE FROM {schema}.orders".encode())  # noqa: S608 - one of two names


def test_an_intent_of_a_router_that_was_replaced_is_kept_out(router: psycopg.Connection, schema: Schema) -> None:
    insert(router, schema, "intents", intent())
    router.execute("UPDATE ops.leases SET expires_at = clock_timestamp()")
    # Nobody has taken it over: whoever does so later finds this row.
    insert(router, schema, "intents", intent(bracket_id="c" * 24))
    assert acquire(router, "router", holder="two", ttl=LONG).token == 2
    with pytest.raises(psycopg.errors.CheckViolation, match="token 1 of lease router is not the valid one \\(2\\)"):
        insert(router, schema, "intents", intent(bracket_id="d" * 24))
    insert(router, schema, "intents", intent(bracket_id="d" * 24, lease_token=2))
    router.execute(f"UPDATE {schema}.intents SET state = 'ENDED' WHERE lease_token = 1".encode())  # noqa: S608


def test_a_takeover_waits_for_the_intent_that_is_being_written(
    database: Database, router: psycopg.Connection, schema: Schema
) -> None:
    """Whoever has the lease has seen every intent of the one before: none comes in behind its back."""
    seen: list[int] = []

    def successor() -> None:
        with connect(database.dsn(ROUTER), application_name="successor") as own:
            acquire(own, "router", holder="two", ttl=LONG)
            row = own.execute(f"SELECT count(*) FROM {schema}.intents".encode()).fetchone()  # noqa: S608
            seen.append(-1 if row is None else row[0])

    router.execute("UPDATE ops.leases SET expires_at = clock_timestamp()")
    thread = threading.Thread(target=successor)
    with connect(database.admin_dsn) as watcher, router.transaction():
        insert(router, schema, "intents", intent())
        thread.start()
        for _ in range(2_000):
            waiting = watcher.execute(
                "SELECT pg_sleep(0.01), count(*) FROM pg_stat_activity "
                "WHERE application_name = 'successor' AND wait_event_type = 'Lock'"
            ).fetchone()
            if waiting is not None and waiting[1]:
                break
        assert seen == []
    thread.join(timeout=20)
    assert seen == [1]


def test_intents_written_at_once_do_not_wait_for_each_other(
    database: Database, router: psycopg.Connection, schema: Schema
) -> None:
    with connect(database.dsn(ROUTER), statement_timeout_s=10) as other, router.transaction():
        insert(router, schema, "intents", intent())
        insert(other, schema, "intents", intent(bracket_id="c" * 24))

from collections.abc import Sequence

import psycopg
import pytest

from store.connections import connect
from store.errors import DatabaseRefused, FrameRejected
from store.roles import API, STREAM
from store.trading import SCHEMAS, Schema
from store.trading.audit import verify
from store.trading.state import State, change, states, strictest
from tests.databases import Database

ORDER = ("main", "calm", "BTCUSDT")


def test_nothing_restricts_where_nobody_said_so(router: psycopg.Connection) -> None:
    assert states(router) == []
    assert strictest(router, ORDER) is None


@pytest.mark.parametrize(
    ("given", "ruling"),
    [
        ([("global", "ACTIVE")], None),
        ([("global", "REDUCING")], ("global", "REDUCING")),
        ([("BTCUSDT", "REDUCING"), ("main", "HALTED")], ("main", "HALTED")),
        ([("global", "ACTIVE"), ("calm", "REDUCING")], ("calm", "REDUCING")),
        ([("ETHUSDT", "HALTED"), ("other", "HALTED")], None),
        ([("global", "HALTED"), ("calm", "ACTIVE"), ("BTCUSDT", "REDUCING")], ("global", "HALTED")),
    ],
)
def test_of_the_scopes_of_an_order_and_the_global_one_the_strictest_rules(
    router: psycopg.Connection, given: Sequence[tuple[str, State]], ruling: tuple[str, State] | None
) -> None:
    for scope, state in given:
        change(router, scope, to=state, reason="drill", actor="ada")
    found = strictest(router, ORDER)
    assert (None if found is None else (found.scope, found.state)) == ruling


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_change_is_on_record_and_the_last_one_stands(router: psycopg.Connection, schema: Schema) -> None:
    first = change(router, "global", to="HALTED", reason="drawdown", actor="router", schema=schema)
    again = change(router, "global", to="HALTED", reason="by hand, too", actor="ada", schema=schema)
    last = change(router, "global", to="ACTIVE", reason="over", actor="ada", schema=schema)
    assert first.changed_at < again.changed_at < last.changed_at
    assert (last.scope, last.state, last.reason, last.actor) == ("global", "ACTIVE", "over", "ada")
    assert states(router, schema=schema) == [last]
    assert verify(router, schema=schema) is None
    logged = router.execute(f"SELECT actor, action, payload FROM {schema}.audit_log ORDER BY seq".encode())  # noqa: S608
    steps = [(None, "HALTED", "drawdown"), ("HALTED", "HALTED", "by hand, too"), ("HALTED", "ACTIVE", "over")]
    assert logged.fetchall() == [
        (actor, "trading_state", {"scope": "global", "from": old, "to": new, "reason": reason})
        for actor, (old, new, reason) in zip(["router", "ada", "ada"], steps, strict=True)
    ]


def test_the_state_of_paper_is_not_that_of_trading(router: psycopg.Connection) -> None:
    change(router, "global", to="HALTED", reason="drill", actor="ada", schema="paper")
    assert strictest(router, ORDER) is None
    assert [one.state for one in states(router, schema="paper")] == ["HALTED"]


def test_states_are_listed_the_strictest_first(router: psycopg.Connection) -> None:
    given: list[tuple[str, State]] = [("a", "ACTIVE"), ("b", "REDUCING"), ("c", "HALTED"), ("d", "REDUCING")]
    for scope, state in given:
        change(router, scope, to=state, reason="drill", actor="ada")
    assert [one.scope for one in states(router)] == ["c", "b", "d", "a"]


def test_a_change_that_is_rolled_back_is_not_on_record(router: psycopg.Connection) -> None:
    with router.transaction(force_rollback=True):
        change(router, "global", to="HALTED", reason="drill", actor="ada")
    assert states(router) == []
    assert router.execute("SELECT count(*) FROM trading.audit_log").fetchone() == (0,)


@pytest.mark.parametrize(
    ("values", "law"),
    [
        (("", "HALTED", "drill", "ada"), "scope_has_a_name"),
        (("global", "PAUSED", "drill", "ada"), "state_known"),
        (("global", "HALTED", "", "ada"), "reason_is_told"),
        (("global", "HALTED", "drill", ""), "actor_has_a_name"),
    ],
)
def test_a_change_without_a_scope_a_state_a_reason_or_an_actor_is_refused(
    router: psycopg.Connection, values: tuple[str, State, str, str], law: str
) -> None:
    scope, state, reason, actor = values
    with pytest.raises(FrameRejected, match=law):
        change(router, scope, to=state, reason=reason, actor=actor)
    assert states(router) == []


def test_no_state_changes_past_the_audit_log_and_none_is_forgotten(
    router: psycopg.Connection, admin: psycopg.Connection
) -> None:
    change(router, "global", to="HALTED", reason="drill", actor="ada")
    admin.execute("UPDATE trading.trading_state SET state = 'ACTIVE', actor = 'eve', reason = 'quietly'")
    assert admin.execute("SELECT actor, payload ->> 'to' FROM trading.audit_log WHERE seq = 2").fetchone() == (
        "eve",
        "ACTIVE",
    )
    for statement in (b"DELETE FROM trading.trading_state", b"TRUNCATE trading.trading_state"):
        with pytest.raises(psycopg.errors.CheckViolation, match="append_only"):
            admin.execute(statement)


@pytest.mark.parametrize("role", [STREAM, API])
def test_others_read_the_states_and_do_not_set_them(database: Database, router: psycopg.Connection, role: str) -> None:
    stands = change(router, "BTCUSDT", to="REDUCING", reason="drill", actor="ada")
    with connect(database.dsn(role)) as other:
        assert strictest(other, ORDER) == stands
        with pytest.raises(DatabaseRefused, match="permission denied for table trading_state"):
            change(other, "global", to="ACTIVE", reason="please", actor="eve")

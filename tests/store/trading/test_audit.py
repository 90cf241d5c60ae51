import hashlib
import threading
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from store.connections import connect
from store.errors import DatabaseRefused, FrameRejected
from store.roles import API, OWNER, ROUTER
from store.trading import SCHEMAS, Schema
from store.trading.audit import GENESIS, Broken, Head, append, head, row_hash, verify
from tests.databases import Database

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fill(router: psycopg.Connection, rows: int = 5, *, schema: Schema = "trading") -> Head:
    for n in range(1, rows + 1):
        last = append(router, "tried", actor="ada", payload={"n": n, "why": "über: 5,1:x"}, schema=schema)
    return last


def tamper(admin: psycopg.Connection, *statements: str) -> None:
    """Do what nobody can: as the superuser, with every law of the table switched off."""
    with admin.transaction():
        admin.execute("ALTER TABLE trading.audit_log DISABLE TRIGGER refuse_change")
        admin.execute("ALTER TABLE trading.audit_log DROP CONSTRAINT IF EXISTS hash_is_its_own")
        for statement in statements:
            admin.execute(statement.encode())
        admin.execute("ALTER TABLE trading.audit_log ENABLE ALWAYS TRIGGER refuse_change")


REWRITTEN_FROM_3 = """
DO $$
DECLARE
    one trading.audit_log;
    before text := (SELECT hash FROM trading.audit_log WHERE seq = 2);
BEGIN
    FOR one IN SELECT * FROM trading.audit_log WHERE seq >= 3 ORDER BY seq LOOP
        before := trading.audit_hash(one.seq, one.at, 'eve', one.action, one.payload, before);
        UPDATE trading.audit_log SET actor = 'eve', hash = before,
            prev_hash = (SELECT hash FROM trading.audit_log AS last WHERE last.seq = one.seq - 1)
        WHERE seq = one.seq;
    END LOOP;
END
$$
"""


def test_a_hash_is_the_sha256_of_parts_behind_their_lengths() -> None:
    written = "1:1,16:1640995200000000,3:ada,4:halt,2:{},64:" + "0" * 64 + ","
    assert (
        row_hash("1", "1640995200000000", "ada", "halt", "{}", "0" * 64) == hashlib.sha256(written.encode()).hexdigest()
    )
    # Lengths are of bytes.
    assert row_hash("é") == hashlib.sha256("2:é,".encode()).hexdigest()


def test_rows_are_numbered_from_one_and_each_holds_the_hash_before_it(router: psycopg.Connection) -> None:
    assert head(router) is None
    first = append(router, "halt", actor="ada", payload={"scope": "global", "limit": "0.10", "n": 1.50})
    second = append(router, "resume", actor="ada", payload={})
    assert head(router) == second
    rows = router.execute("SELECT * FROM trading.audit_log ORDER BY seq").fetchall()
    assert [(row[0], *row[2:6]) for row in rows] == [
        (1, "ada", "halt", {"n": 1.5, "limit": "0.10", "scope": "global"}, GENESIS),
        (2, "ada", "resume", {}, first.hash),
    ]
    assert [Head(row[0], row[6]) for row in rows] == [first, second]
    # Worked out here from what was read, with PostgreSQL's order of names: the shorter first.
    at = round((rows[0][1] - EPOCH).total_seconds() * 1_000_000)
    payload = '{"n": 1.5, "limit": "0.10", "scope": "global"}'
    assert first.hash == row_hash("1", str(at), "ada", "halt", payload, GENESIS)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_schema_has_a_log_of_its_own_that_is_whole(router: psycopg.Connection, schema: Schema) -> None:
    last = fill(router, schema=schema)
    assert last.seq == 5
    assert [head(router, schema=one) for one in SCHEMAS] == [last if one == schema else None for one in SCHEMAS]
    assert verify(router, schema=schema, exported=last) is None


def test_a_log_longer_than_one_fetch_is_walked_to_its_end(router: psycopg.Connection) -> None:
    router.execute("SELECT trading.append_audit('ada', 'tried', '{}') FROM generate_series(1, 4500)")
    last = head(router)
    assert last is not None
    assert last.seq == 4500
    assert verify(router, exported=last) is None
    assert verify(router, exported=Head(4501, last.hash)) == Broken(
        4501, "the row is missing: the log ends here, a head of row 4501 was exported"
    )


def test_an_empty_log_is_whole_unless_a_head_of_it_was_exported(router: psycopg.Connection) -> None:
    assert verify(router) is None
    broken = verify(router, exported=Head(3, GENESIS))
    assert broken is not None
    assert broken.seq == 1


@pytest.mark.parametrize(
    ("statement", "seq", "why"),
    [
        ("UPDATE trading.audit_log SET payload = '{\"n\": 2}' WHERE seq = 3", 3, "its content has the hash"),
        ("UPDATE trading.audit_log SET actor = 'eve' WHERE seq = 1", 1, "its content has the hash"),
        ("UPDATE trading.audit_log SET action = 'tries' WHERE seq = 5", 5, "its content has the hash"),
        ("UPDATE trading.audit_log SET at = at + interval '1 microsecond' WHERE seq = 2", 2, "its content"),
        ("UPDATE trading.audit_log SET at = 'infinity' WHERE seq = 2", 2, "its content has the hash"),
        ("UPDATE trading.audit_log SET hash = repeat('a', 64) WHERE seq = 4", 4, "its content has the hash"),
        ("UPDATE trading.audit_log SET prev_hash = repeat('a', 64) WHERE seq = 4", 4, "it follows a row with hash a"),
        ("DELETE FROM trading.audit_log WHERE seq = 3", 3, "the row is missing: row 4 follows row 2"),
        ("DELETE FROM trading.audit_log WHERE seq < 3", 1, "the row is missing: row 3 follows row 0"),
        (
            "UPDATE trading.audit_log SET actor = 'eve', hash = trading.audit_hash(seq, at, 'eve', action, payload, "
            "prev_hash) WHERE seq = 3",
            4,
            "it follows a row with hash",
        ),
        (
            "UPDATE trading.audit_log AS a SET action = b.action, payload = b.payload FROM trading.audit_log AS b "
            "WHERE a.seq IN (2, 3) AND b.seq = 5 - a.seq",
            2,
            "its content has the hash",
        ),
    ],
)
def test_whatever_was_done_to_a_row_is_found_and_the_first_such_row_told(
    router: psycopg.Connection, admin: psycopg.Connection, statement: str, seq: int, why: str
) -> None:
    fill(router)
    tamper(admin, statement)
    broken = verify(router)
    assert broken is not None
    assert (broken.seq, why in broken.why) == (seq, True), broken


@pytest.mark.parametrize(
    ("statement", "seq"),
    [("DELETE FROM trading.audit_log WHERE seq > 3", 4), (REWRITTEN_FROM_3, 5)],
    ids=["cut off", "written anew"],
)
def test_a_log_that_looks_whole_is_found_out_by_an_exported_head(
    router: psycopg.Connection, admin: psycopg.Connection, statement: str, seq: int
) -> None:
    exported = fill(router)
    tamper(admin, statement)
    assert verify(router) is None
    broken = verify(router, exported=exported)
    assert broken is not None
    assert broken.seq == seq


CHANGES = [
    "UPDATE trading.audit_log SET actor = 'eve' WHERE seq = 1",
    "UPDATE trading.audit_log SET actor = 'eve' WHERE false",
    "DELETE FROM trading.audit_log",
    "TRUNCATE trading.audit_log",
    "TRUNCATE trading.audit_log, trading.trading_state",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_nobody_changes_the_log_not_even_its_owner_or_a_superuser(
    database: Database, router: psycopg.Connection, statement: str
) -> None:
    fill(router)
    for dsn in (database.dsn(OWNER), database.admin_dsn):
        with connect(dsn) as conn, pytest.raises(psycopg.errors.CheckViolation, match="append_only"):
            conn.execute(statement.encode())
    with connect(database.admin_dsn) as superuser:
        superuser.execute("SET session_replication_role = replica")  # which makes other triggers silent
        with pytest.raises(psycopg.errors.CheckViolation, match="append_only"):
            superuser.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        router.execute(statement.encode())


def test_a_row_that_does_not_have_its_own_hash_is_not_let_in_even_past_the_function(database: Database) -> None:
    with connect(database.dsn(OWNER)) as owner, pytest.raises(psycopg.errors.CheckViolation, match="hash_is_its_own"):
        owner.execute(
            "INSERT INTO trading.audit_log VALUES (1, now(), 'eve', 'tried', '{}', repeat('0', 64), repeat('a', 64))"
        )


def test_appends_from_many_connections_at_once_make_one_chain(database: Database, router: psycopg.Connection) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with connect(database.dsn(ROUTER)) as own:
                for n in range(25):
                    append(own, "tried", actor=name, payload={"n": n})
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=[f"writer {k}"]) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    last = head(router)
    assert last is not None
    assert last.seq == 100
    assert verify(router) is None


def test_what_is_rolled_back_leaves_no_hole(router: psycopg.Connection) -> None:
    fill(router, 2)
    with router.transaction(force_rollback=True):
        append(router, "tried", actor="ada", payload={})
    assert fill(router, 1).seq == 3
    assert verify(router) is None


def test_names_that_a_caller_puts_in_front_of_the_catalogs_own_are_not_used(
    database: Database, router: psycopg.Connection, admin: psycopg.Connection
) -> None:
    admin.execute("CREATE SCHEMA trap; GRANT USAGE ON SCHEMA trap TO PUBLIC")
    admin.execute(
        "CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT 'epoch'::timestamptz$$"
    )
    admin.execute("CREATE FUNCTION trap.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$SELECT 'x'::bytea$$")
    router.execute("SET search_path = trap, pg_catalog")
    append(router, "tried", actor="ada", payload={})
    router.execute("RESET search_path")
    assert verify(router) is None
    assert router.execute("SELECT at > '2020-01-01' FROM trading.audit_log").fetchone() == (True,)


def test_a_payload_that_is_no_json_and_an_actor_without_a_name_are_refused(router: psycopg.Connection) -> None:
    with pytest.raises(FrameRejected, match="the payload of 'tried' cannot be stored as JSON"):
        append(router, "tried", actor="ada", payload={"limit": float("nan")})
    with pytest.raises(FrameRejected, match="actor_has_a_name"):
        append(router, "tried", actor="", payload={})
    with pytest.raises(FrameRejected, match="append to the audit log for tried"):
        append(router, "tried", actor="ada", payload={"text": "\0"})
    assert head(router) is None


def test_who_reads_may_prove_the_log_and_not_write_it(database: Database, router: psycopg.Connection) -> None:
    last = fill(router)
    with connect(database.dsn(API)) as reader:
        assert verify(reader, exported=last) is None
        with pytest.raises(DatabaseRefused, match="permission denied for function append_audit"):
            append(reader, "tried", actor="eve", payload={})
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(sql.SQL("INSERT INTO trading.audit_log DEFAULT VALUES"))

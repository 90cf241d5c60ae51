"""`tidemark audit verify` on the session's database: both logs, whole and tampered with."""

from __future__ import annotations

import re

import pytest

from store.connections import connect
from store.roles import ROUTER
from store.trading.audit import append
from store.trading.state import change
from tests.databases import Database
from tests.e2e.commands import Ended, run


@pytest.fixture
def variables(database: Database) -> dict[str, str]:
    """The platform on a database whose log of real trading has four rows, that of paper one."""
    with connect(database.dsn(ROUTER)) as router:
        for n in range(3):
            append(router, "tried", actor="ada", payload={"n": n})
        change(router, "global", to="HALTED", reason="drill", actor="ada")
        append(router, "tried", actor="ada", payload={}, schema="paper")
    return {"TIDEMARK_BATCH_URL": database.dsn("tidemark_batch")}


def verify(*arguments: str, variables: dict[str, str]) -> Ended:
    return run("audit", "verify", *arguments, variables=variables)


def tamper(database: Database, statement: str) -> None:
    with connect(database.admin_dsn) as superuser:
        superuser.execute("ALTER TABLE trading.audit_log DISABLE TRIGGER refuse_change")
        superuser.execute("ALTER TABLE trading.audit_log DROP CONSTRAINT hash_is_its_own")
        superuser.execute(statement.encode())


def head_of(ended: Ended) -> str:
    [found] = re.findall(r"^trading\.audit_log is whole: 4 rows, head (4:[0-9a-f]{64})$", ended.out, re.MULTILINE)
    return str(found)


def test_whole_logs_are_told_with_their_heads(variables: dict[str, str]) -> None:
    ended = verify(variables=variables)
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"^paper\.audit_log is whole: 1 rows, head 1:[0-9a-f]{64}$", ended.out, re.MULTILINE)
    assert verify("--head", head_of(ended), variables=variables) == ended


def test_an_empty_log_is_whole(database: Database) -> None:
    ended = verify(variables={"TIDEMARK_BATCH_URL": database.dsn("tidemark_batch")})
    assert (ended.code, ended.out) == (0, "trading.audit_log is empty\npaper.audit_log is empty\n")


def test_the_first_broken_row_is_told_and_the_command_fails(database: Database, variables: dict[str, str]) -> None:
    tamper(database, "UPDATE trading.audit_log SET actor = 'eve' WHERE seq IN (2, 3)")
    ended = verify(variables=variables)
    assert ended.code == 1
    assert ended.err.startswith("error: trading.audit_log is broken at row 2: its content has the hash")
    assert ended.out.startswith("paper.audit_log is whole: 1 rows")


def test_a_log_that_was_cut_off_is_found_out_by_the_head_that_was_kept(
    database: Database, variables: dict[str, str]
) -> None:
    kept = head_of(verify(variables=variables))
    tamper(database, "DELETE FROM trading.audit_log WHERE seq = 4")
    assert verify(variables=variables).code == 0
    ended = verify("--head", kept, variables=variables)
    assert (ended.code, "broken at row 4: the row is missing" in ended.err) == (1, True)


@pytest.mark.parametrize("head", ["4", "0:" + "a" * 64, "4:" + "A" * 64, "4:" + "a" * 63])
def test_a_head_that_is_none_is_refused(variables: dict[str, str], head: str) -> None:
    ended = verify("--head", head, variables=variables)
    assert (ended.code, "a head is NUMBER:HASH" in ended.err) == (1, True)

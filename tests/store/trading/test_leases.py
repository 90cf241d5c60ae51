import threading
from datetime import timedelta

import psycopg
import pytest

from contracts import Halt, Retryable
from store.connections import connect
from store.errors import LeaseHeld, LeaseLost
from store.roles import ROUTER
from store.trading.leases import Lease, acquire, release, renew
from tests.databases import Database

LONG = timedelta(minutes=10)


def run_out(conn: psycopg.Connection, name: str = "router") -> None:
    """Let the time of a lease be over, without waiting for it."""
    conn.execute("UPDATE ops.leases SET expires_at = clock_timestamp() WHERE name = %s", [name])


def test_a_lease_that_nobody_had_is_granted_by_the_clock_of_the_database(router: psycopg.Connection) -> None:
    before = router.execute("SELECT clock_timestamp()").fetchone()
    lease = acquire(router, "router", holder="one", ttl=LONG)
    assert before is not None
    assert (lease.name, lease.holder, lease.token) == ("router", "one", 1)
    assert lease.acquired_at >= before[0]
    assert timedelta(0) <= lease.expires_at - lease.acquired_at - LONG < timedelta(seconds=5)


@pytest.mark.parametrize("holder", ["two", "one"])
def test_a_lease_that_somebody_has_is_refused_and_tells_who_and_for_how_long(
    router: psycopg.Connection, holder: str
) -> None:
    held = acquire(router, "router", holder="one", ttl=LONG)
    with pytest.raises(LeaseHeld, match=rf"'router' for {holder}: one holds it with token 1 for another") as refused:
        acquire(router, "router", holder=holder, ttl=LONG)
    assert isinstance(refused.value, Retryable)
    assert refused.value.retry_after is not None
    assert 500 < refused.value.retry_after <= 600
    assert renew(router, held, ttl=LONG).token == held.token


def test_what_is_taken_over_has_a_greater_token_and_the_old_holder_must_stop(router: psycopg.Connection) -> None:
    old = acquire(router, "router", holder="one", ttl=LONG)
    run_out(router)
    new = acquire(router, "router", holder="two", ttl=LONG)
    assert (new.holder, new.token) == ("two", 2)
    with pytest.raises(LeaseLost, match="'router' of one with token 1: two stands there with token 2") as lost:
        renew(router, old, ttl=LONG)
    assert isinstance(lost.value, Halt)
    assert not release(router, old)
    assert renew(router, new, ttl=LONG).token == 2


def test_a_renewed_lease_lasts_longer_and_keeps_its_token(router: psycopg.Connection) -> None:
    lease = acquire(router, "router", holder="one", ttl=timedelta(seconds=30))
    renewed = renew(router, lease, ttl=LONG)
    assert (renewed.token, renewed.acquired_at) == (lease.token, lease.acquired_at)
    assert renewed.expires_at > lease.expires_at


def test_a_lease_that_ran_out_and_was_not_taken_is_renewed(router: psycopg.Connection) -> None:
    lease = acquire(router, "router", holder="one", ttl=LONG)
    run_out(router)
    assert renew(router, lease, ttl=LONG).token == lease.token
    with pytest.raises(LeaseHeld):
        acquire(router, "router", holder="two", ttl=LONG)


def test_a_lease_that_was_given_back_is_free_at_once_and_shuts_its_holder_out(router: psycopg.Connection) -> None:
    lease = acquire(router, "router", holder="one", ttl=LONG)
    assert release(router, lease)
    assert not release(router, lease)
    with pytest.raises(LeaseLost):
        renew(router, lease, ttl=LONG)
    assert acquire(router, "router", holder="two", ttl=LONG).token == 3


def test_a_lease_that_was_never_granted_cannot_be_renewed(router: psycopg.Connection) -> None:
    lease = acquire(router, "router", holder="one", ttl=LONG)
    forged = Lease("other", lease.holder, lease.token, lease.acquired_at, lease.expires_at)
    with pytest.raises(LeaseLost, match="it was never granted here"):
        renew(router, forged, ttl=LONG)
    with pytest.raises(LeaseLost):
        renew(router, Lease("router", "two", 1, lease.acquired_at, lease.expires_at), ttl=LONG)


def test_leases_of_other_names_do_not_concern_each_other(router: psycopg.Connection) -> None:
    assert acquire(router, "router", holder="one", ttl=LONG).token == 1
    assert acquire(router, "stream", holder="two", ttl=LONG).token == 1


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1)])
def test_a_lease_without_a_length_is_a_mistake(router: psycopg.Connection, ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="a lease lasts for a time"):
        acquire(router, "router", holder="one", ttl=ttl)
    assert router.execute("SELECT count(*) FROM ops.leases").fetchone() == (0,)


@pytest.mark.parametrize("before", [False, True], ids=["never granted", "run out"])
def test_of_connections_that_race_for_a_lease_one_gets_it(
    database: Database, router: psycopg.Connection, *, before: bool
) -> None:
    if before:
        acquire(router, "router", holder="dead", ttl=LONG)
        run_out(router)
    start = threading.Barrier(4)
    granted: list[Lease] = []
    refused: list[str] = []

    def work(name: str) -> None:
        with connect(database.dsn(ROUTER)) as own:
            start.wait(timeout=20)
            try:
                granted.append(acquire(own, "router", holder=name, ttl=LONG))
            except LeaseHeld:
                refused.append(name)

    threads = [threading.Thread(target=work, args=[f"router {k}"]) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (len(granted), len(refused)) == (1, 3)
    assert granted[0].token == 1 + before


def test_who_waited_for_the_row_of_a_lease_is_refused_by_what_was_committed_meanwhile(
    database: Database, router: psycopg.Connection
) -> None:
    """The one that waits began when the lease had run out; what it sees must be the takeover it waited for."""
    acquire(router, "router", holder="dead", ttl=LONG)
    run_out(router)
    outcome: list[str] = []

    def late() -> None:
        with connect(database.dsn(ROUTER), application_name="late") as own:
            try:
                acquire(own, "router", holder="late", ttl=LONG)
            except LeaseHeld as error:
                outcome.append(str(error))

    thread = threading.Thread(target=late)
    with connect(database.admin_dsn) as watcher, router.transaction():
        acquire(router, "router", holder="first", ttl=LONG)
        thread.start()
        for _ in range(2_000):
            waiting = watcher.execute(
                "SELECT pg_sleep(0.01), count(*) FROM pg_stat_activity "
                "WHERE application_name = 'late' AND wait_event_type = 'Lock'"
            ).fetchone()
            if waiting is not None and waiting[1]:
                break
    thread.join(timeout=20)
    assert len(outcome) == 1
    assert "first holds it with token 2" in outcome[0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ops.leases SET token = 1",
        "UPDATE ops.leases SET holder = 'two'",
        "UPDATE ops.leases SET name = 'other', token = 9",
        "UPDATE ops.leases SET acquired_at = now()",
    ],
)
def test_a_token_never_shrinks_and_a_lease_changes_hands_only_with_a_greater_one(
    database: Database, router: psycopg.Connection, statement: str
) -> None:
    release(router, acquire(router, "router", holder="one", ttl=LONG))
    acquire(router, "router", holder="one", ttl=LONG)
    for dsn in (database.dsn(ROUTER), database.admin_dsn):
        with connect(dsn) as conn, pytest.raises(psycopg.errors.CheckViolation, match="tokens_grow"):
            conn.execute(statement.encode())


@pytest.mark.parametrize("statement", ["DELETE FROM ops.leases", "TRUNCATE ops.leases"])
def test_nobody_forgets_a_lease_for_its_token_would_begin_again(admin: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="append_only"):
        admin.execute(statement.encode())

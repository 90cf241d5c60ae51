import psycopg

from store.snapshots import Snapshot, drop_from, latest, snapshot_at, write_snapshot
from tests.store.frames import KEY, T0, minutes

PARAMS = "a" * 64


def shot(slot: int, *, live: bool = False, params: str = PARAMS, state: bytes = b"\x00state\xff") -> Snapshot:
    return Snapshot(KEY, T0 + minutes(slot), params, 1, f"{slot:064x}", state, live)


def test_a_snapshot_comes_back_as_it_was_written(conn: psycopg.Connection) -> None:
    write_snapshot(conn, shot(5, state=bytes(range(256)) * 40))
    assert snapshot_at(conn, KEY, T0 + minutes(5), params_hash=PARAMS, engine_version=1) == shot(
        5, state=bytes(range(256)) * 40
    )
    assert snapshot_at(conn, KEY, T0 + minutes(6), params_hash=PARAMS, engine_version=1) is None


def test_the_latest_snapshot_is_the_last_one_of_that_engine_up_to_then(conn: psycopg.Connection) -> None:
    for snapshot in (shot(1), shot(3), shot(9), shot(4, params="b" * 64)):
        write_snapshot(conn, snapshot)
    found = latest(conn, KEY, params_hash=PARAMS, engine_version=1, until=T0 + minutes(8))
    assert found == shot(3)
    assert latest(conn, KEY, params_hash=PARAMS, engine_version=2, until=T0 + minutes(8)) is None
    other = KEY.instrument.series("5m")
    assert latest(conn, other, params_hash=PARAMS, engine_version=1, until=T0 + minutes(8)) is None


def test_the_same_instant_again_replaces_the_state(conn: psycopg.Connection) -> None:
    write_snapshot(conn, shot(1))
    write_snapshot(conn, shot(1, state=b"new"))
    assert latest(conn, KEY, params_hash=PARAMS, engine_version=1, until=T0 + minutes(1)) == shot(1, state=b"new")


def test_of_live_snapshots_the_last_three_stay_and_month_ends_are_kept(conn: psycopg.Connection) -> None:
    write_snapshot(conn, shot(0))
    for slot in range(1, 7):
        write_snapshot(conn, shot(slot, live=True))
    rows = conn.execute("SELECT ts, live FROM analysis.engine_snapshots ORDER BY ts").fetchall()
    assert rows == [(T0, False), *((T0 + minutes(slot), True) for slot in (4, 5, 6))]


def test_snapshots_from_an_instant_on_can_be_dropped(conn: psycopg.Connection) -> None:
    for slot in (1, 2, 3):
        write_snapshot(conn, shot(slot))
    assert drop_from(conn, KEY, T0 + minutes(2)) == 2
    assert latest(conn, KEY, params_hash=PARAMS, engine_version=1, until=T0 + minutes(9)) == shot(1)

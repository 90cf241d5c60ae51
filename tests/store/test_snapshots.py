from datetime import UTC, date, datetime

import psycopg

from store.ledger import write_digest
from store.snapshots import Snapshot, drop_from, first_outdated, latest, snapshot_at, write_snapshot
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


def test_the_first_outdated_month_is_the_first_whose_candles_are_others_than_those_of_its_snapshot(
    conn: psycopg.Connection,
) -> None:
    first, second = date(2022, 1, 1), date(2022, 2, 1)
    for month in (first, second):
        write_digest(conn, KEY, month, rows=1, sha256=f"{month.month:064x}", computed_at=T0)
    assert first_outdated(conn, KEY) is None  # never analysed
    rechained(conn, "a", "b")
    # A state at the turn of the month has seen the month before.
    ends = {first: datetime(2022, 2, 1, tzinfo=UTC), second: datetime(2022, 2, 9, tzinfo=UTC)}
    for month, chain in ((first, "a"), (second, "b")):
        write_snapshot(conn, Snapshot(KEY, ends[month], PARAMS, 1, chain * 64, b""))
    assert first_outdated(conn, KEY) is None
    rechained(conn, "a", "c")
    assert first_outdated(conn, KEY) == second
    rechained(conn, "d", None)
    assert first_outdated(conn, KEY) == first
    assert first_outdated(conn, KEY.instrument.series("5m")) is None


def test_what_runs_live_makes_no_month_outdated(conn: psycopg.Connection) -> None:
    write_digest(conn, KEY, date(2022, 1, 1), rows=1, sha256="0" * 64, computed_at=T0)
    write_snapshot(conn, shot(5, live=True))
    assert first_outdated(conn, KEY) is None


def rechained(conn: psycopg.Connection, *chains: str | None) -> None:
    """The chains of January and February are these now."""
    for month, chain in enumerate(chains, start=1):
        conn.execute(
            "UPDATE market.candle_digests SET chain = %s WHERE month = %s",
            [None if chain is None else chain * 64, date(2022, month, 1)],
        )

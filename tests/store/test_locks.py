import threading

import pytest

from contracts import InstrumentKey
from store.connections import connect
from store.errors import DatabaseUnavailable
from store.locks import instrument_lock
from store.roles import BATCH
from tests.databases import Database

BTC = InstrumentKey("binance_usdm", "BTCUSDT")
ETH = InstrumentKey("binance_usdm", "ETHUSDT")


def never() -> None:
    pytest.fail("nobody holds this instrument")


def test_the_second_holder_says_that_it_waits_and_then_follows(database: Database) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with connect(database.dsn(BATCH)) as own, instrument_lock(own, BTC, on_wait=waiting.set):
            order.append("second")

    with connect(database.dsn(BATCH)) as conn:
        thread = threading.Thread(target=second)
        with instrument_lock(conn, BTC, on_wait=never):
            thread.start()
            assert waiting.wait(timeout=20)
            order.append("first")
        thread.join(timeout=20)
    assert order == ["first", "second"]


def test_instruments_do_not_wait_for_each_other_and_one_holder_may_enter_twice(database: Database) -> None:
    with (
        connect(database.dsn(BATCH)) as one,
        connect(database.dsn(BATCH)) as two,
        instrument_lock(one, BTC, on_wait=never),
        instrument_lock(one, BTC, on_wait=never),
        instrument_lock(two, ETH, on_wait=never),
    ):
        assert one.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (2,)


def test_a_killed_holder_frees_the_instrument(database: Database) -> None:
    holder = connect(database.dsn(BATCH))
    with instrument_lock(holder, BTC, on_wait=never):
        holder.close()
    with connect(database.dsn(BATCH)) as conn, instrument_lock(conn, BTC, on_wait=lambda: None):
        assert not conn.closed


def test_an_error_inside_frees_the_instrument(database: Database) -> None:
    with connect(database.dsn(BATCH)) as one, connect(database.dsn(BATCH)) as two:
        with pytest.raises(RuntimeError, match="inside"), instrument_lock(one, BTC, on_wait=never):
            raise RuntimeError("inside")  # noqa: EM101 - the test's own
        with instrument_lock(two, BTC, on_wait=never):
            pass


def test_waiting_ends_with_the_sessions_own_limit(database: Database) -> None:
    with connect(database.dsn(BATCH)) as one, connect(database.dsn(BATCH)) as two:
        two.execute("SET lock_timeout = '50ms'")
        with (
            instrument_lock(one, BTC, on_wait=never),
            pytest.raises(DatabaseUnavailable, match="binance_usdm:BTCUSDT"),
            instrument_lock(two, BTC, on_wait=lambda: None),
        ):
            pytest.fail("two holders at once")

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import dagster as dg
import psycopg
import pytest

from assets.market import SeriesSelection, exchange_rules
from assets.resources import Postgres
from contracts import Rejected
from store.catalog import SeriesSetting, list_instruments, rules_at, upsert_series
from store.connections import connect
from store.locks import instrument_lock
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, KEY, T0, FakeVenue, slot, venue_of
from tests.assets.runs import QUIET, World, exchange_of, failure_of, keep, ledger_of, months
from tests.databases import Database

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
MINUTE = INSTRUMENT.series("1m")
JAN = months("2022-01")


def snapshot_rules(database: Database, venue: FakeVenue) -> dict[str, object]:
    """Materialize `exchange_rules`; returns its metadata."""
    result = dg.materialize(
        [exchange_rules],
        resources={"database": Postgres(url=database.dsn(BATCH)), "exchange": exchange_of(venue)},
        run_config=QUIET,
    )
    [event] = result.asset_materializations_for_node("exchange_rules")
    return {name: value.value for name, value in event.metadata.items()}


def test_rules_are_kept_once_and_again_when_they_change(database: Database, conn: psycopg.Connection) -> None:
    upsert_series(conn, SeriesSetting(KEY))
    venue = venue_of({KEY: 1, MINUTE: 1}, now=MARCH, start=slot(3))
    assert snapshot_rules(database, venue) == {"instruments": 1, "changed": 1}
    assert snapshot_rules(database, venue) == {"instruments": 1, "changed": 0}
    venue.clock.now += timedelta(hours=1)
    venue.rules = venue.rules.model_copy(update={"tick_size": Decimal("0.1")})
    assert snapshot_rules(database, venue) == {"instruments": 1, "changed": 1}
    for at, tick in ((MARCH, Decimal("0.01")), (MARCH + timedelta(hours=2), Decimal("0.1"))):
        found = rules_at(conn, INSTRUMENT, at)
        assert found is not None
        assert found.tick_size == tick


def test_an_instrument_is_listed_from_its_first_minute_which_is_asked_for_once(
    database: Database, conn: psycopg.Connection
) -> None:
    upsert_series(conn, SeriesSetting(KEY))
    venue = venue_of({KEY: 1, MINUTE: 1}, now=MARCH, start=slot(3))
    snapshot_rules(database, venue)
    snapshot_rules(database, venue)
    assert venue.requests("first") == ["first BTCUSDT 1m"]
    [row] = list_instruments(conn)
    assert (row.key, row.listed_at, row.delisted_at, row.base) == (INSTRUMENT, slot(3), None, "BTC")


@pytest.fixture
def world(database: Database, conn: psycopg.Connection, instance: dg.DagsterInstance) -> World:
    upsert_series(conn, SeriesSetting(KEY))
    venue = venue_of({KEY: 744 - 2, MINUTE: 1}, now=MARCH, start=slot(2))
    venue.lacks["monthly"] = {slot(100)}
    return World(database, exchange_of(venue), instance)


def test_the_first_run_learns_the_instrument_and_both_assets_say_what_they_hold(
    world: World, conn: psycopg.Connection
) -> None:
    result = world.run(JAN)
    assert result.success, failure_of(result)
    told = {
        name: {label: value.value for label, value in event.step_materialization_data.materialization.metadata.items()}
        for event in result.all_events
        if event.is_step_materialization
        for name in [event.asset_key.to_user_string() if event.asset_key else ""]
    }
    candles, holes = told["candles"], told["candle_gaps"]
    assert (candles["dagster/row_count"], candles["inserted"], candles["revised"], candles["lost"]) == (742, 742, 0, 0)
    assert "| binance_spot:BTCUSDT:1h | 742 | 0 | 0 |" in str(candles["sources"])
    assert str(candles["close"]).startswith("![close of binance_spot:BTCUSDT:1h](data:image/svg+xml")
    assert (holes["dagster/row_count"], holes["pending"]) == (2, 0)
    assert "| archive | 1 | 1 |\n| unlisted | 1 | 2 |" in str(holes["holes by cause"])
    assert ledger_of(conn) == [("unlisted", 0, 2), ("archive", 100, 101)]
    assert [row.listed_at for row in list_instruments(conn)] == [slot(2)]


def test_an_instrument_without_a_candle_is_rejected(
    database: Database, conn: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    upsert_series(conn, SeriesSetting(KEY))
    result = World(database, exchange_of(venue_of(10, now=MARCH)), instance).run(JAN)
    assert not result.success
    assert "binance_spot:BTCUSDT: the venue has no candle of it yet" in failure_of(result)


def test_an_instrument_without_a_series_is_rejected_with_the_command_that_adds_one(conn: psycopg.Connection) -> None:
    with pytest.raises(Rejected, match="binance_spot:BTCUSDT has no enabled series: `tidemark backfill` adds"):
        SeriesSelection().of(conn, INSTRUMENT)
    keep(conn, KEY)
    with pytest.raises(Rejected, match="no enabled series of 5m"):
        SeriesSelection(timeframes=["5m"]).of(conn, INSTRUMENT)


def test_a_run_takes_the_enabled_series_it_is_told_to_in_order_of_duration(conn: psycopg.Connection) -> None:
    keep(conn, INSTRUMENT.series("1d"), KEY, INSTRUMENT.series("15m"))
    upsert_series(conn, SeriesSetting(INSTRUMENT.series("5m"), enabled=False))
    every = [INSTRUMENT.series(tf) for tf in ("15m", "1h", "1d")]
    assert SeriesSelection().of(conn, INSTRUMENT) == every
    assert SeriesSelection(timeframes=["1d", "5m", "15m"]).of(conn, INSTRUMENT) == [every[0], every[2]]


def waiting(conn: psycopg.Connection) -> Iterator[bool]:
    """Whether any session waits for an advisory lock of this database, asked again and again for ten seconds."""
    for _ in range(1000):
        row = conn.execute(
            "SELECT count(*), pg_sleep(0.01) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
        yield row is not None and row[0] > 0


def test_a_run_waits_for_another_one_of_its_instrument(world: World, database: Database) -> None:
    results: list[dg.ExecuteInProcessResult] = []
    run = threading.Thread(target=lambda: results.append(world.run(JAN)), daemon=True)
    with connect(database.dsn(BATCH)) as other:
        with instrument_lock(other, INSTRUMENT, on_wait=lambda: None):
            run.start()
            assert any(waiting(other))
            held = other.execute("SELECT count(*) FROM market.candles").fetchone()
            assert held == (0,)
        run.join(30)
        assert other.execute("SELECT count(*) FROM market.candles WHERE open_time >= %s", [T0]).fetchone() == (742,)
    assert [result.success for result in results] == [True]

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from store.connections import connect
from store.errors import DatabaseUnavailable, FrameRejected, ResearchRefused
from store.research import (
    EQUITY_SCHEMA,
    TRADES_SCHEMA,
    BacktestRun,
    read_equity,
    read_run,
    read_runs,
    read_trades,
    write_run,
)
from store.roles import ANALYST, BATCH
from tests.databases import Database, Server, fresh_database
from tests.store.results import BTC, ETH, FIRST, RAN, RUN, counts, equity, recorded_dataset, trades

TRADES = trades(
    [
        {},
        {"side": "SHORT", "symbol": ETH.symbol, "entry": 1e-8, "stop": 1.1e-8, "qty": 123456789.12345679},
        {"exit_reason": "STOP", "guesses": 2, "ambiguous": True, "regime": None, "zone_strength": None, "pnl": -0.1},
    ]
)
EQUITY = equity([10_000.0, 10_000.27, 9_999.169999999998, 10_004.2])
NOTHING = {"backtest_runs": 0, "backtest_trades": 0, "backtest_equity": 0}


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[psycopg.Connection]:
    """A connection to a database for tests that leave no row behind."""
    with fresh_database(server) as database, connect(database.dsn(BATCH), application_name="test") as connection:
        yield connection


def stored(conn: psycopg.Connection) -> dict[str, int]:
    return {table: rows for table, rows in counts(conn).items() if table in NOTHING}


def test_a_run_comes_back_as_it_was_written(conn: psycopg.Connection) -> None:
    run = replace(RUN, dataset_id=recorded_dataset(conn), report_path="reports/weekly-1.html", month=date(2022, 2, 1))
    assert write_run(conn, run, trades=TRADES, equity=EQUITY)
    assert read_run(conn, run.run_id) == run
    assert_frame_equal(read_trades(conn, run.run_id), TRADES, check_exact=True)
    assert_frame_equal(read_equity(conn, run.run_id), EQUITY, check_exact=True)


def test_a_run_without_trades_is_a_result_too(conn: psycopg.Connection) -> None:
    nothing = TRADES.clear()
    assert write_run(conn, RUN, trades=nothing, equity=equity([10_000.0]))
    assert_frame_equal(read_trades(conn, RUN.run_id), nothing)
    assert read_trades(conn, RUN.run_id).schema == TRADES_SCHEMA


def test_what_is_not_on_record_is_none_and_no_rows(conn: psycopg.Connection) -> None:
    write_run(conn, RUN, trades=TRADES, equity=EQUITY)
    assert read_run(conn, "weekly-2") is None
    assert read_trades(conn, "weekly-2").is_empty()
    assert read_equity(conn, "weekly-2").is_empty()
    assert read_equity(conn, "weekly-2").schema == EQUITY_SCHEMA


def test_money_is_stored_as_the_decimal_it_was_and_not_as_fifteen_digits_of_it(conn: psycopg.Connection) -> None:
    write_run(conn, RUN, trades=TRADES, equity=EQUITY)
    rows = conn.execute("SELECT entry, qty FROM research.backtest_trades ORDER BY trade_id LIMIT 2").fetchall()
    assert rows == [
        (Decimal("41000.1"), Decimal("0.003")),
        (Decimal("0.00000001"), Decimal("123456789.12345679")),
    ]
    [(lowest,)] = conn.execute("SELECT min(equity) FROM research.backtest_equity").fetchall()
    assert lowest == Decimal("9999.169999999998")


def test_analysts_find_a_run_by_one_of_its_symbols(database: Database, conn: psycopg.Connection) -> None:
    write_run(conn, replace(RUN, series=(ETH, BTC, BTC.instrument.series("1h"))), trades=TRADES, equity=EQUITY)
    with connect(database.dsn(ANALYST)) as analyst:
        row = analyst.execute(
            "SELECT symbols, series FROM research.backtest_runs WHERE 'ETHUSDT' = ANY(symbols)"
        ).fetchone()
    assert row == (
        ["BTCUSDT", "ETHUSDT"],
        ["binance_usdm:BTCUSDT:15m", "binance_usdm:BTCUSDT:1h", "binance_usdm:ETHUSDT:15m"],
    )


def test_runs_are_listed_by_age_and_found_by_profile_and_month(conn: psycopg.Connection) -> None:
    march = date(2022, 3, 1)
    later = replace(RUN, run_id="a-later-one", created_at=RAN + timedelta(days=7), month=march)
    other = replace(RUN, run_id="calm-1", profile="conservative", month=march)
    for run in (later, RUN, other):
        write_run(conn, run, trades=TRADES, equity=EQUITY)
    assert read_runs(conn) == [other, RUN, later]
    assert read_runs(conn, profile="default") == [RUN, later]
    assert read_runs(conn, month=march) == [other, later]
    assert read_runs(conn, profile="default", month=march) == [later]
    assert read_runs(conn, profile="aggressive") == []


def test_the_same_result_again_changes_nothing(conn: psycopg.Connection) -> None:
    assert write_run(conn, RUN, trades=TRADES, equity=EQUITY)
    assert not write_run(conn, replace(RUN, created_at=RAN + timedelta(hours=1)), trades=TRADES, equity=EQUITY)
    assert read_runs(conn) == [RUN]
    assert stored(conn) == {"backtest_runs": 1, "backtest_trades": 3, "backtest_equity": 4}


def test_another_result_of_the_same_name_is_refused_and_both_fingerprints_are_named(conn: psycopg.Connection) -> None:
    write_run(conn, RUN, trades=TRADES, equity=EQUITY)
    with pytest.raises(ResearchRefused, match=f"weekly-1.*{'d' * 64}.*{'9' * 64}.*another run_id"):
        write_run(conn, replace(RUN, fingerprint="9" * 64), trades=TRADES.head(1), equity=EQUITY)
    assert read_run(conn, RUN.run_id) == RUN
    assert_frame_equal(read_trades(conn, RUN.run_id), TRADES, check_exact=True)


BROKEN: dict[str, tuple[Callable[[], tuple[BacktestRun, pl.DataFrame, pl.DataFrame]], str]] = {
    "an instant of equity twice, after the trades are in": (
        lambda: (RUN, TRADES, pl.concat([EQUITY, EQUITY.tail(1)])),
        "write a backtest for weekly-1.*backtest_equity_pkey",
    ),
    "an exit before the entry": (
        lambda: (RUN, trades([{}, {"exit_ts": FIRST}]), EQUITY),
        "times_are_ordered",
    ),
    "guesses that are not ambiguous": (lambda: (RUN, trades([{"guesses": 1}]), EQUITY), "ambiguous_by_its_guesses"),
    "an unknown reason": (lambda: (RUN, trades([{"exit_reason": "BOREDOM"}]), EQUITY), "exit_reason_known"),
    "a result that is no number": (
        lambda: (RUN, trades([{}, {"r": float("nan")}]), EQUITY),
        "'r' of research.backtest_trades holds nan in row 1",
    ),
    "an equity that is infinite": (
        lambda: (RUN, TRADES, EQUITY.with_columns(equity=pl.lit(float("inf")))),
        "'equity' of research.backtest_equity holds inf in row 0",
    ),
    "a metric that is no number": (
        lambda: (replace(RUN, metrics={"sharpe": float("nan")}), TRADES, EQUITY),
        "metrics of run weekly-1 cannot be stored as JSON.*must be null",
    ),
    "a config that is no JSON": (
        lambda: (replace(RUN, config={"at": FIRST}), TRADES, EQUITY),
        "config of run weekly-1",
    ),
    "a dataset nobody recorded": (lambda: (replace(RUN, dataset_id="0" * 64), TRADES, EQUITY), "datasets"),
    "a hash that is none": (lambda: (replace(RUN, param_set="default"), TRADES, EQUITY), "param_set_is_hex"),
    "no series": (lambda: (replace(RUN, series=()), TRADES, EQUITY), "has_series"),
    "a window without length": (lambda: (replace(RUN, to_ts=FIRST), TRADES, EQUITY), "has_length"),
    "a month in its middle": (lambda: (replace(RUN, month=date(2022, 3, 2)), TRADES, EQUITY), "month_is_first_day"),
    "a missing column": (
        lambda: (RUN, TRADES.drop("funding"), EQUITY),
        "trades of run weekly-1 came with the columns",
    ),
    "a column too many": (lambda: (RUN, TRADES, EQUITY.with_columns(x=1)), "equity of run weekly-1 came with the"),
    "a column of another kind": (
        lambda: (RUN, TRADES.with_columns(pl.col("pnl").cast(pl.String)), EQUITY),
        "column 'pnl' came as String, Float64 is stored",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_run_with_a_fault_is_refused_with_its_story_and_leaves_no_row(shared: psycopg.Connection, name: str) -> None:
    make, story = BROKEN[name]
    run, positions, account = make()
    with pytest.raises(FrameRejected, match=f"(?s){story}"):
        write_run(shared, run, trades=positions, equity=account)
    assert stored(shared) == NOTHING
    with shared.transaction(force_rollback=True):
        assert write_run(shared, RUN, trades=TRADES, equity=EQUITY)


def test_words_may_be_enums_whole_numbers_of_any_width_and_columns_in_any_order(conn: psycopg.Connection) -> None:
    words = pl.Enum(["LONG", "SHORT"])
    frame = TRADES.with_columns(pl.col("side").cast(words), pl.col("trade_id", "guesses").cast(pl.UInt32))
    write_run(conn, RUN, trades=frame.select(sorted(frame.columns)), equity=EQUITY)
    assert_frame_equal(read_trades(conn, RUN.run_id), TRADES, check_exact=True)


def test_a_writer_that_is_killed_between_trades_and_equity_leaves_no_row(
    database: Database, conn: psycopg.Connection
) -> None:
    # The table of equity is held by another: the writer has copied its trades and waits there when it is ended.
    failures: list[Exception] = []
    writer = connect(database.dsn(BATCH), application_name="the killed one")

    def write() -> None:
        try:
            write_run(writer, RUN, trades=TRADES, equity=EQUITY)
        except DatabaseUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    with connect(database.admin_dsn) as admin:
        with admin.transaction():
            admin.execute("LOCK TABLE research.backtest_equity IN ACCESS EXCLUSIVE MODE")
            thread.start()
            wait_for_lock(conn, writer.info.backend_pid)
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [writer.info.backend_pid])
        thread.join(timeout=20)
    writer.close()
    assert len(failures) == 1
    assert stored(conn) == NOTHING
    assert write_run(conn, RUN, trades=TRADES, equity=EQUITY)


@pytest.mark.parametrize("fingerprint", ["d" * 64, "9" * 64])
def test_of_two_writers_at_once_the_second_waits_and_sees_what_the_first_wrote(
    database: Database, conn: psycopg.Connection, fingerprint: str
) -> None:
    outcomes: list[bool | str] = []
    second = replace(RUN, fingerprint=fingerprint)
    with connect(database.dsn(BATCH)) as other:

        def write() -> None:
            try:
                outcomes.append(write_run(other, second, trades=TRADES, equity=EQUITY))
            except ResearchRefused as error:
                outcomes.append(str(error))

        thread = threading.Thread(target=write)
        with conn.transaction():
            assert write_run(conn, RUN, trades=TRADES, equity=EQUITY)
            thread.start()
            with connect(database.dsn(BATCH)) as onlooker:
                wait_for_lock(onlooker, other.info.backend_pid)
            assert outcomes == []
        thread.join(timeout=20)
    if fingerprint == RUN.fingerprint:
        assert outcomes == [False]
    else:
        [story] = outcomes
        assert f"received one with fingerprint {fingerprint}" in str(story)
    assert stored(conn) == {"backtest_runs": 1, "backtest_trades": 3, "backtest_equity": 4}


def wait_for_lock(conn: psycopg.Connection, pid: int) -> None:
    """Until the session waits for a lock that another holds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        row = conn.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone()
        if row == (True,):
            return
        time.sleep(0.01)
    pytest.fail(f"session {pid} never waited for a lock")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE research.backtest_runs SET metrics = '{}'",
        "UPDATE research.backtest_trades SET r = 9",
        "DELETE FROM research.backtest_equity",
        "DELETE FROM research.backtest_runs",
    ],
)
def test_nobody_who_writes_results_may_change_them(conn: psycopg.Connection, statement: str) -> None:
    write_run(conn, RUN, trades=TRADES, equity=EQUITY)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("'NaN', 0", "equity_is_finite"),
        ("'Infinity', 0", "equity_is_finite"),
        ("10000, 'NaN'", "drawdown_is_finite"),
        ("10000, 'Infinity'", "drawdown_is_finite"),
    ],
)
def test_the_table_of_equity_itself_refuses_what_is_no_number(
    conn: psycopg.Connection, values: str, constraint: str
) -> None:
    write_run(conn, RUN, trades=TRADES, equity=EQUITY)
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        conn.execute(f"INSERT INTO research.backtest_equity VALUES ('weekly-1', now(), {values})".encode())  # noqa: S608 - from the list above

"""Tables of later parts, absent or empty: their marts are empty, and once there are rows the next run fills them."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.databases import Server, fresh_database
from tests.transforms.hand_made import T0, Built, at
from tests.transforms.later_tables import ROWS, TABLES

D1, D2, D3, LATE = (name.ljust(24, "0") for name in ("d1", "d2", "d3", "1a7e"))


@pytest.fixture(scope="module")
def lit_template(server: Server, grown_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a database whose marts were built once without the tables, and again when they were there."""
    with fresh_database(server, template=grown_template) as database:
        grown = Built(database, tmp_path_factory.mktemp("dbt"))
        assert grown.rows("marts.fct_trades", key=None) == []
        change(grown, TABLES)
        change(grown, ROWS)
        grown.build(T0)
        yield database.name


@pytest.fixture
def lit(server: Server, lit_template: str, tmp_path: Path) -> Iterator[Built]:
    """The marts with those tables, as a test's own."""
    with fresh_database(server, template=lit_template) as database:
        yield Built(database, tmp_path)


def change(built: Built, statement: str, *values: str) -> None:
    """Change a table as whoever owns it does."""
    with psycopg.connect(built.database.admin_dsn, autocommit=True) as conn:
        conn.execute(statement.encode(), values or None)


def test_the_marts_of_absent_tables_light_up_when_the_tables_appear(lit: Built) -> None:
    taken, refused = lit.rows("marts.fct_decisions")
    assert (taken["is_accepted"], taken["gates"], taken["gates_failed"], taken["first_failed_gate"]) == (
        True,
        1,
        0,
        None,
    )
    assert (taken["tf"], taken["agent"], taken["seconds_after_close"], taken["risk_amount"]) == (
        "1h",
        "retest",
        0.25,
        4,
    )
    assert (refused["side"], refused["gates_failed"], refused["first_failed_gate"]) == ("HOLD", 1, "tradable")

    simulated, live = sorted(lit.rows("marts.fct_trades"), key=lambda row: row["origin"])
    names = ("origin", "run", "tf", "entry", "exit", "qty", "pnl", "fees", "exit_reason")
    told = ("live", "main", "1h", 100, Decimal("103.5"), 2, Decimal("6.6"), Decimal("0.4"), "TAKE_PROFIT")
    assert tuple(live[name] for name in names) == told
    assert live["r"] == pytest.approx(1.65)
    assert (simulated["run"], simulated["trade_id"], simulated["r"], simulated["exit_reason"]) == (
        "run1",
        "7",
        -1.1,
        "STOP",
    )

    (parity,) = lit.rows("marts.mart_live_parity")
    assert (parity["day"], parity["agreement"], parity["is_equal"]) == (date(2022, 1, 1), 0.8, False)


def test_a_decision_that_came_after_the_last_run_is_not_lost_to_a_later_window(lit: Built) -> None:
    late = "UPDATE trading.decisions SET decision_id = %s, ts = '2022-01-31 20:00+00' WHERE decision_id = %s"
    change(lit, late, D3, D2)
    lit.build(at(31 * 24), select=["fct_decisions"])
    assert {row["decision_id"] for row in lit.rows("marts.fct_decisions")} == {D1, D3}


def test_money_keeps_every_digit(lit: Built) -> None:
    change(
        lit,
        "UPDATE trading.decisions SET entry = 0.12345678901234567891, size = 123456789012.123456789,"
        ' sl = 0.10000000000000000001, risk = \'{"risk_amount": "0.30000000000000000003"}\''
        " WHERE decision_id = %s",
        D1,
    )
    lit.build(T0, select=["fct_decisions"])
    taken, _ = lit.rows("marts.fct_decisions")
    assert [taken[name] for name in ("entry", "size", "stop", "risk_amount")] == [
        Decimal("0.12345678901234567891"),
        Decimal("123456789012.123456789"),
        Decimal("0.10000000000000000001"),
        Decimal("0.30000000000000000003"),
    ]


def test_a_mart_of_an_older_version_with_other_types_is_built_again_whole(lit: Built) -> None:
    change(lit, "ALTER TABLE marts.fct_decisions ALTER COLUMN entry TYPE float8")
    change(lit, "UPDATE trading.decisions SET entry = 0.12345678901234567891 WHERE decision_id = %s", D1)
    lit.build(T0, select=["fct_decisions"])
    assert lit.rows("marts.fct_decisions")[0]["entry"] == Decimal("0.12345678901234567891")


def test_gates_that_are_no_list_are_no_verdicts_and_spoil_no_other_decision(lit: Built) -> None:
    change(lit, "ALTER TABLE trading.decisions DROP CONSTRAINT gates_is_list")
    change(lit, "UPDATE trading.decisions SET gates = '{}' WHERE decision_id = %s", D1)
    lit.build(T0, select=["fct_decisions"])
    taken, refused = lit.rows("marts.fct_decisions")
    assert (taken["gates"], taken["gates_failed"], taken["first_failed_gate"]) == (0, 0, None)
    assert (refused["gates"], refused["first_failed_gate"]) == (2, "tradable")


def test_an_open_position_has_no_result_in_r_yet(lit: Built) -> None:
    change(lit, "UPDATE trading.positions SET closed_at = null, realized_pnl = 0")
    lit.build(T0, select=["fct_trades"])
    (live,) = (row for row in lit.rows("marts.fct_trades") if row["origin"] == "live")
    assert (live["exit_ts"], live["r"], live["pnl"]) == (None, None, 0)


def test_a_decision_that_arrives_late_stands_in_the_mart_though_its_bar_lies_before_the_window(lit: Built) -> None:
    change(
        lit,
        "INSERT INTO trading.decisions SELECT (jsonb_populate_record(one, jsonb_build_object('decision_id', %s::text,"
        " 'ts', '2021-12-31 23:00+00', 'evaluated_at', '2022-03-01 04:00+00'))).*"
        " FROM trading.decisions AS one WHERE decision_id = %s",
        LATE,
        D2,
    )
    lit.build(at(31 * 24), select=["fct_decisions"])
    assert {row["decision_id"] for row in lit.rows("marts.fct_decisions")} == {D1, D2, LATE}


def test_a_day_whose_parity_is_measured_again_is_not_left_as_it_was(lit: Built) -> None:
    change(
        lit,
        "INSERT INTO ops.parity_results SELECT '2022-02-10', venue, symbol, tf, table_name, 10, 10, 0, null"
        " FROM ops.parity_results",
    )
    lit.build(at(31 * 24), select=["mart_live_parity"])
    change(lit, "UPDATE ops.parity_results SET rows_batch = 10, mismatches = 0, first_difference = null")
    lit.build(at(31 * 24), select=["mart_live_parity"])
    parity, _ = lit.rows("marts.mart_live_parity")
    assert parity["day"] == date(2022, 1, 1)
    assert (parity["agreement"], parity["is_equal"], parity["first_difference"]) == (1, True, None)

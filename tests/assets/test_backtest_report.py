"""One report in Dagster: its rows, its page, what the UI shows; and what is left where there can be none."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.backtest_report import backtest_report
from assets.marts import marts
from assets.partitions import Month, partition_key
from assets.report_inputs import ReportConfig, read_report_inputs
from backtest import run_backtest
from contracts import InstrumentKey
from risk import shipped_profile
from store.connections import connect
from store.datasets import read_dataset
from store.research import read_equity, read_run, read_runs, read_trades
from store.roles import OWNER
from tests.assets.desk import LATER, QUARTERS, Desk, fill, rows, told, version
from tests.assets.fakes import INSTRUMENT, KEY, slot, venue_of
from tests.assets.kept import keep_profile
from tests.assets.runs import QUIET, failure_of, keep, load, months, revise
from tests.databases import Database


@pytest.fixture
def desk(database: Database, instance: dg.DagsterInstance, tmp_path: Path) -> Desk:
    return Desk(database, instance, tmp_path / "reports")


def test_a_partition_is_a_run_on_record_and_a_page(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    result = desk.run(backtest_report, "default", surrogates=3)
    assert result.success, failure_of(result)
    [run] = read_runs(conn, profile="default", month=date(2022, 3, 1))
    inputs = read_report_inputs(conn, Month(2022, 3), ReportConfig(), at=LATER)
    profile = shipped_profile("default")
    asked = inputs.config(profile, capital=Decimal("10000.0"))
    expected = run_backtest(inputs.bars, asked)
    assert (run.fingerprint, run.profile_hash, run.series) == (expected.fingerprint, profile.hash, (QUARTERS, KEY))
    assert (run.from_ts, run.to_ts) == (slot(0), Month(2022, 3).end)
    assert read_trades(conn, run.run_id)["pnl"].to_list() == expected.trades["pnl"].to_list() != []
    assert read_equity(conn, run.run_id)["equity"].to_list() == expected.equity["equity"].to_list()
    assert run.dataset_id is not None
    dataset = read_dataset(conn, run.dataset_id)
    assert dataset is not None
    assert set(dataset.manifest.series) == {KEY, QUARTERS}
    folder = desk.folder / run.run_id
    assert run.report_path == str(folder / "report.html")
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    numbers = json.loads((folder / "report.json").read_text())
    assert numbers["run"]["fingerprint"] == run.fingerprint
    assert len(numbers["null"]["surrogates"]) == 3


def test_the_graph_shows_the_page_the_curve_and_what_speaks_against_it(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    result = desk.run(backtest_report, "default", surrogates=3)
    [run] = read_runs(conn)
    shown = told(result)
    assert shown["report"] == str(desk.folder / run.run_id / "report.html")
    assert shown["equity"].startswith("![equity of default](data:image/svg+xml;base64,")
    assert len(shown["equity"]) < 1_000  # what Dagster shows in place
    assert (shown["run"], shown["fingerprint"], shown["dataset"]) == (run.run_id, run.fingerprint, run.dataset_id)
    assert (shown["sharpe"], shown["net_pnl"]) == (run.metrics["sharpe"], run.metrics["net_pnl"])
    # Beside the columns of `research.backtest_runs`, in which a report is one row.
    assert (shown["dagster/row_count"], len(read_runs(conn))) == (1, 1)
    assert shown["trades"] == run.metrics["trades"] > 1
    assert shown["open"] == (desk.folder / run.run_id / "report.html").as_uri()
    assert shown["open"].startswith("file:///")
    assert shown["null market"].startswith("The null-market gate is not passed: ")
    assert "of 3 surrogate markets, in which there is nothing to win" in shown["null market"]
    assert shown["findings"].startswith("- **severe** The null-market gate is not passed")
    assert shown["series"] == f"- {QUARTERS}\n- {KEY}"
    assert version(result) == run.fingerprint


def test_the_same_partition_again_is_the_same_run(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    first = desk.run(backtest_report, surrogates=2)
    before = rows(conn)
    [run] = read_runs(conn)
    page = (desk.folder / run.run_id / "report.html").read_bytes()
    again = desk.run(backtest_report, surrogates=2)
    assert (told(first)["new"], told(again)["new"]) == (True, False)
    assert told(again)["run"] == run.run_id
    assert version(again) == version(first)
    assert rows(conn) == before
    assert [path.name for path in desk.folder.iterdir()] == [run.run_id]
    assert (desk.folder / run.run_id / "report.html").read_bytes() == page


def test_a_candle_that_changed_makes_another_run_beside_the_first(desk: Desk, conn: psycopg.Connection) -> None:
    venue = fill(conn)
    first = desk.run(backtest_report, surrogates=0)
    revise(conn, venue, slot(900), "41234.5")
    second = desk.run(backtest_report, surrogates=0)
    assert told(first)["run"] != told(second)["run"]
    assert told(first)["dataset"] != told(second)["dataset"]
    assert len(read_runs(conn, month=date(2022, 3, 1))) == 2
    assert told(second)["null market"] == "not looked for"


def test_each_profile_and_month_is_a_run_of_its_own_and_knows_nothing_behind_its_month(
    desk: Desk, conn: psycopg.Connection
) -> None:
    fill(conn)
    for profile, month in (("default", "2022-02"), ("default", "2022-03"), ("aggressive", "2022-03")):
        result = desk.run(backtest_report, profile, month, surrogates=0, lookback_months=1)
        assert result.success, failure_of(result)
    runs = {(run.profile, run.month): run for run in read_runs(conn)}
    assert sorted(runs, key=str) == [
        ("aggressive", date(2022, 3, 1)),
        ("default", date(2022, 2, 1)),
        ("default", date(2022, 3, 1)),
    ]
    february = runs["default", date(2022, 2, 1)]
    assert (february.from_ts, february.to_ts) == (slot(0), Month(2022, 2).end)
    assert runs["default", date(2022, 3, 1)].from_ts == Month(2022, 2).start


def test_an_account_that_is_too_small_for_any_order_is_reported_and_says_so(
    desk: Desk, conn: psycopg.Connection
) -> None:
    fill(conn)
    result = desk.run(backtest_report, "conservative", surrogates=2, capital=1.0)
    assert result.success, failure_of(result)
    shown = told(result)
    assert (shown["trades"], shown["sharpe"]) == (0, None)
    assert "**severe**" in shown["findings"]
    [run] = read_runs(conn)
    assert read_trades(conn, run.run_id).is_empty()


def test_the_live_version_of_a_profile_takes_the_place_of_the_shipped_one(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    keep_profile(conn, "default", risk_fraction=0.001)  # a draft
    live = keep_profile(conn, "default", risk_fraction=0.002, state="live")
    own = keep_profile(conn, "main", risk_fraction=0.003, state="live")
    for name in ("default", "main", "conservative"):
        result = desk.run(backtest_report, name, surrogates=0)
        assert result.success, failure_of(result)
    assert {run.profile: run.profile_hash for run in read_runs(conn)} == {
        "default": live.hash,
        "main": own.hash,
        "conservative": shipped_profile("conservative").hash,
    }


def test_its_trades_stand_in_the_mart_of_trades_after_the_next_build(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    report = desk.run(backtest_report, "aggressive", surrogates=0)
    desk.instance.add_dynamic_partitions("instruments", [str(INSTRUMENT)])
    built = dg.materialize(
        [marts, backtest_report],
        selection=list(marts.keys),
        instance=desk.instance,
        resources=desk.resources,
        tags={
            "dagster/asset_partition_range_start": str(partition_key(INSTRUMENT, Month(2022, 1))),
            "dagster/asset_partition_range_end": str(partition_key(INSTRUMENT, Month(2022, 3))),
        },
        run_config=QUIET,
        raise_on_error=False,
    )
    assert built.success, failure_of(built)
    found = conn.execute("SELECT origin, run, count(*) FROM marts.fct_trades GROUP BY 1, 2").fetchall()
    assert found == [("backtest", told(report)["run"], told(report)["trades"])]
    assert told(report)["trades"] > 0


def test_instruments_of_different_spans_share_one_report(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    other = InstrumentKey("binance_spot", "ETHUSDT").series("1h")
    keep(conn, other)
    load(conn, venue_of({other: 900}, now=LATER, seed=5), months("2022-01", "2022-02"))
    result = desk.run(backtest_report, "aggressive", surrogates=2)
    assert result.success, failure_of(result)
    [run] = read_runs(conn)
    assert run.series == (QUARTERS, KEY, other)
    assert set(read_trades(conn, run.run_id)["symbol"]) == {"BTCUSDT", "ETHUSDT"}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"capital": 0.0}, "BacktestRefused: a backtest needs capital above 0 to risk a part of it, received 0.0"),
        ({"timeframes": ["7m"]}, "Rejected: '7m' is no timeframe: one of 1m, "),
        ({"timeframes": ["4h"]}, "NothingStored: no enabled series of 4h has a candle in 2022-03, "),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do_and_leaves_no_row(
    desk: Desk, conn: psycopg.Connection, config: dict[str, Any], why: str
) -> None:
    fill(conn)
    result = desk.run(backtest_report, surrogates=2, **config)
    assert why in failure_of(result)
    assert rows(conn) == {}
    assert not desk.folder.exists()


def test_without_candles_in_the_month_there_is_no_report(desk: Desk, conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    load(conn, venue_of(744, now=LATER), months("2022-01"))
    result = desk.run(backtest_report, month="2022-03")
    why = failure_of(result)
    assert "NothingStored: no enabled series of 5m or longer has a candle in 2022-03" in why
    assert "load them first (tidemark backfill), or name other timeframes" in why
    assert rows(conn) == {}
    assert not desk.folder.exists()


def test_a_page_that_cannot_be_written_leaves_no_row(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    desk.folder.write_text("a file stands where the folder would be")
    result = desk.run(backtest_report, surrogates=0)
    assert "ReportUnwritable: a report cannot be written to" in failure_of(result)
    assert rows(conn) == {}


def test_a_result_that_contradicts_the_one_on_record_is_refused_and_its_page_stays(
    desk: Desk, conn: psycopg.Connection
) -> None:
    fill(conn)
    first = desk.run(backtest_report, surrogates=0)
    page = Path(told(first)["report"])
    page.write_text("as it was")
    with connect(desk.database.dsn(OWNER), application_name="test") as owner:
        owner.execute("UPDATE research.backtest_runs SET fingerprint = repeat('0', 64)")
    result = desk.run(backtest_report, surrogates=0)
    assert "ResearchRefused: run" in failure_of(result)
    assert page.read_text() == "as it was"
    run = read_run(conn, told(first)["run"])
    assert run is not None
    assert run.fingerprint == "0" * 64


def test_a_database_that_is_gone_is_asked_again_later_not_reported(desk: Desk) -> None:
    nobody_listens = replace(desk.database.server, admin_dsn="postgresql://postgres@127.0.0.1:1/postgres")
    gone = Desk(Database(nobody_listens, "gone"), desk.instance, desk.folder)
    assert failure_of(gone.run(backtest_report)).startswith("DatabaseUnavailable")

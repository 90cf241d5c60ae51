from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from assets.marts import marts
from assets.partitions import Month, by_month, instrument_months, partition_key
from assets.reactions import REACTION
from assets.resources import Postgres
from contracts import InstrumentKey
from store.roles import BATCH
from tests.assets.runs import QUIET, failure_of
from tests.databases import Database, Server, fresh_database
from tests.transforms.hand_made import KEY, MARTS, Built, plant_everything
from transforms import PROJECT

INSTRUMENT = InstrumentKey(*KEY[:2])
LINE = 140
SPECS = {spec.key.to_user_string(): spec for spec in marts.specs}


def run(built: Built, instance: dg.DagsterInstance, *selection: str) -> dg.ExecuteInProcessResult:
    """Materialize the marts (or some of them) of January and February 2022."""
    instance.add_dynamic_partitions("instruments", [str(INSTRUMENT)])
    first, last = Month(2022, 1), Month(2022, 2)
    return dg.materialize(
        [marts],
        instance=instance,
        selection=list(selection) or None,
        resources={"database": Postgres(url=built.database.dsn(BATCH))},
        tags={
            "dagster/asset_partition_range_start": str(partition_key(INSTRUMENT, first)),
            "dagster/asset_partition_range_end": str(partition_key(INSTRUMENT, last)),
        },
        run_config=QUIET,
        raise_on_error=False,
    )


@pytest.fixture(scope="module")
def built(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with fresh_database(server) as database:
        plant_everything(database)
        yield Built(database, tmp_path_factory.mktemp("dbt"))


@pytest.fixture(scope="module")
def ran(built: Built) -> Iterator[tuple[dg.ExecuteInProcessResult, dg.DagsterInstance]]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield run(built, instance), instance


def test_one_run_materializes_every_view_and_mart_with_its_row_count(
    ran: tuple[dg.ExecuteInProcessResult, dg.DagsterInstance],
) -> None:
    result, _ = ran
    assert result.success, failure_of(result)
    found = {event.asset_key.to_user_string(): event for event in result.asset_materializations_for_node("marts")}
    assert set(found) == set(SPECS)
    counts = {name: found[name].metadata["dagster/row_count"].value for name in ("fct_signals", "fct_zone_outcomes")}
    assert counts == {"fct_signals": 2, "fct_zone_outcomes": 4}
    assert {found[name].metadata["rows written"].value for name in ("mart_coverage", "mart_data_quality")} <= {2, 3}


def test_each_dbt_test_is_a_check_and_tells_the_rows_that_break_it(
    ran: tuple[dg.ExecuteInProcessResult, dg.DagsterInstance],
) -> None:
    result, _ = ran
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {key.name for key in marts.check_keys} == set(found)
    assert {name for name, check in found.items() if not check.passed} == {"no_disagreements", "nothing_refused"}
    red = found["no_disagreements"]
    assert red.severity == dg.AssetCheckSeverity.WARN
    assert "| binance_spot | BTCUSDT | 1h | 2022-01-01 |" in str(red.metadata["the first of them"].value)


def test_dbt_writes_into_the_instance_s_folder_and_never_into_the_project(
    ran: tuple[dg.ExecuteInProcessResult, dg.DagsterInstance],
) -> None:
    _, instance = ran
    assert (Path(instance.root_directory) / "dbt" / "target").is_dir()
    assert not [path for path in PROJECT.iterdir() if path.name in ("target", "logs", "dbt_packages", ".user.yml")]


def test_a_part_of_the_marts_can_be_built_alone(built: Built, instance: dg.DagsterInstance) -> None:
    built.build()
    result = run(built, instance, "fct_signals")
    assert result.success, failure_of(result)
    events = result.asset_materializations_for_node("marts")
    assert {event.asset_key.to_user_string() for event in events} == {"fct_signals"}
    names = {check.check_name for check in result.get_asset_check_evaluations()}
    assert names == {key.name for key in marts.check_keys if key.asset_key == dg.AssetKey("fct_signals")}


def test_a_model_that_fails_fails_the_step_and_says_which_and_why(server: Server, instance: dg.DagsterInstance) -> None:
    with fresh_database(server) as database:
        plant_everything(database)
        with Built(database, Path()).connect() as conn:
            conn.execute("REVOKE SELECT ON market.candle_gaps FROM tidemark_batch")
        message = failure_of(run(Built(database, Path()), instance))
    assert message.startswith("DbtRefused: ")
    assert "permission denied for table candle_gaps" in message


def reaction(result: dg.ExecuteInProcessResult) -> str:
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return str(data.metadata[REACTION].value)


def test_the_step_tells_a_lost_database_from_a_refusal_so_that_only_the_first_is_asked_again(
    server: Server, instance: dg.DagsterInstance
) -> None:
    with fresh_database(server) as database:
        plant_everything(database)
        with Built(database, Path()).connect() as conn:
            conn.execute("REVOKE SELECT ON market.candle_gaps FROM tidemark_batch")
        assert reaction(run(Built(database, Path()), instance)) == "Rejected"
    nobody_listens = replace(server, admin_dsn="postgresql://postgres@127.0.0.1:1/postgres")
    gone = Built(Database(nobody_listens, "gone"), Path())
    assert reaction(run(gone, instance)) == "Retryable"


def test_every_description_in_the_graph_is_one_line() -> None:
    described = {name: spec.description or "" for name, spec in SPECS.items()}
    assert {name: text for name, text in described.items() if "\n" in text or not 0 < len(text) <= LINE} == {}


def test_a_failed_test_leaves_what_reads_the_mart_as_it_was_and_fails_the_run(
    server: Server, instance: dg.DagsterInstance
) -> None:
    with fresh_database(server) as database:
        plant_everything(database)
        with Built(database, Path()).connect() as conn:
            conn.execute("DELETE FROM market.candles WHERE open_time = '2022-01-01 15:00+00'")
        result = run(Built(database, Path()), instance)
    assert "blocking asset checks failed" in failure_of(result)
    built = {event.asset_key.to_user_string() for event in result.asset_materializations_for_node("marts")}
    assert set(SPECS) - built == {"mart_signal_performance"}
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks["signals_are_all_here"] is False
    assert "performance_adds_up" not in checks


@pytest.mark.parametrize(
    ("asset", "upstream"),
    [
        ("stg_candles", {"candles"}),
        ("stg_candle_revisions", {"candles"}),
        ("stg_candle_gaps", {"candle_gaps"}),
        ("stg_signals", {"signals_raw"}),
        ("stg_zones", {"zones"}),
        ("stg_regimes", {"regimes"}),
        ("stg_indicators", {"indicators"}),
        ("stg_instruments", {"exchange_rules"}),
        ("stg_series", set()),
        ("stg_positions", set()),
        ("stg_backtest_trades", {"backtest_report"}),
        ("int_bars", {"stg_candles"}),
        ("mart_signal_performance", {"fct_signals"}),
    ],
)
def test_the_lineage_reaches_from_candle_to_mart(asset: str, upstream: set[str]) -> None:
    ours = {dep.asset_key.to_user_string() for dep in SPECS[asset].deps}
    assert ours - {"indicators"} == upstream - {"indicators"}
    assert asset != "stg_indicators" or ours == upstream


def test_what_comes_from_reports_comes_from_those_of_its_month() -> None:
    [report] = SPECS["stg_backtest_trades"].deps
    assert report.partition_mapping == by_month()
    assert {dep.partition_mapping for name in set(SPECS) - {"stg_backtest_trades"} for dep in SPECS[name].deps} == {
        None
    }
    assert "stg_backtest_trades" in {dep.asset_key.to_user_string() for dep in SPECS["fct_trades"].deps}


def test_every_mart_is_an_asset_with_group_owner_kinds_columns_and_a_grain() -> None:
    assert set(MARTS) == {name for name, spec in SPECS.items() if spec.group_name == "marts"}
    for name, spec in SPECS.items():
        assert spec.group_name in ("marts", "marts_staging")
        assert spec.owners == ["team:data"]
        assert spec.kinds == {"dbt", "postgres"}
        assert (spec.description or "").startswith(("One row per ", "Versions of candles", "Rows an exchange")), name
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns if not column.description or column.type == "?"] == []
    assert marts.partitions_def == instrument_months
    assert marts.backfill_policy == dg.BackfillPolicy.single_run()

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml

from assets.partitions import instrument_months, profile_months
from orchestration import DAGSTER_YAML
from orchestration.automation import COMPUTED
from orchestration.definitions import defs
from orchestration.jobs import RESEARCH_TAG
from orchestration.resources import exchange_of
from orchestration.schedules import SCHEDULES
from store.roles import DAGSTER
from tests.databases import Server
from tests.orchestration.picture import PICTURE, drawn
from tidemark.settings import Settings

ROOT = Path(__file__).parents[2]
GROUPS = {"market", "analysis", "research", "marts_staging", "marts"}
WITHOUT_MONTHS = {"exchange_rules", "calendar_events"}
VARIABLES = ("TIDEMARK_RUN_DATABASE_URL", "TIDEMARK_ADMIN_URL", "TIDEMARK_RUN_STORAGE_URL")


@pytest.fixture
def definitions(monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    loaded: dg.Definitions = defs()
    return loaded


def test_they_load_and_validate_without_network_database_or_their_urls(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_everything_dagster_shows_is_as_in_the_picture(definitions: dg.Definitions) -> None:
    """After an intended change: `python -m tests.orchestration.picture`, and the difference goes into the review."""
    assert drawn(definitions).splitlines() == PICTURE.read_text(encoding="utf-8").splitlines()


def test_every_asset_says_what_it_is_whose_it_is_and_which_columns_it_has(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert "\n" not in node.description.strip(), key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name in GROUPS, key
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema), key
        assert schema.columns, key
        assert [column.name for column in schema.columns if not column.description] == [], key


def test_partitioned_assets_are_cut_by_instrument_and_month_and_backfilled_in_one_run_but_for_reports(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if node.key.to_user_string() in WITHOUT_MONTHS:
            assert node.partitions_def is None, key
        elif node.group_name == "research":
            assert node.partitions_def == profile_months, key
            assert node.backfill_policy is None, key  # each is a run of its own
        else:
            assert node.partitions_def == instrument_months, key
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), key


def test_every_check_is_described(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.asset_check_keys
    for key in graph.asset_check_keys:
        assert graph.get(key).description, key


def test_whatever_is_computed_follows_and_nothing_else_does(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert (node.automation_condition is not None) == (node.group_name in COMPUTED), key


def test_whatever_asks_the_exchange_is_in_its_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pooled = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).pools}
    assert pooled == {"exchange_rules", "candles", "candle_gaps", "candle_verification", "funding_rates"}
    assert all(graph.get(dg.AssetKey(name)).pools == {"exchange"} for name in pooled)


def test_a_schedule_or_sensor_starts_jobs_that_exist_and_are_described(definitions: dg.Definitions) -> None:
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    assert {schedule.job_name for schedule in SCHEDULES} <= set(jobs)
    assert all(job.description for job in jobs.values())
    assert all(schedule.description for schedule in SCHEDULES)
    assert all(sensor.description for sensor in definitions.sensors or ())


def test_of_reports_there_is_one_run_at_a_time(definitions: dg.Definitions) -> None:
    limits = yaml.safe_load(DAGSTER_YAML.read_text())["concurrency"]["runs"]["tag_concurrency_limits"]
    assert limits == [{"key": RESEARCH_TAG, "limit": 1}]
    assert RESEARCH_TAG in definitions.resolve_job_def("reports").run_tags


def test_steps_run_in_the_process_of_their_run(definitions: dg.Definitions) -> None:
    assert definitions.executor is dg.in_process_executor
    for job in definitions.resolve_all_job_defs():
        assert job.executor_def is dg.in_process_executor


def test_the_exchange_is_where_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_BINANCE_SPOT__REST", "http://127.0.0.1:9")
    exchange = exchange_of(Settings())
    assert exchange.rest["binance_spot"] == "http://127.0.0.1:9"
    assert exchange.rest["binance_usdm"] == "https://fapi.binance.com"
    assert set(exchange.archive) == set(exchange.weight_share) == {"binance_spot", "binance_usdm"}


def test_the_file_of_definitions_stays_a_table_of_contents() -> None:
    assert len((ROOT / "orchestration/definitions.py").read_text().splitlines()) < 80


def test_the_workspace_names_a_module_that_loads_in_a_process_of_its_own() -> None:
    [entry] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    module = entry["python_module"]["module_name"]
    # Every attempt to reach anything ends the process.
    program = (
        "import socket, sys\n"
        "def refuse(*_): sys.exit('the network was touched at import')\n"
        "socket.socket.connect = refuse\n"
        f"import {module} as module\n"
        "import dagster as dg\n"
        "dg.Definitions.validate_loadable(module.defs())\n"
        "assert 'great_expectations' not in sys.modules, 'it takes seconds to import'\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def configured(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance that `orchestration/dagster.yaml` describes, on the session's server."""
    url = server.url(DAGSTER, server.dagster_database, scheme="postgresql+psycopg2")
    monkeypatch.setenv("TIDEMARK_RUN_STORAGE_URL", url)
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML.read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def test_the_instance_file_describes_an_instance_that_stores_events(configured: dg.DagsterInstance) -> None:
    @dg.op
    def one() -> int:
        return 1

    @dg.job
    def noted() -> None:
        one()

    run = noted.execute_in_process(
        instance=configured, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )
    assert run.success
    events = configured.all_logs(run.run_id)
    assert dg.DagsterEventType.RUN_SUCCESS in {entry.dagster_event_type for entry in events}
    assert type(configured.run_storage).__name__ == "PostgresRunStorage"
    assert type(configured.event_log_storage).__name__ == "PlansAtOnce"
    assert type(configured.schedule_storage).__name__ == "PostgresScheduleStorage"
    assert not configured.telemetry_enabled
    assert configured.run_monitoring_enabled
    # What failed stays failed: only a run whose process was lost is started again.
    assert configured.run_retries_enabled
    assert not configured.run_retries_retry_on_asset_or_op_failure
    runs = configured.get_concurrency_config().run_queue_config
    assert runs is not None
    assert runs.max_concurrent_runs == 2
    assert runs.tag_concurrency_limits == [{"key": RESEARCH_TAG, "limit": 1}]
    pools = configured.get_concurrency_config().pool_config
    assert pools.default_pool_limit == 2


def test_the_instance_asks_again_over_the_connections_it_has(
    configured: dg.DagsterInstance, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Named for this test: other tests of the session use the same server.
    monkeypatch.setenv("PGAPPNAME", "kept")

    def backends() -> set[int]:
        with psycopg.connect(server.url(DAGSTER, server.dagster_database), application_name="asking") as conn:
            rows = conn.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'kept'").fetchall()
        return {pid for (pid,) in rows}

    def ask() -> None:
        configured.get_runs_count()
        configured.event_log_storage.get_maximum_record_id()
        configured.add_dynamic_partitions("instruments", ["binance_spot:BTCUSDT"])
        configured.delete_dynamic_partition("instruments", "binance_spot:BTCUSDT")

    ask()
    kept = backends()
    assert kept
    for _ in range(3):
        ask()
    assert backends() == kept
    with psycopg.connect(server.admin_dsn, autocommit=True, application_name="ending") as conn:
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kept'")
    ask()
    assert backends().isdisjoint(kept)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, left as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_a_process_of_dagsters_own_shows_the_fields_of_a_line(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    root.handlers[:] = []
    defs()
    logging.getLogger("orchestration.sensors").error("a run failed", extra={"why": "no answer"})
    told = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (told["event"], told["why"]) == ("a run failed", "no answer")


def test_a_process_that_has_its_logs_keeps_them(root: logging.Logger) -> None:
    own = logging.NullHandler()
    root.handlers[:] = [own]
    defs()
    assert root.handlers == [own]

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets.partitions import instrument_months
from orchestration import DAGSTER_YAML
from orchestration.definitions import defs, exchange_of
from store.roles import DAGSTER
from tests.databases import Server
from tidemark.settings import Settings

ROOT = Path(__file__).parents[2]
VARIABLES = ("TIDEMARK_RUN_DATABASE_URL", "TIDEMARK_ADMIN_URL", "TIDEMARK_RUN_STORAGE_URL")

ANALYSIS = (
    "indicators",
    "regimes",
    "swings",
    "smc_events",
    "liquidity_events",
    "zone_events",
    "zones",
    "inversions",
    "signals_raw",
)
# Everything that Dagster shows. asset: (group, owner, kinds, depends on, partitioned, checks)
ASSETS = {
    "exchange_rules": ("market", "team:data", {"postgres"}, set(), False, set()),
    "candles": (
        "market",
        "team:data",
        {"postgres", "polars"},
        set(),
        True,
        {"on_grid", "no_duplicates", "ohlc_order", "no_unexplained_hole", "digest_matches"},
    ),
    "candle_gaps": ("market", "team:data", {"postgres"}, {"candles"}, True, set()),
    **{
        table: ("analysis", "team:quant", {"postgres", "numba"}, {"candles", "candle_gaps"}, True, set())
        for table in ANALYSIS
    },
}
JOBS = {
    "backfill": {"candles", "candle_gaps", *ANALYSIS},
    "refresh_rules": {"exchange_rules"},
}


@pytest.fixture
def definitions(monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    loaded: dg.Definitions = defs()
    return loaded


def test_they_load_and_validate_without_network_database_or_their_urls(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_the_assets_are_these_and_each_is_described(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        [owner] = node.owners
        found[key.to_user_string()] = (
            node.group_name,
            owner,
            set(node.kinds),
            {parent.to_user_string() for parent in node.parent_keys},
            node.partitions_def is not None,
            {check.name for check in node.check_keys},
        )
    assert found == ASSETS


def test_partitioned_assets_are_cut_by_instrument_and_month_and_backfilled_in_one_run(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    for name, (*_, partitioned, _) in ASSETS.items():
        node = graph.get(dg.AssetKey(name))
        assert node.partitions_def == (instrument_months if partitioned else None), name
        assert node.backfill_policy == (dg.BackfillPolicy.single_run() if partitioned else None), name


def test_every_check_blocks_and_is_described(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = [key for name in ASSETS for key in graph.get(dg.AssetKey(name)).check_keys]
    assert len(keys) == 5
    for key in keys:
        node = graph.get(key)
        assert node.blocking, key
        assert node.description, key


def test_the_jobs_are_these(definitions: dg.Definitions) -> None:
    found = {
        job.name: {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        for job in definitions.resolve_all_job_defs()
        if not job.name.startswith("__")
    }
    assert found == JOBS


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
    assert type(configured.event_log_storage).__name__ == "PostgresEventLogStorage"
    assert type(configured.schedule_storage).__name__ == "PostgresScheduleStorage"
    assert not configured.telemetry_enabled
    assert configured.run_monitoring_enabled

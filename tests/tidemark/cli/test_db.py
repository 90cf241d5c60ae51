"""`tidemark db`, `status` and `doctor` on an embedded server of this module's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.schema import expected
from tests.e2e.commands import Ended, run
from tidemark.processes import free_port
from venues.simulator import SimulatorConfig, running

PERMITTED_BUT_FOR_PRIVILEGES = "SET default_transaction_read_only = off"
INSERT = "INSERT INTO market.series (venue, symbol, tf) VALUES ('binance_spot', 'BTCUSDT', '1m')"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A folder whose server runs from here on."""
    found = {"TIDEMARK_HOME": str(tmp_path_factory.mktemp("installation"))}
    try:
        up = run("db", "up", variables=found)
        assert up.code == 0, up.err
        assert re.search(r"^database started: tidemark_analyst@127\.0\.0\.1:\d+/tidemark, schema \d{4}", up.out)
        yield found
    finally:
        run("db", "down", variables=found)


def psql(variables: dict[str, str], capfd: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """`tidemark db psql`; psql writes to the descriptors, past the streams of Python."""
    capfd.readouterr()
    ended = run("db", "psql", *arguments, variables=variables)
    told = capfd.readouterr()
    return Ended(ended.code, told.out, told.err)


def test_up_finds_a_running_server_and_upgrade_says_the_revision(variables: dict[str, str]) -> None:
    again = run("db", "up", variables=variables)
    assert (again.code, again.out.startswith("database was running: ")) == (0, True)
    assert run("db", "upgrade", variables=variables).out == f"schema {expected()}\n"


@pytest.mark.parametrize("role", ["analyst", "batch", "tidemark_owner"])
def test_url_prints_one_line_by_which_the_role_can_log_in(variables: dict[str, str], role: str) -> None:
    ended = run("db", "url", "--role", role, variables=variables)
    assert (ended.code, ended.err) == (0, "")
    with psycopg.connect(ended.out.strip(), autocommit=True) as conn:
        assert conn.execute("SELECT current_user").fetchone() == (f"tidemark_{role.removeprefix('tidemark_')}",)


def test_a_role_that_does_not_exist_is_told_with_those_that_do(variables: dict[str, str]) -> None:
    ended = run("db", "url", "--role", "admin", variables=variables)
    assert (ended.code, ended.out) == (1, "")
    assert "there is no role 'admin': use one of owner, batch, stream, router, api, analyst" in ended.err


def test_psql_reads_as_the_analyst(variables: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    ended = psql(variables, capfd, "--", "-At", "-c", "select current_user, 1")
    assert (ended.code, ended.out) == (0, "tidemark_analyst|1\n")


def test_psql_as_the_analyst_cannot_write(variables: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    friendly = psql(variables, capfd, "--", "-c", INSERT)
    assert (friendly.code, "read-only transaction" in friendly.err) == (1, True)
    insisting = psql(variables, capfd, "--", "-c", PERMITTED_BUT_FOR_PRIVILEGES, "-c", INSERT)
    assert (insisting.code, "permission denied for table series" in insisting.err) == (1, True)


def test_psql_opens_as_another_role_when_told_to(variables: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    ended = psql(variables, capfd, "--role", "batch", "--", "-At", "-c", "select current_user")
    assert (ended.code, ended.out) == (0, "tidemark_batch\n")


def test_status_of_an_empty_database_tells_how_to_fill_it(variables: dict[str, str]) -> None:
    ended = run("status", variables=variables)
    assert ended.code == 0
    assert "database tidemark_batch@127.0.0.1" in ended.out
    assert "No series yet: `tidemark backfill --help`" in ended.out


def test_doctor_judges_database_schema_and_both_exchanges(variables: dict[str, str]) -> None:
    with running(SimulatorConfig(speed=0)) as simulator:
        spot = {"TIDEMARK_BINANCE_SPOT__REST": simulator.spot_url}
        usdm = {"TIDEMARK_BINANCE_USDM__REST": f"http://127.0.0.1:{free_port()}"}
        ended = run("doctor", variables=variables | spot | usdm)
    found = {subject: mark for mark, subject in re.findall(r"^ *(ok|wrong|not yet) +(\w+)", ended.out, re.MULTILINE)}
    assert set(found) == {"python", "disk", "database", "schema", "binance_spot", "binance_usdm"}
    assert {name: mark for name, mark in found.items() if name != "disk"} == {
        "python": "ok",
        "database": "ok",
        "schema": "ok",
        "binance_spot": "ok",
        "binance_usdm": "wrong",
    }
    assert ended.code == 1


def test_nothing_of_a_command_but_url_shows_a_password(variables: dict[str, str]) -> None:
    secrets = [path.read_text() for path in (Path(variables["TIDEMARK_HOME"]) / "secrets").iterdir()]
    here = {"TIDEMARK_BINANCE_SPOT__REST": "http://127.0.0.1:9", "TIDEMARK_BINANCE_USDM__REST": "http://127.0.0.1:9"}
    for command in (["db", "up"], ["db", "upgrade"], ["status"], ["doctor"]):
        ended = run(*command, variables=variables | here | {"TIDEMARK_LOG_LEVEL": "DEBUG"})
        assert len(secrets) == 8
        assert [secret for secret in secrets if secret in ended.out + ended.err] == []


def test_down_stops_what_runs_and_says_when_nothing_does(tmp_path: Path) -> None:
    elsewhere = {"TIDEMARK_HOME": str(tmp_path)}
    assert run("db", "down", variables=elsewhere) == Ended(0, "no embedded server is running here\n", "")
    assert run("db", "down", "--quiet", variables=elsewhere) == Ended(0, "", "")
    status = run("status", variables=elsewhere)
    assert (status.code, "start it with `tidemark db up`" in status.err) == (1, True)


def test_down_and_up_again_keep_the_data(variables: dict[str, str]) -> None:
    owner = run("db", "url", "--role", "batch", variables=variables).out.strip()
    with psycopg.connect(owner, autocommit=True) as conn:
        conn.execute(INSERT.encode())
    assert run("db", "down", variables=variables).out == "database stopped\n"
    refused = run("db", "url", variables=variables)
    assert (refused.code, "does not run: start it with `tidemark db up`" in refused.err) == (1, True)
    assert run("db", "up", variables=variables).code == 0
    assert "binance_spot:BTCUSDT:1m" in run("status", variables=variables).out

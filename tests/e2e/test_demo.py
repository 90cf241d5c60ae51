"""The demo as a newcomer meets it: an empty folder, one command, a summary, and later the UI and Ctrl-C.

Its holes are believed after 30 s, as on the real exchange, so the first run happens once a session, beside other tests,
and these go on in its folder. Of months it makes two: one that is closed and the running one.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from engine import TABLES
from tests.e2e.commands import started, wait_for
from tests.memory import folder_in_memory

# The first run waits for half a minute, on a machine that does other things too.
pytestmark = pytest.mark.timeout(300)

MONTHS = ("--months", "2")
SERIES = [
    f"{instrument}:{tf}"
    for instrument in ("binance_spot:BTCUSDT", "binance_usdm:ETHUSDT")
    for tf in ("1m", "5m", "15m", "1h")
]
QUESTION = """
{
  assetNodes { assetKey { path } }
  runsOrError { ... on Runs { results { jobName status } } }
}
"""


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What `tidemark demo --once` did in an empty folder."""

    folder: Path
    code: int
    told: str

    @property
    def seconds(self) -> int:
        """How long it took, as it says itself."""
        return seconds_of(self.told)

    @property
    def home(self) -> Path:
        """Where it keeps everything."""
        return self.folder / ".tidemark" / "demo"

    def ports(self) -> list[int]:
        """The ports of the latest run's simulator."""
        settings = yaml.safe_load((self.home / "tidemark.yaml").read_text(encoding="utf-8"))
        addresses = [
            settings["binance_spot"]["rest"],
            settings["binance_usdm"]["rest"],
            settings["binance_spot"]["archive"],
        ]
        return [urlsplit(address).port or 0 for address in addresses]


@pytest.fixture(scope="module", name="demo")
def finished_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    """`tidemark demo --once` in an empty folder; it runs once for all tests of this module."""
    elsewhere = tmp_path_factory.mktemp("newcomer")
    log = elsewhere.with_name("newcomer.log")
    with folder_in_memory(elsewhere) as given:
        folder = given / "empty"
        folder.mkdir()
        with started("demo", "--once", *MONTHS, variables={}, log=log, folder=folder) as process:
            code = process.wait(timeout=200)
        yield FirstRun(folder, code, log.read_text(encoding="utf-8"))


def seconds_of(told: str) -> int:
    """The seconds in the last line of the summary."""
    return int(re.findall(r"^done in (\d+) s", told, re.MULTILINE)[0])


def listens(port: int) -> bool:
    """Whether anybody accepts connections on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes_of(folder: Path) -> dict[int, str]:
    """Living processes whose command line or environment names `folder`: what a demo started there."""
    found: dict[int, str] = {}
    name = os.fsencode(folder)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is somebody else's
        if name in command or name in environment:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def assert_nothing_is_left(demo: FirstRun, *ports: int) -> None:
    wait_for("the end of every process of the demo", lambda: processes_of(demo.folder) == {}, seconds=10)
    assert not (demo.home / "postgres" / "postmaster.pid").exists()
    assert [port for port in (*demo.ports(), *ports) if listens(port)] == []


def test_once_in_an_empty_folder_ends_well_with_a_summary_and_timings(demo: FirstRun) -> None:
    assert demo.code == 0, demo.told
    for instrument in ("binance_spot:BTCUSDT", "binance_usdm:ETHUSDT"):
        assert re.search(rf"^{instrument} +2 +2 +done +\d+\.\d$", demo.told, re.MULTILINE), demo.told
    for series in SERIES:
        assert re.search(rf"^{series} +\d[\d,]+ +2 +20\d\d-\d\d-01 ", demo.told, re.MULTILINE), demo.told
    assert re.search(
        r"^The last 7 days brought \d[\d,]+ breaks of structure and \d[\d,]+ zones, of which \d+ are still active;$",
        demo.told,
        re.MULTILINE,
    ), demo.told
    assert re.search(r"^\d[\d,]+ signals \(\d[\d,]+ by retest\): suggestions to trade", demo.told, re.MULTILINE)
    assert re.search(r"^done in \d+ s; everything is kept in .*\.tidemark/demo$", demo.told, re.MULTILINE)
    assert "Traceback" not in demo.told


def test_once_shows_progress_and_what_it_waits_for(demo: FirstRun) -> None:
    assert "starting the database" in demo.told
    assert "reusing" not in demo.told
    assert "candles binance_spot:BTCUSDT: 8/8" in demo.told
    assert "analysis binance_usdm:ETHUSDT: 8/8" in demo.told


def test_what_the_first_instrument_waits_for_the_second_has_waited_for_too(demo: FirstRun) -> None:
    assert set(re.findall(r"holes of (\S+): asking again", demo.told)) <= {"binance_spot:BTCUSDT"}
    settled = r"^binance_usdm:ETHUSDT:1m +\S+ +2 +\S+ +\S+ \S+ +[1-9]\d* +0 "  # holes, and none pending
    assert re.search(settled, demo.told, re.MULTILINE), demo.told


def test_once_leaves_nothing_running(demo: FirstRun) -> None:
    assert_nothing_is_left(demo)


def test_a_second_demo_reuses_the_data_serves_the_ui_and_stops_on_ctrl_c(demo: FirstRun, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started("demo", *MONTHS, variables={}, log=log, folder=demo.folder) as process:

        def served() -> bool:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            return "Ctrl-C stops what this command started" in log.read_text(encoding="utf-8")

        wait_for("the address of the UI", served, seconds=200)
        told = log.read_text(encoding="utf-8")
        assert f"reusing what is in {demo.home}" in told
        assert "2 of 2 months" not in told
        # No month of the past is loaded again, and no hole of it is waited for.
        assert "asking again" not in told
        assert "--demo backtest --venue binance_usdm --symbols ETHUSDT\n" in told
        address = re.findall(r"^Dagster +(http://127\.0\.0\.1:\d+)", told, re.MULTILINE)[0]
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            assert "dagster_version" in client.get("/server_info").json()
            answer = client.post("/graphql", json={"query": QUESTION}).json()["data"]
        assets = {"/".join(node["assetKey"]["path"]) for node in answer["assetNodes"]}
        assert assets > {"exchange_rules", "candles", "candle_gaps", *TABLES, "fct_signals", "mart_coverage"}
        runs = [(run["jobName"], run["status"]) for run in answer["runsOrError"]["results"]]
        assert runs.count(("backfill", "SUCCESS")) >= 2
        assert {status for _, status in runs} == {"SUCCESS"}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, log.read_text(encoding="utf-8")
    told = log.read_text(encoding="utf-8")
    assert told.rstrip().endswith("stopped")
    assert "Traceback" not in told
    assert_nothing_is_left(demo, urlsplit(address).port or 0)

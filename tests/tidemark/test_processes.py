"""Children that start, fail, hang and leave children of their own."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from tidemark import processes
from tidemark.processes import Child, ChildFailed, answers, free_port
from venues.simulator import SimulatorConfig, running

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
POLITE = """
import sys, time
try:
    print("ready", flush=True)  # inside: the interrupt may come right behind it
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped as told")
"""


def start(program: str, log: Path, **environment: str) -> Child:
    return Child.start("worker", [sys.executable, "-c", program], log=log, environment=environment)


def said(log: Path, text: str) -> bool:
    return text in log.read_text()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_that_listens_is_interrupted_and_ends_in_its_own_way(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "worker.log"
    with start(POLITE, log) as child:
        child.wait_until(lambda: said(log, "ready"), seconds=20)
        assert child.running()
    assert not child.running()
    assert log.read_text() == "ready\nstopped as told\n"


def test_a_stubborn_child_is_ended_with_everything_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    log = tmp_path / "log"
    with start(STUBBORN, log) as child:
        child.wait_until(lambda: said(log, "\n"), seconds=20)
        grandchild = int(log.read_text())
        assert alive(grandchild)
    assert not child.running()
    deadline = time.monotonic() + 10
    while alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(grandchild)


def test_a_child_that_ends_early_is_reported_with_its_exit_code_and_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "import sys; print('x' * 5000); print('port 8181 is taken'); sys.exit(3)"
    with (
        start(program, log) as child,
        pytest.raises(ChildFailed, match=r"the worker ended with exit code 3; .*log ends:") as caught,
    ):
        child.wait_until(lambda: False, seconds=20)
    assert str(caught.value).rstrip().endswith("port 8181 is taken")
    assert len(str(caught.value)) < 2000


def test_a_child_that_is_never_ready_is_reported_in_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start(POLITE, log) as child, pytest.raises(ChildFailed, match="the worker was not ready after 0 s"):
        child.wait_until(lambda: False, seconds=0.3)


def test_variables_are_added_to_those_of_this_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "import os; print(os.environ['TIDEMARK_COLOUR'], 'PATH' in os.environ)"
    with start(program, log, TIDEMARK_COLOUR="blue") as child:
        assert child.wait() == 0
    assert log.read_text() == "blue True\n"


def test_a_child_leads_a_session_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start("import os; print(os.getsid(0))", log) as child:
        child.wait()
    assert int(log.read_text()) != os.getsid(0)


def test_an_address_answers_only_while_somebody_serves_it() -> None:
    with running(SimulatorConfig(speed=0)) as simulator:
        ping = f"{simulator.spot_url}/api/v3/ping"
        assert answers(ping)
        assert not answers(f"{simulator.spot_url}/nowhere")
    assert not answers(ping)


def test_the_preferred_port_is_given_while_it_is_free_and_another_when_it_is_taken() -> None:
    port = free_port()
    assert free_port(port) == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        other = free_port(port)
    assert other not in {port, 0}

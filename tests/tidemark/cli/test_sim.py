"""`tidemark sim` as a process: three addresses on screen, answers on them, a clean end on SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from tidemark.cli.sim import sim

PROGRAM = "import typer; from tidemark.cli.sim import sim; typer.run(sim)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_on_the_printed_addresses_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    printed = tmp_path / "out.txt"
    ports = [word for name in ("spot", "usdm", "archive") for word in (f"--{name}-port", "0")]
    command = [sys.executable, "-c", PROGRAM, *ports, "--speed", "0", "--start", "2025-03-20T10:00:30Z"]
    with printed.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "COLUMNS": "120"})
    try:
        deadline = time.monotonic() + 30
        while "Ctrl-C" not in printed.read_text(encoding="utf-8") and time.monotonic() < deadline:
            assert process.poll() is None, printed.read_text(encoding="utf-8")
            time.sleep(0.05)
        spot, _, usdm, _, archive = re.findall(r"(?:http|ws)://127\.0\.0\.1:\d+", printed.read_text(encoding="utf-8"))
        with httpx.Client(timeout=10) as client:
            assert client.get(f"{spot}/api/v3/time").json() == {"serverTime": 1742464830000}
            assert client.get(f"{usdm}/fapi/v1/ping").json() == {}
            assert list(client.get(f"{archive}/sim/market").json()) == ["BTCUSDT", "ETHUSDT"]
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert "Traceback" not in printed.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait(timeout=10)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--start", "tomorrow"], "ISO 8601"),
        (["--symbols", "BITCOIN"], "must end in one of"),
        (["--spot-port", "9000", "--usdm-port", "9000"], "three ports"),
        (["--speed", "-1"], "speed"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_words(arguments: list[str], told: str) -> None:
    app = typer.Typer()
    app.command()(sim)
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 2
    assert told in result.output

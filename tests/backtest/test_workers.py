"""Workers: none outlives its parent, Ctrl-C is not theirs, and a lost one is told of."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backtest.workers import WorkerLost, Workers
from tests.backtest.markets import ONE, config, market

MARKET = {key: frame for key, frame in market(200).items() if key.instrument == ONE}
SETS = [{"profile.reward": 0.5 + 0.001 * k} for k in range(4000)]

# Says how many trials have come back, for as long as it is let.
WORK = """
from backtest.workers import Workers
from tests.backtest.test_workers import MARKET, SETS
from tests.backtest.markets import config

if __name__ == "__main__":
    done = 0
    with Workers(MARKET, config(), processes=2) as workers:
        try:
            for part in workers.trials(SETS):
                done += len(part)
                print(done, flush=True)
        except KeyboardInterrupt:
            rest = sum(len(part) for part in workers.finished())
            print(f"interrupted with {rest} more", flush=True)
"""


@contextlib.contextmanager
def working(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with two workers, in a session of its own, that has begun to get trials back."""
    script = folder / "work.py"
    script.write_text(WORK, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        # The first sets come back one by one: of four that are under way none waits for many others.
        assert 1 <= int(process.stdout.readline()) <= 4
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_workers_end_with_the_process_that_began_them_however_it_was_killed(tmp_path: Path) -> None:
    with working(tmp_path) as process:
        begun = children(process.pid)
        assert len(begun) >= 2
        process.kill()
        wait_until(lambda: not any(map(alive, begun)))


def test_ctrl_c_is_for_the_process_that_waits_and_its_workers_end_what_they_do_without_a_word(tmp_path: Path) -> None:
    with working(tmp_path) as process:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=30)
    *counted, last = out.splitlines()
    assert last.startswith("interrupted with")
    assert err == ""
    assert process.returncode == 0
    assert all(int(line) < len(SETS) for line in counted)


def test_a_worker_that_was_killed_is_told_of_with_what_to_do() -> None:
    with Workers(MARKET, config(), processes=2) as workers:
        parts = workers.trials(SETS)
        next(parts)
        before = set(children(os.getpid()))
        killed = next(pid for pid in before if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(WorkerLost, match=r"ran out of memory.*--processes 1"):
            for _ in parts:
                pass


def test_surrogates_tell_of_a_killed_worker_too() -> None:
    with Workers(MARKET, config(), processes=2) as workers:
        values = workers.surrogates(range(4000), measure="sharpe")
        next(values)
        killed = next(
            pid for pid in children(os.getpid()) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(WorkerLost, match="fewer processes"):
            for _ in values:
                pass

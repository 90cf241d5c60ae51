"""The command line as a person uses it: in this process where that is enough, as a process where it has to die.

A command in this process costs a tenth of one that has to import Dagster first. Either way it sees exactly the
variables it is given, and what it does to its environment ends with it.

    ended = run("status", variables=place.variables)
    with started("backfill", …, variables=place.variables, log=folder / "log") as process: ...
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tidemark.cli import main

_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str


def clean(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `variables` in the place of everything that steers Tidemark or Dagster."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "DAGSTER_", "PG"))}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", **variables}


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Work under `variables` for the length of a block, whatever is set inside."""
    with mock.patch.dict(os.environ, clean(variables), clear=True):
        yield


def run(*arguments: str, variables: Mapping[str, str]) -> Ended:
    """Run `tidemark` with these arguments in this process, to its end."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        environment(variables),
        mock.patch.object(sys, "argv", ["tidemark", *arguments]),
        # A ban outlives a run, but not a process: each command starts without the budgets of the one before.
        mock.patch.dict(_budgets(), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())


def _budgets() -> dict[str, object]:
    """The budgets of this process, without importing Dagster for commands that do without it."""
    return getattr(sys.modules.get("assets.resources"), "_BUDGETS", {})


@contextlib.contextmanager
def started(
    *arguments: str, variables: Mapping[str, str], log: Path, folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `tidemark` in a process and a session of its own; what is left of it at the end is killed.

    Args:
        arguments: What stands behind `tidemark`.
        variables: What steers it.
        log: Where standard output and error go.
        folder: Its working folder.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidemark", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=clean(variables),
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # a demo stops its own children, which are sessions of their own
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_SECONDS)


@contextlib.contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Do `work` in a thread while the block runs a command here; its failure is the test's, behind the block's own."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        yield
        done.result()


def wait_for(what: str, ready: Callable[[], bool], *, seconds: float) -> None:
    """Wait until `ready` says so; the test fails naming `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.02)

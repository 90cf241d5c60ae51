"""Child processes of a command: started in sessions of their own, watched, and stopped in order.

A session of its own keeps Ctrl-C of the terminal from reaching the children before the command that owns them; it
decides who stops when. What a child prints goes to a file that an error message can quote.

    with Child.start("simulator", argv, log=folder / "simulator.log") as child:
        child.wait_until(lambda: answers(url), seconds=30)
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from contracts.errors import Retryable

STOP_SECONDS = 15.0
_POLL_SECONDS = 0.1


class ChildFailed(Retryable):
    """A child process ended early or never became ready; the message carries the end of its log."""


@dataclass(slots=True)
class Child:
    """One running child process.

    Attributes:
        name: What it is, for messages.
        log: File that holds what it prints.
    """

    name: str
    log: Path
    _process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Start `command` with this process's environment and `environment` on top."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as sink:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        return cls(name, log, process)

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def has_said(self, text: str) -> bool:
        """Whether `text` stands in what it printed so far."""
        return text in self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready` says so.

        Raises:
            ChildFailed: It ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                what = f"ended with exit code {self._process.returncode}"
                raise self._failed(what)
            if time.monotonic() > deadline:
                what = f"was not ready after {seconds:.0f} s"
                raise self._failed(what)
            time.sleep(_POLL_SECONDS)

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._process.wait()

    def stop(self) -> None:
        """Interrupt it, then end it and everything it started, if it does not stop within 15 s."""
        if self.running():
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        # Its session is its own: whatever is left of it belongs to nobody else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _failed(self, what: str) -> ChildFailed:
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-1500:]
        return ChildFailed(f"the {self.name} {what}; {self.log} ends:\n{tail}")


def answers(url: str) -> bool:
    """Whether an HTTP GET of `url` is answered with success within two seconds."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def free_port(preferred: int | None = None) -> int:
    """A port on loopback that nobody listens on: `preferred` where it is free, else one the system picks."""
    for candidate in (preferred, 0):
        if candidate is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", candidate))
                return int(probe.getsockname()[1])
    msg = "no port on loopback is free"
    raise Retryable(msg)

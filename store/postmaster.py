"""What `postmaster.pid` says about a cluster's server, and whether that process is really there.

A killed server leaves the file behind; its process number may be gone, a zombie (where the container's first process
does not reap), or somebody else's by now. Only a living process that runs `postgres` counts. Nothing is signalled here.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_FILE = "postmaster.pid"
_PORT_LINE = 3
_STATUS_LINE = 7
_SSL_REQUEST = 80877103
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A living server process.

    Attributes:
        pid: Its process number.
        port: The TCP port it listens on; 0 before it has written one.
        ready: Whether it has finished starting (or recovering) and takes connections.
    """

    pid: int
    port: int
    ready: bool

    @classmethod
    def read(cls, data: Path) -> Self | None:
        """The living server of the cluster in `data`; None when there is none."""
        try:
            lines = (data / _FILE).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        pid = _number(lines, 0)
        if pid <= 0 or not _lives(pid) or not _serves(pid, data):
            return None
        status = lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
        return cls(pid, _number(lines, _PORT_LINE), status == "ready")

    def answers(self) -> bool:
        """Whether it takes a connection and speaks; a server that was just killed is still listed for a moment.

        The question is PostgreSQL's SSLRequest, answered by one byte before any role or database is named.
        """
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=_ANSWER_SECONDS) as connection:
                connection.sendall(struct.pack("!ii", 8, _SSL_REQUEST))
                return connection.recv(1) in {b"N", b"S"}
        except OSError:
            return False


def forget_impostor(data: Path) -> None:
    """Remove a dead server's pid file where its number is a zombie's or was given to another process.

    PostgreSQL would refuse to start then. Everywhere else the file stays: by it PostgreSQL finds out whether
    backends of the killed server still use its shared memory.
    """
    try:
        pid = _number((data / _FILE).read_text(encoding="utf-8").splitlines(), 0)
    except FileNotFoundError:
        return
    if pid > 0 and _lives(pid) and not _serves(pid, data):
        (data / _FILE).unlink(missing_ok=True)


def _number(lines: list[str], index: int) -> int:
    text = lines[index].strip() if len(lines) > index else ""
    return int(text) if text.isdigit() else 0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it belongs to somebody else
    return True


def _serves(pid: int, data: Path) -> bool:
    """Whether that process is a PostgreSQL server working in `data`, as far as this process may see."""
    process = Path(f"/proc/{pid}")
    if not process.exists():
        # Without a /proc (macOS) a living process is taken for the server; with one it has just ended.
        return not Path("/proc/self").exists()
    try:
        program = (process / "cmdline").read_bytes().split(b"\0")[0]  # empty for a zombie
        if not program.endswith(b"postgres"):
            return False
        return (process / "cwd").samefile(data)
    except PermissionError:
        return True
    except FileNotFoundError:
        return False

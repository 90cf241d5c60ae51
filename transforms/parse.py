"""The parsed project: made once per version of its files, kept, and read by whoever imports the assets.

Parsing takes seconds and needs no database. `make install` does it (`python -m transforms.parse`); where nobody did,
the first import does. What was parsed is kept under the fingerprint of the project's files and of dbt, so an older
one is never taken for it: in the environment's own folder where that can be written, else in one of this user's alone.
Two forms are kept: `manifest.json`, which dagster-dbt reads, and `manifest.msgpack`, dbt's own, which a run needs.

    manifest = parsed().manifest        # path of manifest.json
    dbt_manifest = parsed().load(name)  # what dbtRunner takes; no parsing happens then
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.errors import Rejected
from transforms import PROJECT

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

log = logging.getLogger(__name__)

_FILES: Final = ("*.sql", "*.yml")
_PACKAGES: Final = ("dbt-core", "dbt-postgres", "dbt-adapters")
QUIET: Final = (
    *("--log-level", "none", "--log-level-file", "none", "--no-print", "--no-version-check"),
    *("--no-send-anonymous-usage-stats", "--no-use-colors", "--no-partial-parse"),
)


class ProjectBroken(Rejected):
    """The dbt project cannot be parsed: the installation is damaged, or somebody is editing it."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What parsing gave.

    Attributes:
        folder: Where it is kept.
    """

    folder: Path

    @property
    def manifest(self) -> Path:
        """The manifest as dbt writes it for others."""
        return self.folder / "manifest.json"

    @property
    def packed(self) -> Path:
        """The manifest as dbt keeps it for itself."""
        return self.folder / "manifest.msgpack"

    @property
    def complete(self) -> bool:
        """Whether both forms are there."""
        return self.manifest.is_file() and self.packed.is_file()

    def load(self, database: str) -> Manifest:
        """A manifest of its own for one run of dbt on that database: a run writes into it."""
        from dbt.contracts.graph.manifest import Manifest
        from dbt.parser.manifest import extended_mashumuro_decoder

        loaded: Manifest = Manifest.from_msgpack(self.packed.read_bytes(), decoder=extended_mashumuro_decoder)
        # Parsing knows no database, and every relation carries the name of its one.
        for node in (*loaded.nodes.values(), *loaded.sources.values()):
            node.relation_name = (node.relation_name or "").replace(f'"{node.database}".', f'"{database}".', 1) or None
            node.database = database
        loaded.build_flat_graph()  # type: ignore[no-untyped-call]  # dbt's own, half typed
        return loaded


@cache
def parsed() -> Parsed:
    """The parsed project, parsed now if no parse of these very files is kept.

    Raises:
        ProjectBroken: It cannot be parsed.
    """
    name = fingerprint(PROJECT)
    for base in _bases():
        found = Parsed(base / name)
        if found.complete:
            return found
    for base in _bases():
        with contextlib.suppress(OSError):
            return _parse_into(base, name)
    log.warning("no folder keeps the parsed dbt project: it is parsed again in every process")
    return _parse_into(Path(tempfile.mkdtemp(prefix="tidemark-dbt-")), name)


def fingerprint(project: Path) -> str:
    """A text that changes with every file of the project and with dbt, and with nothing else."""
    digest = hashlib.sha256("|".join(f"{package} {version(package)}" for package in _PACKAGES).encode())
    for path in sorted(found for pattern in _FILES for found in project.rglob(pattern)):
        digest.update(f"\n{path.relative_to(project).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _bases() -> Iterator[Path]:
    """Folders that may keep it, the best first: nobody but the environment's owner, or this user, writes there."""
    yield Path(sys.prefix) / "share" / "tidemark" / "dbt"
    own = Path(tempfile.gettempdir()) / f"tidemark-dbt-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        own.mkdir(mode=0o700)
    state = own.lstat()
    # What lies there becomes SQL of ours: a folder that somebody else could have filled is not looked into.
    if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o077:
        yield own


def _parse_into(base: Path, name: str) -> Parsed:
    base.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))
    try:
        _parse(work)
        for left in work.iterdir():  # dbt's other artefacts are of no use to anybody
            if left.name not in ("manifest.json", "manifest.msgpack"):
                left.unlink()
        work.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was faster: its parse is the same
            work.rename(base / name)
        return Parsed(base / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _parse(folder: Path) -> None:
    from dbt.cli.main import dbtRunner
    from dbt.parser.manifest import extended_mashumaro_encoder

    command = ["parse", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(folder)]
    result = dbtRunner().invoke([*command, "--log-path", str(folder), *QUIET, "--write-json"])
    if not result.success:
        msg = f"parse the dbt project in {PROJECT}: {result.exception or 'no message'}; install the release again"
        raise ProjectBroken(msg) from result.exception
    manifest: Manifest = result.result  # type: ignore[assignment]  # what `parse` answers
    Parsed(folder).packed.write_bytes(manifest.to_msgpack(extended_mashumaro_encoder))


if __name__ == "__main__":
    parsed()

"""A folder in memory for the databases of a session.

A database is five hundred files, and every test has one of its own: on a disk the kernel spends more on making and
deleting files than all tests together spend on what they prove. Where there is no file system in memory with room for
it (a container's is 64 MB), the folder is on the disk and everything else is as before.

A session that is killed cannot tidy up, and memory must not fill with what it left: each folder is locked by its
session, and whoever comes next deletes those that nobody locks. A server left behind ends when its folder is gone.

    with folder_in_memory(tmp_path_factory.mktemp("server")) as folder: ...
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's place for it; what is made there has a random name
ROOM_BYTES = 4 * 2**30  # a session's servers and its demo take half of it


@contextlib.contextmanager
def folder_in_memory(otherwise: Path, *, memory: Path = MEMORY, room: int = ROOM_BYTES) -> Iterator[Path]:
    """A new folder in memory, deleted at the end, or `otherwise`, which stays.

    Args:
        otherwise: What is given where `memory` does not exist, cannot be written or has too little room.
        memory: Where the folder is made.
        room: Bytes that must be free there.
    """
    with contextlib.ExitStack() as stack:
        try:
            has_room = shutil.disk_usage(memory).free >= room
            folder = stack.enter_context(_locked_folder(memory)) if has_room else otherwise
        except OSError:
            folder = otherwise
        yield folder


@contextlib.contextmanager
def _locked_folder(memory: Path) -> Iterator[Path]:
    prefix = f"tidemark-tests-{os.getuid()}-"
    with contextlib.ExitStack() as stack:
        with _lock(memory / f"{prefix}lock", wait=True):  # between making a folder and locking it nobody may look
            for left in memory.glob(f"{prefix}*/lock"):
                with contextlib.suppress(OSError), _lock(left, wait=False):
                    shutil.rmtree(left.parent, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=memory))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(_lock(folder / "lock", wait=True))
        yield folder


@contextlib.contextmanager
def _lock(file: Path, *, wait: bool) -> Iterator[None]:
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield

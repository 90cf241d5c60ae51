import fcntl
import os
from pathlib import Path

import pytest

from tests.memory import folder_in_memory


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    (tmp_path / "memory").mkdir()
    return tmp_path / "memory"


def test_a_folder_in_memory_is_gone_at_the_end_with_all_that_is_in_it(tmp_path: Path, memory: Path) -> None:
    with folder_in_memory(tmp_path, memory=memory, room=0) as folder:
        assert folder.parent == memory
        assert folder.stat().st_mode & 0o77 == 0
        (folder / "full").mkdir()
    assert not folder.exists()
    assert tmp_path.exists()


def test_what_a_killed_session_left_is_deleted_and_what_a_living_one_has_is_not(tmp_path: Path, memory: Path) -> None:
    left = memory / f"tidemark-tests-{os.getuid()}-left"
    left.mkdir()
    (left / "lock").touch()
    with folder_in_memory(tmp_path, memory=memory, room=0) as mine, (mine / "lock").open() as other:
        assert not left.exists()
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with folder_in_memory(tmp_path, memory=memory, room=0) as second:
            assert second != mine
            assert mine.exists()


def test_without_room_or_memory_the_other_folder_is_given_and_stays(tmp_path: Path, memory: Path) -> None:
    with folder_in_memory(tmp_path, memory=memory, room=2**62) as folder:
        assert folder == tmp_path
    with folder_in_memory(tmp_path, memory=tmp_path / "none", room=0) as folder:
        assert folder == tmp_path
    assert tmp_path.exists()

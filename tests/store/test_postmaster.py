import os
import subprocess
import sys
from pathlib import Path

import pytest

from store.postmaster import Postmaster, forget_impostor

linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")


def pid_file(folder: Path, pid: int) -> Path:
    path = folder / "postmaster.pid"
    path.write_text(f"{pid}\n{folder}\n1700000000\n5499\n\n127.0.0.1\n  1  2\nready   \n")
    return path


def test_without_a_pid_file_there_is_no_server(tmp_path: Path) -> None:
    assert Postmaster.read(tmp_path) is None
    forget_impostor(tmp_path)


def test_a_dead_servers_file_stays_for_postgresql_to_judge(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    path = pid_file(tmp_path, ended.pid)
    assert Postmaster.read(tmp_path) is None
    forget_impostor(tmp_path)
    assert path.exists()


@linux
def test_another_process_with_the_dead_servers_number_is_no_server(tmp_path: Path) -> None:
    path = pid_file(tmp_path, os.getpid())
    assert Postmaster.read(tmp_path) is None
    forget_impostor(tmp_path)
    assert not path.exists()


@linux
def test_a_zombie_with_the_dead_servers_number_is_no_server(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended and is not reaped
        path = pid_file(tmp_path, zombie.pid)
        assert Postmaster.read(tmp_path) is None
        forget_impostor(tmp_path)
        assert not path.exists()


def test_a_half_written_file_names_no_server(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("")
    assert Postmaster.read(tmp_path) is None

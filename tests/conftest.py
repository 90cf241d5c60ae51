import gc
import signal
from collections.abc import Iterator

import pytest

from tests.databases import Database, Server, fresh_database, running_server
from tests.memory import folder_in_memory


def pytest_configure() -> None:
    """A shell that starts the suite in the background makes it deaf to Ctrl-C, and with it all that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with roles and a migrated template; see `tests/databases.py`."""
    with (
        folder_in_memory(tmp_path_factory.mktemp("server")) as folder,
        running_server(folder / "server") as running,
    ):
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """A migrated, empty database of this test's own."""
    with fresh_database(server) as fresh:
        yield fresh


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses the session's server carries the mark `db`."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.db)


def pytest_collection_finish() -> None:
    """What is imported and collected now lives to the end: never look through these million objects for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)

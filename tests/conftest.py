from collections.abc import Iterator

import pytest

from tests.databases import Database, Server, fresh_database, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with roles and a migrated template; see `tests/databases.py`."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
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

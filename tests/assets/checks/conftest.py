from collections.abc import Iterator

import pytest

from tests.assets.checks.filled import filled
from tests.databases import Database, Server, fresh_database


@pytest.fixture(scope="session")
def analysed(server: Server) -> Iterator[Server]:
    """A server whose template holds a loaded and analysed month."""
    with filled(server) as prepared:
        yield prepared


@pytest.fixture
def sound(analysed: Server) -> Iterator[Database]:
    """A copy of the loaded and analysed month, of this test's own."""
    with fresh_database(analysed) as database:
        yield database

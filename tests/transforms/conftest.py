from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Server, fresh_database
from tests.transforms.hand_made import Built, plant_everything


@pytest.fixture(scope="module")
def built(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The hand-made market, with every mart built from it: read it only, or roll back."""
    with fresh_database(server) as database:
        plant_everything(database)
        world = Built(database, tmp_path_factory.mktemp("dbt"))
        world.build()
        yield world


@pytest.fixture
def own(server: Server, tmp_path: Path) -> Iterator[Built]:
    """The hand-made market as a test's own, not yet built."""
    with fresh_database(server) as database:
        plant_everything(database)
        yield Built(database, tmp_path)


@pytest.fixture(scope="session")
def grown_template(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a database with the hand-made market and every mart built from it, to be copied."""
    with fresh_database(server) as database:
        plant_everything(database)
        Built(database, tmp_path_factory.mktemp("dbt")).build()
        yield database.name


@pytest.fixture
def grown(server: Server, grown_template: str, tmp_path: Path) -> Iterator[Built]:
    """The hand-made market, with every mart built from it, as a test's own."""
    with fresh_database(server, template=grown_template) as database:
        yield Built(database, tmp_path)

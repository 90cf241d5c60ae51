from collections.abc import Iterator

import psycopg
import pytest

from store.connections import connect
from store.roles import ROUTER
from tests.databases import Database


@pytest.fixture
def router(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the router's role to the test's own database."""
    with connect(database.dsn(ROUTER), application_name="test") as connection:
        yield connection


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the superuser to it: whoever tampers has every privilege."""
    with connect(database.admin_dsn, application_name="test") as connection:
        yield connection

from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest

from store.connections import connect
from store.roles import BATCH
from tests.databases import Database
from tests.orchestration.months import Graph


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that forgets everything at the end of the test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def graph(instance: dg.DagsterInstance) -> Graph:
    """The small graph, after the automation's first look at it."""
    made = Graph(instance)
    assert made.tick() == {}
    return made


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the batch role to the test's own database."""
    with connect(database.dsn(BATCH), application_name="test") as connection:
        yield connection

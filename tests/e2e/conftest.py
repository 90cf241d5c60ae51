"""The server of the session, places on it, and simulators whose market is small and known.

The generated market was chosen by its seed: no outage is long enough to take a whole 15m bar away, so no backfill here
waits the 30 s after which a hole is believed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.databases import SERVER_VARIABLE, Server
from tests.e2e.places import Place
from tests.memory import folder_in_memory
from venues.simulator import Simulator, SimulatorConfig, running

LISTED = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 2, 20, 6, 30, 3, tzinfo=UTC)
# Closed 1h bars from the listing to now.
HOURS = 31 * 24 + 19 * 24 + 6
SYMBOLS = (
    "BTCUSDT",
    "ETHUSDT",
    "BNBUSDT",
    "SOLUSDT",
    "XRPUSDT",
    "AAAUSDT",
    "BBBUSDT",
    "CCCUSDT",
    "DDDUSDT",
    "EEEUSDT",
    "FFFUSDT",
    "GGGUSDT",
)

Founder = Callable[[], Place]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder runs whole processes, or what they are made of; the demo comes first."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
    # It is the longest, and half of it is waiting: begun first, it runs beside everything else (`make test`).
    items.sort(key=lambda item: "demo" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Founder]:
    """Makes installations on one server; the server is stopped, or their databases are dropped, at the end."""
    with folder_in_memory(tmp_path_factory.mktemp("home")) as home:
        yield from _founding(home, request)


def _founding(home: Path, request: pytest.FixtureRequest) -> Iterator[Founder]:
    variables = {"TIDEMARK_HOME": str(home)}
    given = os.environ.get(SERVER_VARIABLE)
    if given:
        # Roles are the server's: this session must not change the passwords its other tests log in with.
        server: Server = request.getfixturevalue("server")
        variables["TIDEMARK_ADMIN_URL"] = given
        (home / "secrets").mkdir(mode=0o700)
        for role, password in server.passwords.items():
            (home / "secrets" / role).write_text(password, encoding="ascii")
    made: list[Place] = []

    def place() -> Place:
        name = f"tidemark_e2e_{uuid.uuid4().hex[:8]}"
        names = {"TIDEMARK_DATABASE": name, "TIDEMARK_DAGSTER_DATABASE": f"{name}_dagster"}
        one = Place.of({**variables, **names})
        made.append(one)
        one.installation.start()
        one.installation.upgrade()
        return one

    try:
        yield place
    finally:
        if given:
            for one in made:
                one.drop()
        elif made:
            made[0].installation.stop()


@pytest.fixture(scope="module")
def place(found: Founder) -> Place:
    """An upgraded installation of this module's own."""
    return found()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A standing exchange of seven weeks: one closed month, 19 days of daily files, six hours of REST alone."""
    with running(SimulatorConfig(seed=1, symbols=SYMBOLS, listed_at=LISTED, start=NOW, speed=0)) as simulator:
        yield simulator

"""One installation: its folder, its database server, and the environment its processes are started with.

Everything that starts a process or opens the database on a person's behalf goes through here, so that the embedded
and an external server look the same from the command line. An external server (`admin_url`) is never started or
stopped; the passwords that `upgrade` makes for its roles are kept in the installation's folder either way.

    installation = Installation(load_settings())
    installation.start()
    installation.upgrade()
    installation.url(BATCH)
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from contracts.errors import Rejected
from orchestration import DAGSTER_YAML
from store.connections import connect, describe
from store.embedded import SUPERUSER, EmbeddedServer
from store.provision import provision
from store.roles import BATCH, DAGSTER, OWNER, ROLES
from store.schema import current, expected
from tidemark.settings import CONFIG_VARIABLE, Settings, config_path

__all__ = ["BATCH", "DAGSTER", "OWNER", "Installation"]


@dataclass(frozen=True)
class Installation:
    """What the settings describe, made usable."""

    settings: Settings

    @cached_property
    def server(self) -> EmbeddedServer:
        """The embedded server of this folder (its secrets serve an external server too)."""
        return EmbeddedServer(self.settings.home)

    @property
    def embedded(self) -> bool:
        """Whether this installation runs its own database server."""
        return self.settings.admin_url is None and self.settings.batch_url is None

    def start(self) -> bool:
        """Make sure that the database server runs.

        Returns:
            True when this call started it; False when it ran already or is an external one.
        """
        if not self.embedded or self.server.running():
            return False
        self.server.start()
        return True

    def stop(self) -> bool:
        """Stop the embedded server; False when there was none to stop."""
        if not self.embedded or not self.server.running():
            return False
        self.server.stop()
        return True

    def upgrade(self) -> str:
        """Create what is missing of roles, databases and schema; returns the schema's revision.

        Raises:
            TidemarkError: The server cannot be reached or refuses.
        """
        return provision(
            self.admin_url("postgres"),
            {role: self.server.secret(role) for role in ROLES},
            database=self.settings.database,
            dagster_database=self.settings.dagster_database,
        )

    def prepare(self) -> bool:
        """Make sure that the database can be worked on; an external server is never changed by the way.

        Returns:
            True when this call started the embedded server.

        Raises:
            Rejected: The schema of an external server is missing or of another version.
            TidemarkError: The server cannot be reached.
        """
        started = self.start()
        if self.embedded:
            # A fresh cluster has no role to ask with; an old one is upgraded only where it has to be.
            if not self._set_up() or current(self.url(BATCH)) != expected():
                self.upgrade()
            return started
        found = current(self.url(BATCH))
        if found != expected():
            held = found or "no schema"
            msg = (
                f"{describe(self.url(BATCH))} holds {held}, this version needs {expected()}: run `tidemark db upgrade`"
            )
            raise Rejected(msg)
        return started

    def _set_up(self) -> bool:
        with connect(self.admin_url("postgres"), application_name="tidemark") as conn:
            row = conn.execute(
                "SELECT count(*) = 2 FROM pg_database WHERE datname = ANY(%s)",
                [[self.settings.database, self.settings.dagster_database]],
            ).fetchone()
        return row is not None and bool(row[0])

    def admin_url(self, database: str) -> str:
        """URL of the superuser for one database of the server."""
        if self.settings.admin_url is None:
            return self.server.dsn(SUPERUSER, database)
        parts = urlsplit(self.settings.admin_url.get_secret_value())
        return urlunsplit(parts._replace(path=f"/{database}"))

    def url_of_running(self, role: str) -> str:
        """`url`, for a command that does not start the database itself.

        Raises:
            Rejected: The embedded server does not run.
        """
        if self.embedded and not self.server.running():
            msg = "the database is not running: start it with `tidemark db up`"
            raise Rejected(msg)
        return self.url(role)

    def url(self, role: str) -> str:
        """URL by which `role` reaches its own database (Dagster's for `tidemark_dagster`, ours for the others)."""
        given = {BATCH: self.settings.batch_url, DAGSTER: self.settings.dagster_url}.get(role)
        if given is not None:
            return given.get_secret_value()
        database = self.settings.dagster_database if role == DAGSTER else self.settings.database
        if self.settings.admin_url is None:
            return self.server.dsn(role, database)
        parts = urlsplit(self.settings.admin_url.get_secret_value())
        address = parts.netloc.rpartition("@")[2]
        login = f"{quote(role)}:{quote(self.server.secret(role), safe='')}"
        # `postgres://` means the same to libpq, but not to SQLAlchemy, which Dagster's storage is reached by.
        return urlunsplit(parts._replace(scheme="postgresql", netloc=f"{login}@{address}", path=f"/{database}"))

    @property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance."""
        return self.settings.home / "dagster"

    def dagster_environment(self) -> dict[str, str]:
        """Variables for every process that opens the Dagster instance; its `dagster.yaml` is brought up to date."""
        home = self.dagster_home
        home.mkdir(parents=True, exist_ok=True)
        target = home / "dagster.yaml"
        if not target.is_file() or target.read_bytes() != DAGSTER_YAML.read_bytes():
            shutil.copyfile(DAGSTER_YAML, target)
        # dagster-postgres needs psycopg2 named in the scheme: see pyproject.toml.
        storage = self.url(DAGSTER).replace("postgresql://", "postgresql+psycopg2://", 1)
        found = {
            "DAGSTER_HOME": str(home),
            "TIDEMARK_RUN_STORAGE_URL": storage,
            "TIDEMARK_RUN_DATABASE_URL": self.url(BATCH),
            # A run over a year stores an event for each month of each table: one by one they cost 20 ms each.
            "DAGSTER_EVENT_BATCH_SIZE": "500",
        }
        if config_path().is_file():
            found[CONFIG_VARIABLE] = str(config_path().absolute())
        return found

    def enter_dagster(self) -> None:
        """Give this very process the Dagster instance of the installation."""
        os.environ.update(self.dagster_environment())

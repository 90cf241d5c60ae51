"""One installation: embedded or external, its URLs, and the environment of its Dagster processes."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from orchestration import DAGSTER_YAML
from store.errors import DatabaseUnavailable
from tests.e2e.commands import clean
from tidemark.installation import BATCH, DAGSTER, OWNER, Installation
from tidemark.settings import load_settings

ADMIN = "postgresql://postgres:s3cret%40@db.example:5433/postgres?sslmode=require"
PASSWORD = "p@ss/w:rd#%"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in set(os.environ) - set(clean({})):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def external(folder: Path, admin_url: str = ADMIN) -> Installation:
    """An installation on a server that is never asked."""
    (folder / "secrets").mkdir(mode=0o700)
    for role in (BATCH, DAGSTER, OWNER):
        (folder / "secrets" / role).write_text(PASSWORD, encoding="ascii")
    return Installation(load_settings(home=folder, admin_url=admin_url))


def test_a_roles_url_on_an_external_server_has_its_own_quoted_password(folder: Path) -> None:
    url = external(folder).url(BATCH)
    assert url == "postgresql://tidemark_batch:p%40ss%2Fw%3Ard%23%25@db.example:5433/tidemark?sslmode=require"
    assert unquote(urlsplit(url).password or "") == PASSWORD


def test_the_administrators_url_changes_its_database_alone(folder: Path) -> None:
    assert external(folder).admin_url("x") == "postgresql://postgres:s3cret%40@db.example:5433/x?sslmode=require"


def test_dagsters_role_has_dagsters_database(folder: Path) -> None:
    assert urlsplit(external(folder).url(DAGSTER)).path == "/dagster"


def test_an_external_server_is_neither_started_nor_stopped(folder: Path) -> None:
    installation = external(folder)
    assert not installation.embedded
    assert (installation.start(), installation.stop()) == (False, False)
    assert not (folder / "postgres").exists()


def test_given_urls_are_used_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_BATCH_URL", "postgresql://b:1@db/x")
    monkeypatch.setenv("TIDEMARK_DAGSTER_URL", "postgresql+psycopg2://d:2@db/y")
    installation = Installation(load_settings(home=folder))
    assert installation.url(BATCH) == "postgresql://b:1@db/x"
    environment = installation.dagster_environment()
    assert environment["TIDEMARK_RUN_STORAGE_URL"] == "postgresql+psycopg2://d:2@db/y"
    assert not installation.embedded


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_dagsters_environment_names_home_storage_and_loading_role(folder: Path, scheme: str) -> None:
    installation = external(folder, ADMIN.replace("postgresql", scheme, 1))
    environment = installation.dagster_environment()
    quoted = "p%40ss%2Fw%3Ard%23%25"
    assert environment == {
        "DAGSTER_HOME": str(folder / "dagster"),
        "TIDEMARK_RUN_STORAGE_URL": (
            f"postgresql+psycopg2://tidemark_dagster:{quoted}@db.example:5433/dagster?sslmode=require"
        ),
        "TIDEMARK_RUN_DATABASE_URL": f"postgresql://tidemark_batch:{quoted}@db.example:5433/tidemark?sslmode=require",
        "DAGSTER_EVENT_BATCH_SIZE": "500",
    }


def test_dagsters_home_holds_the_current_instance_file(folder: Path) -> None:
    installation = external(folder)
    installation.dagster_environment()
    copy = folder / "dagster" / "dagster.yaml"
    assert copy.read_bytes() == DAGSTER_YAML.read_bytes()
    copy.write_text("storage: {}\n")
    installation.dagster_environment()
    assert copy.read_bytes() == DAGSTER_YAML.read_bytes()


def test_the_settings_file_is_handed_on_by_its_absolute_path(folder: Path) -> None:
    (folder / "tidemark.yaml").write_text("log_level: ERROR\n")
    assert external(folder).dagster_environment()["TIDEMARK_CONFIG"] == str(folder / "tidemark.yaml")


def test_entering_dagster_sets_the_environment_of_this_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = external(folder)
    for name, value in installation.dagster_environment().items():
        monkeypatch.setenv(name, f"not {value}")
    installation.enter_dagster()
    assert {name: os.environ[name] for name in installation.dagster_environment()} == installation.dagster_environment()


def test_no_secret_is_in_the_representation(folder: Path) -> None:
    shown = repr(external(folder)) + str(external_settings(folder))
    assert "s3cret" not in shown
    assert PASSWORD not in shown


def external_settings(folder: Path) -> object:
    return load_settings(home=folder, admin_url=ADMIN)


def test_an_embedded_server_that_does_not_run_is_told_with_the_way_to_start_it(folder: Path) -> None:
    installation = Installation(load_settings(home=folder / "empty"))
    assert installation.embedded
    with pytest.raises(DatabaseUnavailable, match="tidemark db up"):
        installation.url(BATCH)
    assert installation.stop() is False

"""`tidemark db`: the database of this installation."""

from __future__ import annotations

import os
import subprocess
from typing import Annotated

import typer

from contracts.errors import Rejected
from store.connections import describe
from store.roles import ANALYST, PLATFORM_ROLES
from tidemark.cli import console
from tidemark.installation import Installation
from tidemark.settings import load_settings

app = typer.Typer(help="Start, stop, upgrade and open the database.", no_args_is_help=True)

Role = Annotated[str, typer.Option(help="Role to log in as: owner, batch, stream, router, api or analyst.")]
DEFAULT_ROLE = ANALYST.removeprefix("tidemark_")


def role_named(name: str) -> str:
    """The role `tidemark_<name>`.

    Raises:
        Rejected: There is no such role.
    """
    found = name if name.startswith("tidemark_") else f"tidemark_{name}"
    if found not in PLATFORM_ROLES:
        known = ", ".join(role.removeprefix("tidemark_") for role in PLATFORM_ROLES)
        msg = f"there is no role {name!r}: use one of {known}"
        raise Rejected(msg)
    return found


@app.command()
def up() -> None:
    """Start the embedded server and bring its schema up to date (an external one is only upgraded)."""
    installation = Installation(load_settings())
    with console.step("starting the database"):
        started = installation.start()
    with console.step("upgrading the schema"):
        revision = installation.upgrade()
    state = "started" if started else "was running"
    console.out.print(f"database {state}: {describe(installation.url(ANALYST))}, schema {revision}")


@app.command()
def down(quiet: Annotated[bool, typer.Option(help="Say nothing when there was nothing to stop.")] = False) -> None:
    """Stop the embedded server."""
    stopped = Installation(load_settings()).stop()
    if stopped or not quiet:
        console.out.print("database stopped" if stopped else "no embedded server is running here")


@app.command()
def upgrade() -> None:
    """Bring roles and schema up to date."""
    installation = Installation(load_settings())
    console.out.print(f"schema {installation.upgrade()}")


@app.command()
def url(role: Role = DEFAULT_ROLE) -> None:
    """Print the URL of the database, password included."""
    typer.echo(Installation(load_settings()).url(role_named(role)))


@app.command(context_settings={"ignore_unknown_options": True})
def psql(
    role: Role = DEFAULT_ROLE,
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to psql, after `--`.")] = None,
) -> None:
    """Open psql on the database (the analyst's read-only role unless another is named)."""
    from psycopg.conninfo import conninfo_to_dict

    from store.launcher import binaries

    parts = conninfo_to_dict(Installation(load_settings()).url(role_named(role)))
    # Through the environment: an argument list can be read by every user of the machine.
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    login = {variable: str(parts[name]) for name, variable in names.items() if name in parts}
    done = subprocess.run([str(binaries() / "psql"), *(arguments or [])], env=os.environ | login, check=False)
    raise typer.Exit(done.returncode)

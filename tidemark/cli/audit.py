"""`tidemark audit`: whether the log of what was done is as it was written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from contracts import Rejected
from tidemark.cli import console
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from store.trading.audit import Head

app = typer.Typer(help="The log of what was done, by whom and why.", no_args_is_help=True)

_HEAD = re.compile(r"(?P<seq>[1-9][0-9]{0,17}):(?P<hash>[0-9a-f]{64})")


@app.callback()
def audit() -> None:
    """Make a group of one command a group."""


@app.command()
def verify(
    exported: Annotated[
        str | None,
        typer.Option("--head", help="A head of the log of real trading that was kept elsewhere: NUMBER:HASH."),
    ] = None,
) -> None:
    """Prove that no row of the audit logs (real trading and paper) was changed, added or removed.

    Without --head, rows missing at the very end cannot be seen: keep the head that this prints.
    """
    from store.connections import connect
    from store.trading import SCHEMAS
    from store.trading import audit as log

    kept = None if exported is None else _head(exported)
    broken = False
    with connect(Installation(load_settings()).url_of_running(BATCH), application_name="tidemark audit") as conn:
        for schema in SCHEMAS:
            last = log.head(conn, schema=schema)  # read first: what is printed has been walked over
            found = log.verify(conn, schema=schema, exported=kept if schema == "trading" else None)
            if found is not None:
                console.error(f"{schema}.audit_log is broken at row {found.seq}: {found.why}")
                broken = True
                continue
            told = "is empty" if last is None else f"is whole: {last.seq} rows, head {last.seq}:{last.hash}"
            console.out.print(f"{schema}.audit_log {told}", markup=False, soft_wrap=True)
    if broken:
        raise typer.Exit(1)


def _head(text: str) -> Head:
    from store.trading.audit import Head

    found = _HEAD.fullmatch(text)
    if found is None:
        msg = f"--head {text!r}: a head is NUMBER:HASH, as `tidemark audit verify` printed it (64 hex characters)"
        raise Rejected(msg)
    return Head(int(found["seq"]), found["hash"])

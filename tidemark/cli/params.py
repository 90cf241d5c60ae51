"""`tidemark params`: versions of risk profiles and of engine parameters, and who may trade with which."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from contracts import Rejected
from tidemark.cli import console
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from store.param_sets import Change, ParamSet
    from store.walk_forwards import Kind

app = typer.Typer(
    help="Versions of risk profiles and engine parameters, and which of them may be traded (docs/parameters.md).",
    no_args_is_help=True,
)

_SHIPPED = "default"
_NAME = re.compile(r"[a-z0-9_-]{1,40}")


class Target(StrEnum):
    """States that a version can be led to; every one begins as a draft."""

    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"


Author = Annotated[str | None, typer.Option(help="Who does this. Default: the user of the operating system.")]


@app.command(name="list")
def list_(name: Annotated[str | None, typer.Option(help="Only this name.")] = None) -> None:
    """Show every version that is kept, and where it stands."""
    from store.connections import connect
    from store.param_sets import param_sets

    with connect(_url(), application_name="tidemark params") as conn:
        kept = param_sets(conn, name=name)
    if not kept:
        what = "no versions are kept yet" if name is None else f"no versions of {name!r} are kept"
        console.out.print(f"{what}: `tidemark params add` keeps one", markup=False)
        return
    console.out.print(_listed(kept))


@app.command()
def add(
    name: Annotated[str, typer.Option(help="What it is called: a-z, 0-9, - and _. Versions count up within a name.")],
    note: Annotated[str, typer.Option(help="What it is for.")],
    profile: Annotated[
        str | None, typer.Option(help="Risk profile: conservative, default, aggressive, or a YAML file.")
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(help="Engine parameter that differs from the default, once each: fvg_min_atr=0.2, tp_r=[1.5,3]."),
    ] = None,
    author: Author = None,
) -> None:
    """Keep a risk profile or a set of engine parameters as the next version of a name, a draft.

    The same values are never kept twice: adding them again changes nothing.
    """
    from assets.parameters import called
    from store.connections import connect
    from store.param_sets import add_param_set, param_sets

    if (profile is None) == (not engine):
        msg = "either --profile or --engine says what is to be kept: name one of them"
        raise typer.BadParameter(msg)
    if not _NAME.fullmatch(name):
        msg = f"--name {name!r}: up to 40 of a-z, 0-9, - and _ make a name"
        raise Rejected(msg)
    kind, params, params_hash = _engine(engine) if engine else _profile(profile or "", name)
    now = datetime.now(UTC)
    with connect(_url(), application_name="tidemark params") as conn:
        version = add_param_set(
            conn,
            name,
            kind=kind,
            params=params,
            params_hash=params_hash,
            author=_user(author),
            note=note,
            at=now,
        )
        [kept] = (one for one in param_sets(conn, name=name) if one.version == version)
    if kept.created_at == now:
        told = f"{called(kept)} is kept as a draft"
    else:
        told = f"these values are kept already as {called(kept)}, {kept.state}: nothing was changed"
    console.out.print(f"{told}\n{kept.kind} {kept.hash}", markup=False, soft_wrap=True)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="NAME@VERSION, or `default`: what the platform ships.")],
    after: Annotated[str, typer.Argument(help="The same of what it is held against.")],
) -> None:
    """Show in which fields two versions differ."""
    from assets.parameters import version_named
    from store.connections import connect
    from store.param_sets import diff as changes_of

    if before == after == _SHIPPED:
        msg = f"one of the two must be a version: `tidemark params diff {_SHIPPED} NAME@1`"
        raise Rejected(msg)
    with connect(_url(), application_name="tidemark params") as conn:
        found = [None if text == _SHIPPED else version_named(conn, text) for text in (before, after)]
    kinds = {one.kind for one in found if one is not None}
    if len(kinds) > 1:
        msg = f"{before} and {after} cannot be held against each other: one is a risk profile, one the engine's"
        raise Rejected(msg)
    [kind] = kinds
    changes = changes_of(*(_defaults(kind) if one is None else one.params for one in found))
    # What a profile is called is no value of it: the hash leaves it out, too.
    changes = [change for change in changes if change.field != "name"]
    if not changes:
        console.out.print(f"{before} and {after} have the same values", markup=False)
        return
    console.out.print(_differences(before, after, changes))


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="NAME@VERSION.")],
    to: Annotated[Target, typer.Option(help="The next state of it.")],
    note: Annotated[str, typer.Option(help="Why; kept with the state.")],
    author: Author = None,
) -> None:
    """Lead a version to its next state: draft → candidate → live → retired, and from there back to candidate.

    Nothing goes live without a passed walk-forward on record that names exactly these values. What was live under the
    same name is retired with it.
    """
    from assets.parameters import called, version_named
    from engine import ENGINE_VERSION
    from store.connections import connect
    from store.param_sets import param_sets
    from store.param_sets import promote as move
    from store.walk_forwards import failed_walk_forwards

    now = datetime.now(UTC)
    with connect(_url(), application_name="tidemark params") as conn:
        chosen = version_named(conn, version)
        moved = move(
            conn,
            chosen.name,
            chosen.version,
            to=to.value,
            engine_version=ENGINE_VERSION,
            at=now,
            evidence={"by": _user(author), "note": note},
        )
        failed = failed_walk_forwards(conn, moved.kind, moved.hash)
        replaced = [
            one for one in param_sets(conn, name=chosen.name) if one.state == "retired" and one.changed_at == now
        ]
    on = f", on walk-forward {moved.walk_forward}" if moved.state == "live" else ""
    console.out.print(f"{called(moved)} is {moved.state}{on}", markup=False, soft_wrap=True)
    if failed and moved.state == "live":
        what = "walk-forward" if failed == 1 else "walk-forwards"
        console.out.print(f"warning: {failed} {what} of these values did not pass (tidemark report list)", markup=False)
    for one in replaced:
        if one.version != moved.version:
            console.out.print(f"{called(one)} is retired", markup=False)


def _profile(profile: str, name: str) -> tuple[Kind, dict[str, Any], str]:
    # Decisions are booked under the name of the profile: kept under a name, it has that name.
    from tidemark.research import written_profile

    named = written_profile(profile).model_copy(update={"name": name})
    return "profile", named.model_dump(mode="json"), named.hash


def _engine(settings: Sequence[str]) -> tuple[Kind, dict[str, Any], str]:
    from pydantic import ValidationError

    from contracts.complaints import complaints_of
    from engine import EngineParams

    try:
        params = EngineParams.model_validate(_values(settings))
    except ValidationError as error:
        told = complaints_of(error, EngineParams, whole="parameters")
        msg = f"the engine parameters {', '.join(settings)} were refused: {told}"
        raise Rejected(msg) from error
    return "engine", params.model_dump(mode="json"), params.hash


def _values(settings: Sequence[str]) -> dict[str, Any]:
    import yaml

    values: dict[str, Any] = {}
    for setting in settings:
        field, equals, text = setting.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"--engine {setting}: the value cannot be read: {error}"
            raise Rejected(msg) from error
        if not equals or field in values:
            msg = f"--engine {setting}: state each parameter once, as fvg_min_atr=0.2"
            raise Rejected(msg)
        values[field] = tuple(value) if isinstance(value, list) else value
    return values


def _defaults(kind: Kind) -> Mapping[str, Any]:
    if kind == "engine":
        from engine import EngineParams

        return EngineParams().model_dump(mode="json")
    from risk import shipped_profile

    return shipped_profile(_SHIPPED).model_dump(mode="json")


def _user(author: str | None) -> str:
    if author:
        return author
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        msg = "this user has no name at the operating system: say who you are with --author"
        raise Rejected(msg) from error


def _url() -> str:
    return Installation(load_settings()).url_of_running(BATCH)


def _listed(kept: Sequence[ParamSet]) -> Table:
    table = Table("name", "version", "kind", "state", "hash", "author", "note", "since (UTC)", box=None, pad_edge=False)
    for one in kept:
        table.add_row(
            one.name,
            str(one.version),
            one.kind,
            f"[green]{one.state}" if one.state == "live" else one.state,
            one.hash[:12],
            escape(one.author),
            escape(one.note),
            f"{one.changed_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        )
    return table


def _differences(before: str, after: str, changes: Sequence[Change]) -> Table:
    table = Table("field", escape(before), escape(after), box=None, pad_edge=False)
    for change in changes:
        shown = (None if change.how == "added" else change.before, None if change.how == "removed" else change.after)
        table.add_row(change.field, *(escape(json.dumps(value, ensure_ascii=False)) for value in shown))
    return table

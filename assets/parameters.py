"""Which parameters a name stands for: a version that is kept, the one that is live, or what is shipped.

A profile is asked for as `main@2` (that version) or `main` (the version that is live). The live version of a shipped
name takes the shipped one's place; without one the shipped values stand. Nothing else ever stands in: a name of which
no version is live is refused, with the versions that there are.

    profile = profile_named(conn, "default")
    params = engine_named(conn, "engine@1")
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import psycopg

from contracts import Rejected
from engine import EngineParams
from risk import SHIPPED, RiskProfile, shipped_profile
from store.param_sets import ParamSet, param_sets
from store.walk_forwards import Kind


class UnknownParameters(Rejected):
    """No version of parameters has that name."""


def profile_named(conn: psycopg.Connection, text: str) -> RiskProfile:
    """The risk profile that a name stands for.

    Args:
        conn: A connection.
        text: `NAME@VERSION`, or `NAME` = its live version, else the shipped profile of that name.

    Raises:
        UnknownParameters: There is no such version, none is live, or the name is one of engine parameters.
    """
    found = _version(conn, text, "profile")
    if found is None:
        return shipped_profile(text)
    return RiskProfile.model_validate_json(json.dumps(found.params))


def engine_named(conn: psycopg.Connection, text: str) -> EngineParams:
    """The engine parameters that a name stands for.

    Args:
        conn: A connection.
        text: `NAME@VERSION`, or `NAME` = its live version; `default` without one = what is shipped.

    Raises:
        UnknownParameters: There is no such version, none is live, or the name is one of risk profiles.
    """
    found = _version(conn, text, "engine")
    return EngineParams() if found is None else EngineParams.model_validate_json(json.dumps(found.params))


def reported_profiles(conn: psycopg.Connection) -> list[str]:
    """Names of the profiles that reports are made of: the shipped ones, and every other that has a live version."""
    live = {one.name for one in param_sets(conn) if one.kind == "profile" and one.state == "live"}
    return [*SHIPPED, *sorted(live.difference(SHIPPED))]


def names_of(conn: psycopg.Connection) -> dict[str, str]:
    """`NAME@VERSION` by the hash of its values, of everything that is kept."""
    return {one.hash: called(one) for one in param_sets(conn)}


def profile_called(name: str, params_hash: str, names: Mapping[str, str]) -> str:
    """What the profile of a run is called: its name, with its version among `names_of` or a mark of its own values."""
    version = names.get(params_hash)
    if version is not None:
        return version if version.startswith(f"{name}@") else f"{name} = {version}"
    differs = name in SHIPPED and params_hash != shipped_profile(name).hash
    return f"{name}, changed" if differs else name


def engine_called(params_hash: str, names: Mapping[str, str]) -> str:
    """What engine parameters are called: their version among `names_of`, `default`, or the begin of their hash."""
    shipped = "default" if params_hash == EngineParams().hash else params_hash[:12]
    return names.get(params_hash, shipped)


def called(one: ParamSet) -> str:
    """How a version is spoken of: `main@2`."""
    return f"{one.name}@{one.version}"


def version_named(conn: psycopg.Connection, text: str) -> ParamSet:
    """The version `NAME@VERSION`.

    Raises:
        UnknownParameters: There is none, or the text names no version.
    """
    name, _, number = text.rpartition("@")
    if not name or not number.isascii() or not number.isdigit():
        msg = f"{text!r} names no version: say NAME@VERSION, as `tidemark params list` does"
        raise UnknownParameters(msg)
    for one in param_sets(conn, name=name):
        if one.version == int(number):
            return one
    msg = f"there is no {text}: `tidemark params list` tells all"
    raise UnknownParameters(msg)


def _version(conn: psycopg.Connection, text: str, kind: Kind) -> ParamSet | None:
    """The version that is meant; None = the shipped values are."""
    if "@" in text:
        named = version_named(conn, text)
        if named.kind == kind:
            return named
        kept = [named]
    else:
        kept = param_sets(conn, name=text)
    of_kind = [one for one in kept if one.kind == kind]
    live = [one for one in of_kind if one.state == "live"]
    if live:
        return live[0]
    shipped = _SHIPPED[kind]
    if text in shipped:
        return None
    if of_kind:
        msg = f"no version of {text!r} is live: name one of {', '.join(map(called, of_kind))}"
    elif kept:
        msg = f"{text!r} names {_A[kept[0].kind]}: {_A[kind]} is needed"
    else:
        msg = f"there is no {_A[kind].removeprefix('a ')} {text!r}: use {', '.join(shipped)}, or NAME@VERSION"
    raise UnknownParameters(msg)


_SHIPPED: Mapping[Kind, Sequence[str]] = {"profile": SHIPPED, "engine": ("default",)}
_A: Mapping[Kind, str] = {"profile": "a risk profile", "engine": "engine parameters"}

"""Versions of engine parameters and of risk profiles: added once, then moved draft → candidate → live → retired.

A retired one may come back as a candidate.
Laws: the values of a version never change; the same values (their hash says so) are never two versions; of a name at
most one version is live; nothing goes live without a passed walk-forward on record that names its hash, by the engine
that it will be traded with. One transaction at a time adds or promotes: of two promotions at once the second sees what
the first has done.

    version = add_param_set(conn, "default", kind="profile", params=values, params_hash=profile.hash, …, at=now)
    promote(conn, "default", version, to="candidate", engine_version=2, at=now, evidence={"report": run_id})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString

import psycopg
from psycopg import sql

from store.connections import translated
from store.errors import ResearchRefused
from store.locks import hold_until_commit
from store.walk_forwards import Kind, passed_walk_forward
from store.write_once import document

State = Literal["draft", "candidate", "live", "retired"]

_NEXT: Final[Mapping[State, State]] = {
    "draft": "candidate",
    "candidate": "live",
    "live": "retired",
    "retired": "candidate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamSet:
    """One version of engine parameters or of a risk profile.

    Attributes:
        name: What it is called; a name belongs to one kind.
        version: Counted from 1 within the name.
        kind: Whose parameters they are.
        hash: Fingerprint of the values, 64 hex characters.
        params: The values.
        state: Where it stands.
        author: Who made it.
        note: What it is for.
        evidence: For each state it reached after `draft`, the last time: `at`, and what was put forward for it.
        walk_forward: `run_id` of the passed walk-forward it last went live on; None = it never was live.
        created_at: When it was added.
        changed_at: When its state last changed.
    """

    name: str
    version: int
    kind: Kind
    hash: str
    params: Mapping[str, Any]
    state: State
    author: str
    note: str
    evidence: Mapping[str, Any]
    walk_forward: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One field in which two sets differ.

    Attributes:
        field: Its name; of a field inside another, joined by dots.
        how: `added` = only the second has it, `removed` = only the first has it.
        before: Value in the first; None where it has none.
        after: Value in the second; None where it has none.
    """

    field: str
    how: Literal["added", "changed", "removed"]
    before: Any
    after: Any


_COLUMNS: Final = tuple(ParamSet.__dataclass_fields__)


def add_param_set(
    conn: psycopg.Connection,
    name: str,
    *,
    kind: Kind,
    params: Mapping[str, Any],
    params_hash: str,
    author: str,
    note: str,
    at: datetime,
) -> int:
    """Keep a set of values as the next version of a name, a draft; values that are kept already stay as they are.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        name: What it is called.
        kind: Whose parameters they are.
        params: The values, as JSON.
        params_hash: Their fingerprint, 64 hex characters: `EngineParams.hash` or `RiskProfile.hash`.
        author: Who made it.
        note: What it is for.
        at: Now.

    Returns:
        The version; of values that are kept already the existing one.

    Raises:
        ResearchRefused: These values are kept under another name, or the name belongs to the other kind.
        FrameRejected: The values are no JSON, or the hash is none.
    """
    values = document(params, of=f"parameters {name!r}")
    with translated("keep parameters", key=name), conn.transaction():
        _one_at_a_time(conn)
        same = _select(conn, "WHERE kind = %(kind)s AND hash = %(hash)s", {"kind": kind, "hash": params_hash})
        if same:
            [kept] = same
            if kept.name != name:
                msg = (
                    f"these values ({kind} {params_hash[:12]}) are kept already as {kept.name!r} version "
                    f"{kept.version}, {kept.state}: use that one, a second name for them would hide what was tested"
                )
                raise ResearchRefused(msg)
            return kept.version
        versions = _select(conn, "WHERE name = %(name)s", {"name": name})
        if versions and versions[0].kind != kind:
            msg = f"{name!r} names versions of kind {versions[0].kind}: choose another name for one of kind {kind}"
            raise ResearchRefused(msg)
        version = len(versions) + 1
        conn.execute(
            """
            INSERT INTO research.param_sets
                (name, version, kind, hash, params, state, author, note, evidence, created_at, changed_at)
            VALUES (%s, %s, %s, %s, %s, 'draft', %s, %s, '{}', %s, %s)
            """,
            [name, version, kind, params_hash, values, author, note, at, at],
        )
        return version


def param_sets(conn: psycopg.Connection, *, name: str | None = None) -> list[ParamSet]:
    """Every version of every name, or of one, by name and version."""
    with translated("list parameters", key=name):
        return _select(conn, "WHERE %(name)s::text IS NULL OR name = %(name)s", {"name": name})


def promote(
    conn: psycopg.Connection,
    name: str,
    version: int,
    *,
    to: State,
    engine_version: int,
    at: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> ParamSet:
    """Move a version to its next state; one that goes live retires the version that was, in the same transaction.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        name: Which name.
        version: Which version of it.
        to: The state after the one it has.
        engine_version: The engine that is at work: the proof must be its own.
        at: Now.
        evidence: What speaks for it (who, why, which reports), as JSON; kept with the state.

    Returns:
        The version as it stands now.

    Raises:
        ResearchRefused: There is no such version, the state does not follow the one it has, or it is to go live and no
            passed walk-forward of this engine on record names its hash; nothing was changed.
        FrameRejected: The evidence is no JSON.
    """
    with translated("promote parameters", key=f"{name} version {version}"), conn.transaction():
        _one_at_a_time(conn)
        versions = {kept.version: kept for kept in _select(conn, "WHERE name = %(name)s", {"name": name})}
        if version not in versions:
            known = f"has the versions {sorted(versions)}" if versions else "is not known"
            msg = f"promote {name!r} version {version} to {to}: {name!r} {known}; `tidemark params list` tells all"
            raise ResearchRefused(msg)
        chosen = versions[version]
        if _NEXT[chosen.state] != to:
            follows = _NEXT[chosen.state]
            msg = f"promote {name!r} version {version} to {to}: it is {chosen.state}, only {follows} follows"
            raise ResearchRefused(msg)
        proof = chosen.walk_forward
        if to == "live":
            proof = _proof(conn, chosen, engine_version)
            for live in (kept for kept in versions.values() if kept.state == "live"):
                _move(conn, live, "retired", at=at, evidence={"replaced_by": version}, proof=live.walk_forward)
        _move(conn, chosen, to, at=at, evidence=evidence or {}, proof=proof)
        [moved] = _select(conn, "WHERE name = %(name)s AND version = %(version)s", {"name": name, "version": version})
    return moved


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The fields in which two sets of values differ, by name; lists are compared as a whole.

    Args:
        before: The first set (`ParamSet.params`).
        after: The second.
    """
    old, new = dict(_leaves(before)), dict(_leaves(after))
    changes = []
    for field in sorted(old.keys() | new.keys()):
        if field not in old:
            changes.append(Change(field, "added", None, new[field]))
        elif field not in new:
            changes.append(Change(field, "removed", old[field], None))
        elif not _equal(old[field], new[field]):
            changes.append(Change(field, "changed", old[field], new[field]))
    return changes


def _proof(conn: psycopg.Connection, chosen: ParamSet, engine_version: int) -> str:
    run_id = passed_walk_forward(conn, chosen.kind, chosen.hash, engine_version=engine_version)
    if run_id is None:
        msg = (
            f"promote {chosen.name!r} version {chosen.version} to live: no passed walk-forward of "
            f"engine {engine_version} on record names {chosen.kind} {chosen.hash[:12]}; run `tidemark "
            "walkforward` for it, it goes live when that has passed"
        )
        raise ResearchRefused(msg)
    return run_id


def _move(
    conn: psycopg.Connection,
    chosen: ParamSet,
    to: State,
    *,
    at: datetime,
    evidence: Mapping[str, Any],
    proof: str | None,
) -> None:
    told: dict[str, Any] = {to: {**evidence, "at": at.isoformat()}}
    conn.execute(
        """
        UPDATE research.param_sets
        SET state = %s, changed_at = %s, evidence = evidence || %s::jsonb, walk_forward = %s
        WHERE name = %s AND version = %s
        """,
        [
            to,
            at,
            document(told, of=f"evidence for {chosen.name!r} version {chosen.version}"),
            proof,
            chosen.name,
            chosen.version,
        ],
    )


def _one_at_a_time(conn: psycopg.Connection) -> None:
    """Values may lie under any name: whoever adds or promotes looks at all of them."""
    hold_until_commit(conn, "versions of", "parameters")


def _select(conn: psycopg.Connection, condition: LiteralString, params: dict[str, Any]) -> list[ParamSet]:
    query = sql.SQL("SELECT {} FROM research.param_sets {} ORDER BY name, version").format(
        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)), sql.SQL(condition)
    )
    return [ParamSet(**dict(zip(_COLUMNS, row, strict=True))) for row in conn.execute(query, params).fetchall()]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _equal(left: object, right: object) -> bool:
    """Equality of JSON values: 1 is 1.0, but no number is true or false, as it would be in Python."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and left == right

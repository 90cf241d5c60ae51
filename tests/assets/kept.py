"""Versions of parameters on record, for tests that ask for them by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import psycopg

from engine import ENGINE_VERSION, EngineParams
from risk import RiskProfile
from store.param_sets import State, add_param_set, promote
from store.walk_forwards import Kind, write_folds
from tests.store.results import RAN, WALK, fold


def keep_profile(conn: psycopg.Connection, name: str, *, state: State = "draft", **fields: Any) -> RiskProfile:  # noqa: ANN401 - the model says
    """The next version of a profile, led to a state on a proof made up for it."""
    profile = RiskProfile(name=name, **fields)
    _keep(conn, name, "profile", profile, state)
    return profile


def keep_engine(conn: psycopg.Connection, name: str, *, state: State = "draft", **fields: Any) -> EngineParams:  # noqa: ANN401 - the model says
    """The same of engine parameters."""
    params = EngineParams(**fields)
    _keep(conn, name, "engine", params, state)
    return params


def _keep(conn: psycopg.Connection, name: str, kind: Kind, values: RiskProfile | EngineParams, state: State) -> None:
    version = add_param_set(
        conn,
        name,
        kind=kind,
        params=values.model_dump(mode="json"),
        params_hash=values.hash,
        author="ada",
        note="for a test",
        at=RAN,
    )
    named = {"profile_hash": None, "param_set": None, "engine_version": ENGINE_VERSION, "run_id": f"walk {values.hash}"}
    named |= {"profile_hash": values.hash} if kind == "profile" else {"param_set": values.hash}
    write_folds(conn, replace(WALK, **named), [fold(0)])  # type: ignore[arg-type] # by name
    steps: tuple[State, ...] = get_args(State)
    for step in steps[1 : steps.index(state) + 1]:
        promote(conn, name, version, to=step, engine_version=ENGINE_VERSION, at=RAN)

"""`tidemark params`: versions are kept, told apart and led to their next state, on the session's database."""

from __future__ import annotations

import getpass
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from engine import ENGINE_VERSION, EngineParams
from risk import shipped_profile
from store.connections import connect
from store.param_sets import ParamSet, param_sets
from store.walk_forwards import write_folds
from tests.databases import Database
from tests.e2e.commands import Ended, run
from tests.store.results import WALK, fold

CALM = "name: whatever\nrisk_fraction: 0.002\ntargets: [[1.0, 0.5], [2.0, 0.5]]\n"
NOTE = ("--note", "try [bold]")


@pytest.fixture
def variables(database: Database) -> dict[str, str]:
    return {"TIDEMARK_BATCH_URL": database.dsn("tidemark_batch")}


@pytest.fixture
def calm(tmp_path: Path) -> str:
    """A file with a profile."""
    path = tmp_path / "calm.yaml"
    path.write_text(CALM)
    return str(path)


def kept(variables: dict[str, str]) -> list[ParamSet]:
    with connect(variables["TIDEMARK_BATCH_URL"]) as conn:
        return param_sets(conn)


def prove(variables: dict[str, str], one: ParamSet) -> None:
    """Put a passed walk-forward that speaks for a profile on record."""
    with psycopg.connect(variables["TIDEMARK_BATCH_URL"], autocommit=True) as conn:
        write_folds(
            conn,
            replace(WALK, run_id=f"walk-{one.hash[:6]}", profile_hash=one.hash, engine_version=ENGINE_VERSION),
            [fold(0)],
        )


def params(*arguments: str, variables: dict[str, str]) -> Ended:
    return run("params", *arguments, variables=variables)


def done(*arguments: str, variables: dict[str, str]) -> list[str]:
    ended = params(*arguments, variables=variables)
    assert (ended.code, ended.err) == (0, "")
    return ended.out.splitlines()


def test_a_profile_of_a_file_is_kept_under_its_name_as_a_draft(variables: dict[str, str], calm: str) -> None:
    told = done("add", "--name", "calm", "--profile", calm, *NOTE, "--author", "ada", variables=variables)
    [one] = kept(variables)
    assert told == ["calm@1 is kept as a draft", f"profile {one.hash}"]
    assert (one.name, one.version, one.kind, one.state) == ("calm", 1, "profile", "draft")
    assert (one.author, one.note) == ("ada", "try [bold]")
    expected = shipped_profile("default").model_copy(
        update={"name": "calm", "risk_fraction": 0.002, "targets": ((1.0, 0.5), (2.0, 0.5))}
    )
    assert one.params == expected.model_dump(mode="json")
    assert one.hash == expected.hash


def test_engine_parameters_are_those_named_and_the_defaults(variables: dict[str, str]) -> None:
    settings = ("--engine", "swing_mode=zigzag", "--engine", "tp_r=[1.0, 4]", "--engine", "trend_adx=30")
    done("add", "--name", "wide", *settings, *NOTE, variables=variables)
    [one] = kept(variables)
    expected = EngineParams(swing_mode="zigzag", tp_r=(1.0, 4.0), trend_adx=30.0)
    assert (one.kind, one.params, one.hash) == ("engine", expected.model_dump(mode="json"), expected.hash)
    assert one.author == getpass.getuser()


def test_the_same_values_again_are_told_to_be_kept_already(variables: dict[str, str]) -> None:
    done("add", "--name", "mine", "--profile", "conservative", *NOTE, variables=variables)
    before = kept(variables)
    told = done("add", "--name", "mine", "--profile", "conservative", "--note", "other", variables=variables)
    assert told[0] == "these values are kept already as mine@1, draft: nothing was changed"
    assert kept(variables) == before
    other = params("add", "--name", "yours", "--profile", "conservative", *NOTE, variables=variables)
    assert (other.code, "kept already as 'mine' version 1, draft" in other.err) == (1, True)


def test_list_shows_where_every_version_stands(variables: dict[str, str]) -> None:
    assert done("list", variables=variables) == ["no versions are kept yet: `tidemark params add` keeps one"]
    for name, profile in (("calm", "conservative"), ("calm", "default"), ("bold", "aggressive")):
        done("add", "--name", name, "--profile", profile, *NOTE, "--author", "ada", variables=variables)
    bold, first, second = kept(variables)
    head, *rows = (line.split() for line in done("list", variables=variables))
    assert head == ["name", "version", "kind", "state", "hash", "author", "note", "since", "(UTC)"]
    assert [row[:8] for row in rows] == [
        [one.name, str(one.version), "profile", "draft", one.hash[:12], "ada", "try", "[bold]"]
        for one in (bold, first, second)
    ]
    assert rows[0][8:] == f"{bold.changed_at:%Y-%m-%d %H:%M}".split()
    assert [line.split()[0] for line in done("list", "--name", "bold", variables=variables)] == ["name", "bold"]
    assert done("list", "--name", "none", variables=variables)[0].startswith("no versions of 'none' are kept")


def test_diff_tells_the_fields_that_differ_but_not_the_name(variables: dict[str, str], calm: str) -> None:
    done("add", "--name", "calm", "--profile", calm, *NOTE, variables=variables)
    done("add", "--name", "plain", "--profile", "default", *NOTE, variables=variables)
    for other in ("default", "plain@1"):
        head, *rows = done("diff", other, "calm@1", variables=variables)
        assert head.split() == ["field", other, "calm@1"]
        assert [" ".join(row.split()) for row in rows] == [
            "risk_fraction 0.005 0.002",
            "targets [[1.5, 0.33], [2.0, 0.33], [3.0, 0.34]] [[1.0, 0.5], [2.0, 0.5]]",
        ]
    assert done("diff", "plain@1", "default", variables=variables) == ["plain@1 and default have the same values"]


def test_engine_parameters_are_held_against_those_of_the_engine(variables: dict[str, str], calm: str) -> None:
    done("add", "--name", "wide", "--engine", "ttl_bars=9", *NOTE, variables=variables)
    assert [line.split() for line in done("diff", "wide@1", "default", variables=variables)] == [
        ["field", "wide@1", "default"],
        ["ttl_bars", "9", "6"],
    ]
    done("add", "--name", "calm", "--profile", calm, *NOTE, variables=variables)
    mixed = params("diff", "wide@1", "calm@1", variables=variables)
    assert (mixed.code, "one is a risk profile, one the engine's" in mixed.err) == (1, True)


def test_a_version_goes_live_with_its_proof_is_replaced_and_comes_back(variables: dict[str, str]) -> None:
    def to(version: str, state: str) -> list[str]:
        return done("promote", version, "--to", state, "--note", "why", "--author", "ada", variables=variables)

    for profile in ("conservative", "default"):
        done("add", "--name", "main", "--profile", profile, *NOTE, variables=variables)
    first, second = kept(variables)
    prove(variables, first)
    prove(variables, second)
    assert to("main@1", "candidate") == ["main@1 is candidate"]
    assert to("main@1", "live") == [f"main@1 is live, on walk-forward walk-{first.hash[:6]}"]
    to("main@2", "candidate")
    assert to("main@2", "live") == [f"main@2 is live, on walk-forward walk-{second.hash[:6]}", "main@1 is retired"]
    assert to("main@1", "candidate") == ["main@1 is candidate"]
    to("main@1", "live")
    assert to("main@1", "retired") == ["main@1 is retired"]
    assert [one.state for one in kept(variables)] == ["retired", "retired"]
    evidence = kept(variables)[0].evidence
    assert (evidence["live"]["by"], evidence["live"]["note"]) == ("ada", "why")


def test_nothing_goes_live_without_a_passed_walk_forward(variables: dict[str, str]) -> None:
    done("add", "--name", "main", "--profile", "default", *NOTE, variables=variables)
    done("promote", "main@1", "--to", "candidate", "--note", "", variables=variables)
    ended = params("promote", "main@1", "--to", "live", "--note", "it is good", variables=variables)
    assert (ended.code, ended.out) == (1, "")
    [one] = kept(variables)
    assert f"no passed walk-forward of engine {ENGINE_VERSION} on record names profile {one.hash[:12]}" in ended.err
    assert "run `tidemark walkforward`" in ended.err
    assert one.state == "candidate"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("promote", "main@1", "--to", "candidate", "--note", ""),
            "there is no main@1: `tidemark params list` tells all",
        ),
        (("promote", "main", "--to", "candidate", "--note", ""), "'main' names no version: say NAME@VERSION"),
        (("diff", "main@x", "default"), "'main@x' names no version"),
        (("diff", "main@1", "default"), "there is no main@1: `tidemark params list` tells all"),
        (("diff", "default", "default"), "one of the two must be a version"),
        (("add", "--name", "Main", "--profile", "default", *NOTE), "--name 'Main': up to 40 of a-z"),
        (("add", "--name", "main", "--profile", "nowhere.yaml", *NOTE), "there is no profile 'nowhere.yaml'"),
        (("add", "--name", "main", "--engine", "ttl_bars", *NOTE), "--engine ttl_bars: state each parameter once"),
        (("add", "--name", "main", "--engine", "ttl_bars=[", *NOTE), "--engine ttl_bars=[: the value cannot be read"),
        (
            ("add", "--name", "main", "--engine", "ttl_bras=9", *NOTE),
            "were refused: ttl_bras: no such field; did you mean ttl_bars?",
        ),
        (
            ("add", "--name", "main", "--engine", "range_adx=30", *NOTE),
            "parameters: range_adx must not exceed trend_adx, received 30.0 and 25.0",
        ),
        (
            ("add", "--name", "main", "--engine", "ttl_bars=9", "--engine", "ttl_bars=8", *NOTE),
            "--engine ttl_bars=8: state each parameter once",
        ),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_kept(
    variables: dict[str, str], arguments: tuple[str, ...], told: str
) -> None:
    ended = params(*arguments, variables=variables)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err
    assert kept(variables) == []


def test_a_profile_that_cannot_be_met_is_refused_with_its_field(variables: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "mad.yaml"
    path.write_text("risk_fraction: 0.05\nportfolio_heat: 0.01\n")
    ended = params("add", "--name", "mad", "--profile", str(path), *NOTE, variables=variables)
    assert (ended.code, "risk_fraction must not exceed portfolio_heat" in ended.err) == (1, True)
    assert kept(variables) == []


@pytest.mark.parametrize("extra", [(), ("--profile", "default", "--engine", "ttl_bars=9")], ids=["neither", "both"])
def test_either_a_profile_or_engine_parameters_are_kept(extra: tuple[str, ...]) -> None:
    ended = params("add", "--name", "main", *NOTE, *extra, variables={})
    assert (ended.code, "either --profile or --engine" in ended.err) == (2, True)

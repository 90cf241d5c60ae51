import threading
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import get_args

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.connections import connect
from store.errors import FrameRejected, ResearchRefused
from store.param_sets import Change, ParamSet, State, add_param_set, diff, param_sets, promote
from store.roles import BATCH, OWNER
from store.walk_forwards import Kind, write_folds
from tests.databases import Database
from tests.store.results import RAN, WALK, fold
from tests.store.test_research import wait_for_lock

VALUES = {"name": "calm", "risk_fraction": 0.0025, "targets": [[1.0, 0.5], [2.0, 0.5]], "news": {"high": [-30, 30]}}
LATER = RAN + timedelta(days=1)
ENGINE = WALK.engine_version


def add(conn: psycopg.Connection, digit: str = "1", *, name: str = "calm", kind: Kind = "profile") -> int:
    return add_param_set(
        conn,
        name,
        kind=kind,
        params=VALUES | {"max_positions": int(digit, 16)},
        params_hash=digit * 64,
        author="ada",
        note=f"try {digit}",
        at=RAN,
    )


def prove(
    conn: psycopg.Connection,
    digit: str,
    *,
    kind: Kind = "profile",
    passed: bool = True,
    engine_version: int = ENGINE,
) -> str:
    """Put a walk-forward that speaks for these values on record."""
    named = {"profile_hash": digit * 64, "param_set": None}
    if kind == "engine":
        named = {"profile_hash": None, "param_set": digit * 64}
    run_id = f"walk-{kind}-{digit}-{passed}-{engine_version}"
    folds = [fold(0, passed=passed)]
    write_folds(conn, replace(WALK, run_id=run_id, passed=passed, engine_version=engine_version, **named), folds)  # type: ignore[arg-type] # by name
    return run_id


def lead_to(conn: psycopg.Connection, name: str, state: State) -> None:
    """Promote the first, proven version of a name step by step."""
    steps: tuple[State, ...] = get_args(State)
    for step in steps[1 : steps.index(state) + 1]:
        promote(conn, name, 1, to=step, engine_version=ENGINE, at=RAN)


def states(conn: psycopg.Connection) -> dict[int, State]:
    return {kept.version: kept.state for kept in param_sets(conn, name="calm")}


def test_values_come_back_as_they_were_added_a_draft(conn: psycopg.Connection) -> None:
    assert add(conn, "7") == 1
    assert param_sets(conn) == [
        ParamSet(
            name="calm",
            version=1,
            kind="profile",
            hash="7" * 64,
            params=VALUES | {"max_positions": 7},
            state="draft",
            author="ada",
            note="try 7",
            evidence={},
            walk_forward=None,
            created_at=RAN,
            changed_at=RAN,
        )
    ]


def test_versions_count_up_within_a_name_and_names_do_not_share_them(conn: psycopg.Connection) -> None:
    assert [add(conn, digit) for digit in "123"] == [1, 2, 3]
    assert add(conn, "4", name="bold") == 1
    assert [(kept.name, kept.version) for kept in param_sets(conn)] == [
        ("bold", 1),
        ("calm", 1),
        ("calm", 2),
        ("calm", 3),
    ]
    assert [kept.hash[0] for kept in param_sets(conn, name="calm")] == ["1", "2", "3"]
    assert param_sets(conn, name="nobody's") == []


def test_the_same_values_again_are_the_version_they_were(conn: psycopg.Connection) -> None:
    add(conn, "1")
    add(conn, "2")
    before = param_sets(conn)
    assert (add(conn, "1"), add(conn, "2")) == (1, 2)
    assert param_sets(conn) == before


def test_the_same_values_under_another_name_are_refused_with_the_name_they_have(conn: psycopg.Connection) -> None:
    add(conn, "1")
    with pytest.raises(ResearchRefused, match=r"profile 1{12}\) are kept already as 'calm' version 1, draft"):
        add(conn, "1", name="calm too")
    assert len(param_sets(conn)) == 1


def test_a_name_belongs_to_one_kind_and_a_hash_to_each_kind_by_itself(conn: psycopg.Connection) -> None:
    add(conn, "1")
    with pytest.raises(ResearchRefused, match="'calm' names versions of kind profile"):
        add(conn, "2", kind="engine")
    assert add(conn, "1", name="engine", kind="engine") == 1


@pytest.mark.parametrize(
    ("values", "params_hash", "story"),
    [({"x": float("nan")}, "1" * 64, "parameters 'calm' cannot be stored as JSON"), ({}, "1" * 63, "hash_is_hex")],
)
def test_values_that_are_no_json_and_hashes_that_are_none_are_refused(
    conn: psycopg.Connection, values: dict[str, float], params_hash: str, story: str
) -> None:
    with pytest.raises(FrameRejected, match=story):
        add_param_set(
            conn, "calm", kind="profile", params=values, params_hash=params_hash, author="ada", note="", at=RAN
        )
    assert param_sets(conn) == []


def test_a_version_goes_from_draft_to_retired_and_keeps_what_spoke_for_each_step(conn: psycopg.Connection) -> None:
    add(conn)
    run_id = prove(conn, "1")
    candidate = promote(
        conn, "calm", 1, to="candidate", engine_version=ENGINE, at=RAN, evidence={"report": "weekly-1", "at": "never"}
    )
    assert (candidate.state, candidate.changed_at, candidate.walk_forward) == ("candidate", RAN, None)
    live = promote(conn, "calm", 1, to="live", engine_version=ENGINE, at=LATER, evidence={"by": "ada"})
    assert (live.state, live.changed_at, live.walk_forward) == ("live", LATER, run_id)
    retired = promote(conn, "calm", 1, to="retired", engine_version=ENGINE, at=LATER + timedelta(days=1))
    assert (retired.state, retired.walk_forward) == ("retired", run_id)
    assert retired.evidence == {
        "candidate": {"report": "weekly-1", "at": "2022-04-02T09:30:00+00:00"},
        "live": {"by": "ada", "at": "2022-04-03T09:30:00+00:00"},
        "retired": {"at": "2022-04-04T09:30:00+00:00"},
    }
    assert param_sets(conn) == [retired]
    assert (retired.params, retired.created_at) == (VALUES | {"max_positions": 1}, RAN)


def test_a_version_that_was_live_comes_back_as_a_candidate_and_goes_live_on_the_last_proof(
    conn: psycopg.Connection,
) -> None:
    for digit in "12":
        add(conn, digit)
        prove(conn, digit)
        promote(conn, "calm", int(digit), to="candidate", engine_version=ENGINE, at=RAN)
        promote(conn, "calm", int(digit), to="live", engine_version=ENGINE, at=RAN, evidence={"note": "first"})
    back = promote(conn, "calm", 1, to="candidate", engine_version=ENGINE, at=LATER, evidence={"note": "2 lost money"})
    assert (back.state, back.walk_forward) == ("candidate", "walk-profile-1-True-2")
    assert back.evidence["candidate"] == {"note": "2 lost money", "at": "2022-04-03T09:30:00+00:00"}
    assert back.evidence["live"] == {"note": "first", "at": "2022-04-02T09:30:00+00:00"}
    again = replace(WALK, run_id="walk-later", profile_hash="1" * 64, created_at=LATER)
    write_folds(conn, again, [fold(0)])
    assert promote(conn, "calm", 1, to="live", engine_version=ENGINE, at=LATER).walk_forward == "walk-later"
    assert states(conn) == {1: "live", 2: "retired"}


LAWFUL: set[tuple[State, State]] = {
    ("draft", "candidate"),
    ("candidate", "live"),
    ("live", "retired"),
    ("retired", "candidate"),
}


def test_no_state_but_the_next_one_can_be_reached(conn: psycopg.Connection) -> None:
    names: tuple[State, ...] = get_args(State)
    for digit, name in enumerate(names, start=1):
        add(conn, str(digit), name=name)
        prove(conn, str(digit))
        lead_to(conn, name, name)
    before = param_sets(conn)
    for start, to in product(names, names):
        if (start, to) not in LAWFUL:
            with pytest.raises(ResearchRefused, match=f"promote '{start}' version 1 to {to}: it is {start}, "):
                promote(conn, start, 1, to=to, engine_version=ENGINE, at=LATER)
    assert param_sets(conn) == before
    for start, to in LAWFUL:
        assert promote(conn, start, 1, to=to, engine_version=ENGINE, at=LATER).state == to


def test_a_version_nobody_added_cannot_be_promoted(conn: psycopg.Connection) -> None:
    with pytest.raises(ResearchRefused, match="'calm' version 1 to candidate: 'calm' is not known"):
        promote(conn, "calm", 1, to="candidate", engine_version=ENGINE, at=RAN)
    add(conn, "1")
    add(conn, "2")
    with pytest.raises(ResearchRefused, match=r"'calm' version 3 to candidate: 'calm' has the versions \[1, 2\]"):
        promote(conn, "calm", 3, to="candidate", engine_version=ENGINE, at=RAN)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_nothing_goes_live_without_a_passed_walk_forward_that_names_it(conn: psycopg.Connection, kind: Kind) -> None:
    add(conn, "1", kind=kind)
    promote(conn, "calm", 1, to="candidate", engine_version=ENGINE, at=RAN)
    prove(conn, "2", kind=kind)  # of other values
    prove(conn, "1", kind=kind, passed=False)  # that has failed
    prove(conn, "1", kind="engine" if kind == "profile" else "profile")  # of the other kind
    prove(conn, "1", kind=kind, engine_version=ENGINE - 1)  # of an engine that gave other signals
    with pytest.raises(
        ResearchRefused,
        match=f"no passed walk-forward of engine {ENGINE} on record names {kind} 111111111111.*walkforward",
    ):
        promote(conn, "calm", 1, to="live", engine_version=ENGINE, at=RAN)
    assert states(conn) == {1: "candidate"}
    run_id = prove(conn, "1", kind=kind)
    assert promote(conn, "calm", 1, to="live", engine_version=ENGINE, at=RAN).walk_forward == run_id


def test_going_live_retires_the_version_that_was_and_no_other_name_s(conn: psycopg.Connection) -> None:
    for digit, name in (("1", "calm"), ("2", "calm"), ("3", "bold")):
        version = add(conn, digit, name=name)
        prove(conn, digit)
        promote(conn, name, version, to="candidate", engine_version=ENGINE, at=RAN)
    promote(conn, "calm", 1, to="live", engine_version=ENGINE, at=RAN)
    promote(conn, "bold", 1, to="live", engine_version=ENGINE, at=RAN)
    promote(conn, "calm", 2, to="live", engine_version=ENGINE, at=LATER)
    bold, first, second = param_sets(conn)
    assert (bold.state, first.state, second.state) == ("live", "retired", "live")
    assert first.evidence["retired"] == {"replaced_by": 2, "at": "2022-04-03T09:30:00+00:00"}
    assert first.changed_at == LATER
    assert (first.walk_forward, second.walk_forward) == ("walk-profile-1-True-2", "walk-profile-2-True-2")


def test_a_promotion_that_fails_at_its_last_step_retires_nobody(conn: psycopg.Connection) -> None:
    for digit in "12":
        add(conn, digit)
        prove(conn, digit)
        promote(conn, "calm", int(digit), to="candidate", engine_version=ENGINE, at=RAN)
    promote(conn, "calm", 1, to="live", engine_version=ENGINE, at=RAN)
    before = param_sets(conn)
    with pytest.raises(FrameRejected, match="evidence for 'calm' version 2 cannot be stored as JSON"):
        promote(conn, "calm", 2, to="live", engine_version=ENGINE, at=LATER, evidence={"sharpe": float("nan")})
    assert param_sets(conn) == before


def test_of_two_promotions_at_once_the_second_waits_and_retires_the_first(
    database: Database, conn: psycopg.Connection
) -> None:
    for digit in "12":
        add(conn, digit)
        prove(conn, digit)
        promote(conn, "calm", int(digit), to="candidate", engine_version=ENGINE, at=RAN)
    outcome: list[ParamSet] = []
    with connect(database.dsn(BATCH)) as other, connect(database.dsn(BATCH)) as onlooker:
        thread = threading.Thread(
            target=lambda: outcome.append(promote(other, "calm", 2, to="live", engine_version=ENGINE, at=LATER))
        )
        with conn.transaction():
            promote(conn, "calm", 1, to="live", engine_version=ENGINE, at=RAN)
            thread.start()
            wait_for_lock(onlooker, other.info.backend_pid)
            assert states(onlooker) == {1: "candidate", 2: "candidate"}
        thread.join(timeout=20)
    assert [kept.state for kept in outcome] == ["live"]
    assert states(conn) == {1: "retired", 2: "live"}


def test_of_two_promotions_of_one_version_at_once_one_is_told_that_it_came_late(
    database: Database, conn: psycopg.Connection
) -> None:
    add(conn)
    told: list[str] = []
    start = threading.Barrier(2)

    def work() -> None:
        with connect(database.dsn(BATCH)) as own:
            start.wait(timeout=20)
            try:
                told.append(promote(own, "calm", 1, to="candidate", engine_version=ENGINE, at=RAN).state)
            except ResearchRefused as error:
                told.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(told) == [
        "candidate",
        "promote 'calm' version 1 to candidate: it is candidate, only live follows",
    ]


def test_adders_at_once_make_one_version_of_the_same_values(database: Database, conn: psycopg.Connection) -> None:
    versions: list[int] = []
    start = threading.Barrier(3)

    def work() -> None:
        with connect(database.dsn(BATCH)) as own:
            start.wait(timeout=20)
            versions.append(add(own, "1"))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert versions == [1, 1, 1]
    assert len(param_sets(conn)) == 1


SET = "UPDATE research.param_sets SET state = 'live', walk_forward"


@pytest.mark.parametrize(
    ("statement", "story"),
    [
        (f"{SET} = NULL WHERE version = 1", "live_is_proven_by_its_own"),
        (f"{SET} = 'nobody ran it' WHERE version = 1", "live_is_proven_by_its_own"),
        (f"{SET} = 'walk-profile-1-False-2' WHERE version = 1", "live_is_proven_by_its_own"),  # has failed
        (f"{SET} = 'walk-profile-2-True-2' WHERE version = 1", "live_is_proven_by_its_own"),  # of other values
        (f"{SET} = 'walk-engine-1-True-2' WHERE version = 1", "live_is_proven_by_its_own"),  # of the other kind
        (f"{SET} = 'walk-profile-2-True-2' WHERE version = 2", "calm@2 is draft, only candidate follows, not live"),
        (f"{SET} = 'walk-profile-4-True-2' WHERE version = 4", "param_sets_one_live"),
        ("UPDATE research.param_sets SET state = 'draft' WHERE version = 1", "is candidate, only live follows"),
        ("UPDATE research.param_sets SET state = 'candidate' WHERE version = 3", "is live, only retired follows"),
        ("UPDATE research.param_sets SET evidence = '{}' WHERE version = 3", "is live, only retired follows"),
        (f"{SET.replace('live', 'candidate')} = 'walk-profile-2-True-2' WHERE version = 2", "proof_comes_with_live"),
        (f"{SET.replace('live', 'retired')} = 'walk-profile-2-True-2' WHERE version = 3", "proof_comes_with_live"),
        (
            "INSERT INTO research.param_sets (name, version, kind, hash, params, state, author, note, evidence, "
            "walk_forward, created_at, changed_at) VALUES ('calm', 5, 'profile', repeat('1', 63) || '0', '{}', 'live', "
            "'ada', '', '{}', 'walk-profile-1-True-2', now(), now())",
            "begins_as_a_draft",
        ),
        (
            "INSERT INTO research.param_sets (name, version, kind, hash, params, state, author, note, evidence, "
            "created_at, changed_at) VALUES ('calm', 5, 'engine', repeat('5', 64), '{}', 'draft', 'ada', '', '{}', "
            "now(), now())",
            "name_has_one_kind",
        ),
    ],
)
def test_the_table_itself_holds_the_laws_against_a_statement_by_hand(
    conn: psycopg.Connection, statement: str, story: str
) -> None:
    for digit in "1234":
        add(conn, digit)
        prove(conn, digit)
    prove(conn, "1", passed=False)
    prove(conn, "1", kind="engine")
    for version in (1, 3, 4):
        promote(conn, "calm", version, to="candidate", engine_version=ENGINE, at=RAN)
    promote(conn, "calm", 3, to="live", engine_version=ENGINE, at=RAN)
    before = param_sets(conn)
    with pytest.raises(psycopg.errors.IntegrityError, match=story):
        conn.execute(statement.encode())
    assert param_sets(conn) == before


@pytest.mark.parametrize(
    "assigned", ["params = '{}'", "hash = repeat('9', 64)", "kind = 'engine'", "name = 'bold'", "author = 'bob'"]
)
def test_the_values_of_a_version_never_change_not_even_by_its_owner(
    conn: psycopg.Connection, database: Database, assigned: str
) -> None:
    add(conn, "1")
    before = param_sets(conn)
    statement = f"UPDATE research.param_sets SET {assigned}".encode()  # noqa: S608 - from the list above
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)
    with connect(database.dsn(OWNER)) as owner, pytest.raises(psycopg.errors.CheckViolation, match="never_change"):
        owner.execute(statement)
    assert param_sets(conn) == before


def test_two_that_add_one_name_with_both_kinds_at_once_do_not_both_succeed(
    database: Database, conn: psycopg.Connection
) -> None:
    insert = b"""
        INSERT INTO research.param_sets
            (name, version, kind, hash, params, state, author, note, evidence, created_at, changed_at)
        VALUES ('calm', %s, %s, repeat('1', 64), '{}', 'draft', 'ada', '', '{}', now(), now())
    """
    with connect(database.dsn(BATCH)) as other:
        with conn.transaction():
            conn.execute(insert, [1, "profile"])
            with pytest.raises(psycopg.errors.IntegrityError, match="name_has_one_kind"):
                other.execute(insert, [2, "engine"])  # whose first version is not there yet
        with pytest.raises(psycopg.errors.IntegrityError, match="name_has_one_kind"):
            other.execute(insert, [2, "engine"])
    assert [(kept.version, kept.kind) for kept in param_sets(conn)] == [(1, "profile")]


def test_a_difference_names_what_was_added_removed_and_changed() -> None:
    after = {"name": "calm", "targets": [[1.0, 0.5], [2.5, 0.5]], "news": {"high": [-30, 30], "med": [0, 5]}}
    assert diff(VALUES, after) == [
        Change("news.med", "added", None, [0, 5]),
        Change("risk_fraction", "removed", 0.0025, None),
        Change("targets", "changed", [[1.0, 0.5], [2.0, 0.5]], [[1.0, 0.5], [2.5, 0.5]]),
    ]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"x": 1}, {"x": 1.0}, []),
        ({"x": 1}, {"x": True}, [Change("x", "changed", before=1, after=True)]),
        ({"x": [0]}, {"x": [False]}, [Change("x", "changed", [0], [False])]),
        ({"x": (1, 2)}, {"x": [1, 2]}, []),
        ({"x": None}, {}, [Change("x", "removed", None, None)]),
        ({"x": {}}, {"x": {"y": 1}}, [Change("x", "removed", {}, None), Change("x.y", "added", None, 1)]),
    ],
)
def test_differences_are_those_of_json(
    before: dict[str, object], after: dict[str, object], changes: list[Change]
) -> None:
    assert diff(before, after) == changes


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
sets = st.dictionaries(st.text("xyz", min_size=1, max_size=2), scalars | st.lists(scalars, max_size=2), max_size=5)
INVERSE = {"added": "removed", "removed": "added", "changed": "changed"}


@given(sets, sets)
def test_a_difference_read_backwards_is_the_difference_of_the_other_way(
    before: dict[str, object], after: dict[str, object]
) -> None:
    assert diff(before, before) == []
    assert [(c.field, INVERSE[c.how], c.after, c.before) for c in diff(before, after)] == [
        (c.field, c.how, c.before, c.after) for c in diff(after, before)
    ]


@given(sets, sets)
def test_the_changes_applied_to_the_first_give_the_second(before: dict[str, object], after: dict[str, object]) -> None:
    made = dict(before)
    for change in diff(before, after):
        if change.how == "removed":
            del made[change.field]
        else:
            made[change.field] = change.after
    assert diff(made, after) == []
    assert made.keys() == after.keys()

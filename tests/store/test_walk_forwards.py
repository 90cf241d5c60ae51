from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import psycopg
import pytest

from store.connections import connect
from store.errors import FrameRejected, ResearchRefused
from store.roles import BATCH
from store.walk_forwards import (
    Fold,
    Kind,
    WalkForward,
    failed_walk_forwards,
    passed_walk_forward,
    read_folds,
    read_walk_forward,
    read_walk_forwards,
    write_folds,
)
from tests.databases import Server, fresh_database
from tests.store.results import FIRST, PARAMS, PROFILE, RAN, WALK, counts, fold, recorded_dataset

ENGINE = WALK.engine_version
FOLDS = [fold(0), fold(1, passed=False, study=None)]


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[psycopg.Connection]:
    """A connection to a database for tests that leave no row behind."""
    with fresh_database(server) as database, connect(database.dsn(BATCH), application_name="test") as connection:
        yield connection


def stored(conn: psycopg.Connection) -> tuple[int, int]:
    rows = counts(conn)
    return rows["walk_forwards"], rows["walk_forward_folds"]


def test_a_walk_forward_comes_back_with_its_folds(conn: psycopg.Connection) -> None:
    walk = replace(WALK, dataset_id=recorded_dataset(conn))
    assert write_folds(conn, walk, FOLDS)
    assert read_walk_forward(conn, walk.run_id) == walk
    later = replace(WALK, run_id="before it by name", created_at=RAN + timedelta(days=1))
    write_folds(conn, later, FOLDS)
    assert read_walk_forwards(conn) == [walk, later]
    assert read_folds(conn, walk.run_id) == FOLDS
    assert read_walk_forward(conn, "walk-2") is None
    assert read_folds(conn, "walk-2") == []


def test_the_same_result_again_changes_nothing_and_another_one_is_refused(conn: psycopg.Connection) -> None:
    assert write_folds(conn, WALK, FOLDS)
    assert not write_folds(conn, WALK, FOLDS)
    with pytest.raises(ResearchRefused, match=f"walk-1 in research.walk_forwards.*{'e' * 64}.*{'9' * 64}"):
        write_folds(conn, replace(WALK, fingerprint="9" * 64, passed=False), FOLDS)
    assert read_walk_forward(conn, WALK.run_id) == WALK
    assert stored(conn) == (1, 2)


BROKEN: dict[str, tuple[Callable[[], tuple[WalkForward, Sequence[Fold]]], str]] = {
    "no folds": (lambda: (WALK, []), r"came with the folds \[\]"),
    "a fold twice": (lambda: (WALK, [fold(0), fold(0)]), r"came with the folds \[0, 0\]"),
    "a fold missing": (lambda: (WALK, [fold(0), fold(2)]), r"came with the folds \[0, 2\]"),
    "a pass without a passed fold": (
        lambda: (WALK, [fold(0, passed=False)]),
        "said to have passed, but none of its 1 folds has",
    ),
    "a test inside the training": (
        lambda: (WALK, [fold(0), fold(1, test_from=FIRST + timedelta(days=8))]),
        "windows_are_ordered",
    ),
    "a metric that is no number": (
        lambda: (WALK, [fold(0), fold(1, out_of_sample={"sharpe": float("nan")})]),
        "out-of-sample metrics of fold 1 of walk-forward walk-1",
    ),
    "a dataset nobody recorded": (lambda: (replace(WALK, dataset_id="0" * 64), FOLDS), "datasets"),
    "a profile that is no hash": (lambda: (replace(WALK, profile_hash="default"), FOLDS), "profile_hash_is_hex"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_walk_forward_with_a_fault_is_refused_with_its_story_and_leaves_no_row(
    shared: psycopg.Connection, name: str
) -> None:
    make, story = BROKEN[name]
    walk, folds = make()
    with pytest.raises(FrameRejected, match=f"(?s){story}"):
        write_folds(shared, walk, folds)
    assert stored(shared) == (0, 0)
    with shared.transaction(force_rollback=True):
        assert write_folds(shared, WALK, FOLDS)


def test_the_last_passed_walk_forward_that_names_a_hash_speaks_for_it(conn: psycopg.Connection) -> None:
    assert passed_walk_forward(conn, "profile", PROFILE, engine_version=ENGINE) is None
    day = timedelta(days=1)
    for run_id, days, difference in (
        ("older", 0, {}),
        ("newer", 1, {}),
        ("failed", 5, {"passed": False}),
        ("another engine's", 6, {"engine_version": ENGINE + 1}),
        ("of folds' own profiles", 2, {"profile_hash": None}),
        ("of folds' own parameters", 3, {"param_set": None}),
    ):
        walk = replace(WALK, run_id=run_id, created_at=RAN + days * day, **difference)
        write_folds(conn, walk, FOLDS)
    assert passed_walk_forward(conn, "profile", PROFILE, engine_version=ENGINE) == "of folds' own parameters"
    assert passed_walk_forward(conn, "engine", PARAMS, engine_version=ENGINE) == "of folds' own profiles"
    assert passed_walk_forward(conn, "engine", PROFILE, engine_version=ENGINE) is None  # a hash speaks within its kind
    assert passed_walk_forward(conn, "profile", "0" * 64, engine_version=ENGINE) is None
    counted = [failed_walk_forwards(conn, kind, named) for kind in get_args(Kind) for named in (PARAMS, PROFILE)]
    assert counted == [1, 0, 0, 1]

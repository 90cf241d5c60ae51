"""Walk-forwards on record: what each speaks for, whether it stood the test, and its folds.

Invariant: a walk-forward is there with all of its folds or not at all, and never changes. It speaks for the hashes it
names and for no others: where every fold chose parameters of its own it was shown that a search works, not that one
set of parameters does. Whether it passed is the judgement of whoever ran it; without a passed fold it has not.

    write_folds(conn, walk, folds)
    run_id = passed_walk_forward(conn, "profile", profile.hash, engine_version=ENGINE_VERSION)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

import psycopg
from psycopg import sql

from contracts import SeriesKey
from store.connections import translated
from store.errors import FrameRejected
from store.research import series_columns
from store.write_once import document, insert_once

Mode = Literal["anchored", "rolling"]
# What parameters there are versions of: those of the engine, and risk profiles.
Kind = Literal["engine", "profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """A walk-forward as a whole.

    Attributes:
        run_id: Its name; never stands for two results.
        mode: Whether training windows begin at the start (`anchored`) or move with the test (`rolling`).
        profile: Name of the risk profile.
        profile_hash: Fingerprint of the profile it speaks for; None = it speaks for none.
        param_set: Fingerprint of the engine's parameters it speaks for; None = it speaks for none.
        series: Series whose bars were read.
        from_ts: Open time of the first bar.
        to_ts: Exclusive end of the last.
        dataset_id: A dataset on record (`store.datasets`); None = bars from elsewhere.
        engine_version: Of the engine that gave the signals.
        config: Everything that was asked beside the bars, as JSON.
        config_hash: Its fingerprint, 64 hex characters.
        metrics: Of all test windows put together, by name, as JSON; None = not defined.
        passed: Whether it met the conditions for passing.
        verdict: Why, for people.
        fingerprint: Of the whole result, 64 hex characters.
        created_at: When it was run.
        report_path: Where its page was written; None = it has none.
        month: First day of the month whose report it is; None = it belongs to no monthly report.
    """

    run_id: str
    mode: Mode
    profile: str
    profile_hash: str | None
    param_set: str | None
    series: tuple[SeriesKey, ...]
    from_ts: datetime
    to_ts: datetime
    dataset_id: str | None
    engine_version: int
    config: Mapping[str, Any]
    config_hash: str
    metrics: Mapping[str, Any]
    passed: bool
    verdict: str
    fingerprint: str
    created_at: datetime
    report_path: str | None = None
    month: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold: chosen in the training window, judged in the test window. Windows are half-open.

    Attributes:
        fold: Its number, from 0, in the order of test windows.
        train_from: First instant of the training window.
        train_to: Its end.
        test_from: First instant of the test window.
        test_to: Its end.
        study: Study that holds the trials that were chosen from (`store.trials`); None = none were recorded.
        params: What the search varied, with the values that were chosen; JSON.
        trial_id: The trial that was chosen, 64 hex characters.
        in_sample: Metrics in the training window, as JSON; None = not defined.
        out_of_sample: The same in the test window.
        passed: Whether this fold met the conditions for passing.
    """

    fold: int
    train_from: datetime
    train_to: datetime
    test_from: datetime
    test_to: datetime
    study: str | None
    params: Mapping[str, Any]
    trial_id: str
    in_sample: Mapping[str, Any]
    out_of_sample: Mapping[str, Any]
    passed: bool


_WALK_COLUMNS: Final = tuple(WalkForward.__dataclass_fields__)
_FOLD_COLUMNS: Final = tuple(Fold.__dataclass_fields__)
# The column that names what a walk-forward speaks for.
_NAMED_BY: Final[Mapping[Kind, str]] = {"engine": "param_set", "profile": "profile_hash"}


def write_folds(conn: psycopg.Connection, walk: WalkForward, folds: Sequence[Fold]) -> bool:
    """Put a walk-forward on record, with all of its folds or not at all.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        walk: The whole.
        folds: Its folds, each number once from 0 on.

    Returns:
        Whether it is new; False = the same result stands under this name already, nothing was changed.

    Raises:
        ResearchRefused: The name stands for another result; the message names both fingerprints.
        FrameRejected: Folds are missing, windows overlap the wrong way, a pass without a passed fold, values that are
            no JSON, or the dataset is not on record.
        DatabaseUnavailable: The database was lost; nothing was stored, the same call may be made again.
    """
    _check_folds(walk, folds)
    of = f"of walk-forward {walk.run_id}"
    columns = {
        **{name: getattr(walk, name) for name in _WALK_COLUMNS},
        **series_columns(walk.series),
        "config": document(walk.config, of=f"config {of}"),
        "metrics": document(walk.metrics, of=f"metrics {of}"),
    }
    rows = [_fold_row(walk, fold) for fold in folds]
    insert = sql.SQL("INSERT INTO research.walk_forward_folds ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, rows[0])), sql.SQL(", ").join(map(sql.Placeholder, rows[0]))
    )
    with translated("write a walk-forward", key=walk.run_id), conn.transaction():
        new = insert_once(conn, "walk_forwards", columns)
        if new:
            with conn.cursor() as cursor:
                cursor.executemany(insert, rows)
    return new


def read_walk_forward(conn: psycopg.Connection, run_id: str) -> WalkForward | None:
    """A walk-forward by its name; None = there is none."""
    return next(iter(_select(conn, run_id)), None)


def read_walk_forwards(conn: psycopg.Connection) -> list[WalkForward]:
    """Those on record, the oldest first."""
    return _select(conn, None)


def failed_walk_forwards(conn: psycopg.Connection, kind: Kind, params_hash: str) -> int:
    """How many walk-forwards that speak for these values have not passed, whatever the engine."""
    query = sql.SQL("SELECT count(*) FROM research.walk_forwards WHERE NOT passed AND {} = %s").format(
        sql.Identifier(_NAMED_BY[kind])
    )
    with translated("count failed walk-forwards", key=params_hash):
        row = conn.execute(query, [params_hash]).fetchone()
    return 0 if row is None else int(row[0])


def _select(conn: psycopg.Connection, run_id: str | None) -> list[WalkForward]:
    query = sql.SQL(
        "SELECT {} FROM research.walk_forwards WHERE %(run)s::text IS NULL OR run_id = %(run)s "
        "ORDER BY created_at, run_id"
    ).format(sql.SQL(", ").join(map(sql.Identifier, _WALK_COLUMNS)))
    with translated("read walk-forwards", key=run_id):
        rows = conn.execute(query, {"run": run_id}).fetchall()
    named = [dict(zip(_WALK_COLUMNS, row, strict=True)) for row in rows]
    return [WalkForward(**{**one, "series": tuple(map(SeriesKey.parse, one["series"]))}) for one in named]


def read_folds(conn: psycopg.Connection, run_id: str) -> list[Fold]:
    """The folds of a walk-forward by number; none where there is no such run."""
    query = sql.SQL("SELECT {} FROM research.walk_forward_folds WHERE run_id = %s ORDER BY fold").format(
        sql.SQL(", ").join(map(sql.Identifier, _FOLD_COLUMNS))
    )
    with translated("read the folds of a walk-forward", key=run_id):
        rows = conn.execute(query, [run_id]).fetchall()
    return [Fold(**dict(zip(_FOLD_COLUMNS, row, strict=True))) for row in rows]


def passed_walk_forward(conn: psycopg.Connection, kind: Kind, params_hash: str, *, engine_version: int) -> str | None:
    """`run_id` of the last passed walk-forward that speaks for these values; None = there is none.

    Args:
        conn: A connection.
        kind: Whose values they are.
        params_hash: Their fingerprint.
        engine_version: The engine they are to be traded with: what another one showed is no proof.
    """
    query = sql.SQL(
        "SELECT run_id FROM research.walk_forwards WHERE passed AND {} = %s AND engine_version = %s "
        "ORDER BY created_at DESC, run_id LIMIT 1"
    ).format(sql.Identifier(_NAMED_BY[kind]))
    with translated("look for a passed walk-forward", key=params_hash):
        row = conn.execute(query, [params_hash, engine_version]).fetchone()
    return None if row is None else str(row[0])


def _check_folds(walk: WalkForward, folds: Sequence[Fold]) -> None:
    numbers = [fold.fold for fold in folds]
    if not folds or numbers != list(range(len(folds))):
        msg = f"walk-forward {walk.run_id} came with the folds {numbers}: each number from 0 on is needed, in order"
        raise FrameRejected(msg)
    if walk.passed and not any(fold.passed for fold in folds):
        msg = f"walk-forward {walk.run_id} is said to have passed, but none of its {len(folds)} folds has"
        raise FrameRejected(msg)


def _fold_row(walk: WalkForward, fold: Fold) -> dict[str, Any]:
    of = f"of fold {fold.fold} of walk-forward {walk.run_id}"
    return {
        "run_id": walk.run_id,
        **{name: getattr(fold, name) for name in _FOLD_COLUMNS},
        "params": document(fold.params, of=f"params {of}"),
        "in_sample": document(fold.in_sample, of=f"in-sample metrics {of}"),
        "out_of_sample": document(fold.out_of_sample, of=f"out-of-sample metrics {of}"),
    }

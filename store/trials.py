"""Every configuration a study ever evaluated, the bad ones too: how many there were decides what the best is worth.

Invariant: a trial counts once in a study, however often a killed search is begun again and whoever records it at the
same time. Its id names configuration and bars, so the same trial is the same result: one that comes again with another
fingerprint (by another engine, say) is refused, for it would be passed over in silence.

    new = record_trials(conn, "default 2024 grid", [Trial(…), Trial(…)])
    returns = [trial.returns for trial in trials_of(conn, "default 2024 grid")]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from contracts import SeriesKey
from store.connections import translated
from store.copying import copy_shortest
from store.errors import ResearchRefused
from store.frames import INSTANT
from store.write_once import document

_SCHEMA: Final = pl.Schema(
    {
        "trial_id": pl.String(),
        "params": pl.String(),
        "sharpe": pl.Float64(),
        "metrics": pl.String(),
        "returns": pl.List(pl.Float64()),
        "from_ts": INSTANT,
        "to_ts": INSTANT,
        "series": pl.String(),
        "asked_from": INSTANT,
        "asked_to": INSTANT,
        "dataset_id": pl.String(),
        "engine_version": pl.Int32(),
        "fingerprint": pl.String(),
        "created_at": INSTANT,
    }
)
_COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, _SCHEMA))

_STAGE: Final = ("stage_trials",)
_CREATE_STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS stage_trials (
    trial_id text COLLATE "C", params jsonb, sharpe float8, metrics jsonb, returns float8[], from_ts timestamptz,
    to_ts timestamptz, series text[] COLLATE "C", asked_from timestamptz, asked_to timestamptz,
    dataset_id text COLLATE "C", engine_version integer, fingerprint text COLLATE "C", created_at timestamptz
) ON COMMIT DELETE ROWS
"""
# In the order of the key: two that record the same trials then wait for each other in turn, never in a circle.
_INSERT: Final = sql.SQL("""
INSERT INTO research.trials (study, {columns})
SELECT %(study)s, {columns} FROM stage_trials ORDER BY trial_id
ON CONFLICT DO NOTHING
RETURNING trial_id
""").format(columns=_COLUMNS)
_CONTRADICTED: Final = """
SELECT s.trial_id, t.fingerprint, t.engine_version, s.fingerprint, s.engine_version
FROM stage_trials s JOIN research.trials t ON t.study = %(study)s AND t.trial_id = s.trial_id
WHERE t.fingerprint <> s.fingerprint
ORDER BY s.trial_id LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One configuration, evaluated.

    Attributes:
        trial_id: Fingerprint of the whole configuration and of the bars, 64 hex characters.
        params: What the search varied, with the values of this trial; JSON.
        sharpe: A year, of daily returns; None = not defined.
        metrics: By name, as JSON; None = not defined.
        returns: Of each UTC day, as a fraction, in the order of days.
        from_ts: When the account began: with the first bar, or later where that was asked.
        to_ts: Exclusive end of the last bar.
        series: Whose bars were read, ascending; None = not known: it was recorded before this was kept.
        asked_from: First instant that was asked for; None = just the bars of the trial, or it is not known.
        asked_to: Exclusive end that was asked for; None as in `asked_from`.
        dataset_id: A dataset on record (`store.datasets`); None = bars from elsewhere.
        engine_version: Of the engine that gave the signals.
        fingerprint: Of the whole result, 64 hex characters.
        created_at: When it was evaluated.
    """

    trial_id: str
    params: Mapping[str, Any]
    sharpe: float | None
    metrics: Mapping[str, Any]
    returns: tuple[float, ...]
    from_ts: datetime
    to_ts: datetime
    series: tuple[SeriesKey, ...] | None
    dataset_id: str | None
    engine_version: int
    fingerprint: str
    created_at: datetime
    asked_from: datetime | None = None
    asked_to: datetime | None = None


def record_trials(conn: psycopg.Connection, study: str, trials: Iterable[Trial]) -> list[str]:
    """Record trials of a study, all of them or none; one that is on record stays as it is.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        study: Name of the search.
        trials: What was evaluated.

    Returns:
        `trial_id` of those that are new, ascending.

    Raises:
        ResearchRefused: One of them is on record in this study with another result; both fingerprints are named.
        FrameRejected: A number is not finite, or the dataset is not on record.
        DatabaseUnavailable: The database was lost; nothing was stored, the same call may be made again.
    """
    frame = pl.DataFrame([_row(trial) for trial in trials], schema=_SCHEMA, orient="row")
    if frame.is_empty():
        return []
    with translated(f"record {frame.height} trials", key=study), conn.transaction():
        conn.execute(_CREATE_STAGE)
        copy_shortest(conn, _STAGE, frame)
        new = conn.execute(_INSERT, {"study": study}).fetchall()
        contradicted = conn.execute(_CONTRADICTED, {"study": study}).fetchone()
        if contradicted is not None:
            trial_id, stood, by, received, by_now = contradicted
            msg = (
                f"trial {trial_id[:12]} of study {study!r} is on record with fingerprint {stood} of engine version "
                f"{by}, received {received} of engine version {by_now}: results are never replaced, give this search "
                f"a study name of its own"
            )
            raise ResearchRefused(msg)
        conn.execute("TRUNCATE stage_trials")  # the caller's transaction may record again
    return sorted(trial_id for (trial_id,) in new)


def trials_of(conn: psycopg.Connection, study: str) -> list[Trial]:
    """The trials of a study in the order in which they were evaluated; none = nobody knows this study."""
    return _read(conn, study, sql.SQL(""))


def first_trial(conn: psycopg.Connection, study: str) -> Trial | None:
    """The trial whose bars the study is bound to; None = nobody knows this study."""
    return next(iter(_read(conn, study, sql.SQL("LIMIT 1"))), None)


def _read(conn: psycopg.Connection, study: str, limit: sql.SQL) -> list[Trial]:
    query = sql.SQL("SELECT {} FROM research.trials WHERE study = %s ORDER BY created_at, trial_id {}")
    with translated("read trials", key=study), conn.cursor(binary=True, row_factory=dict_row) as cursor:
        rows = cursor.execute(query.format(_COLUMNS, limit), [study]).fetchall()
    return [Trial(**row | {"returns": tuple(row["returns"]), "series": _keys(row["series"])}) for row in rows]


def _keys(series: list[str] | None) -> tuple[SeriesKey, ...] | None:
    return None if series is None else tuple(map(SeriesKey.parse, series))


def _row(trial: Trial) -> tuple[object, ...]:
    of = f"of trial {trial.trial_id[:12]}"
    return (
        trial.trial_id,
        document(trial.params, of=f"params {of}"),
        trial.sharpe,
        document(trial.metrics, of=f"metrics {of}"),
        list(trial.returns),
        trial.from_ts,
        trial.to_ts,
        None if trial.series is None else f"{{{','.join(map(str, trial.series))}}}",
        trial.asked_from,
        trial.asked_to,
        trial.dataset_id,
        trial.engine_version,
        trial.fingerprint,
        trial.created_at,
    )

"""What one fetch means for the hole ledger of its window.

* A slot that is stored is no hole any more, unless an archive file that covers it lacks it: then `archive`, settled
  (missing there, filled elsewhere: by another source, or by an earlier version of the file). A version of the file that
  holds it ends that.
* A slot whose candle arrived and was refused is `quarantined`.
* A slot that REST does not have although it holds later bars is `pending` at the first such answer and `exchange` at
  one that was asked for at least 30 s later.

The caller's transaction covers the candles too, so that ledger and candles never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import psycopg

from assets.holes import OpenTimes, Run, runs_of
from assets.loading import Absence
from contracts import SeriesKey
from store import gaps
from store.candle_reads import missing_ranges

CONFIRM_AFTER = timedelta(seconds=30)
_NONE: OpenTimes = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one fetch found out about a window.

    Attributes:
        files: Archive files that were read: the period each covers, and the open times of its candles.
        read_before: Periods of archive files that were read earlier; what they lacked is in the ledger.
        refused: Open times of candles of the window that arrived and were quarantined, in microseconds.
        absences: Runs that REST did not have although it holds later bars.
        at: When the fetch was written.
    """

    files: Sequence[tuple[Run, OpenTimes]]
    refused: OpenTimes
    absences: Sequence[Absence]
    at: datetime
    read_before: Sequence[Run] = ()


def write_holes(conn: psycopg.Connection, key: SeriesKey, window: Run, evidence: Evidence) -> None:
    """Bring the ledger of `window` up to date with `evidence`; call it after the candles were merged."""
    known = gaps.holes(conn, key, window.start, window.end)
    gaps.drop_filled(conn, key, window.start, window.end)
    lacked = [np.setdiff1d(period.within(window).slots(key.tf), times) for period, times in evidence.files]
    held = np.setdiff1d(_together(times for _, times in evidence.files), _together(lacked))
    for hole in known:
        slots = Run(hole.start, hole.end).within(window).slots(key.tf)
        if hole.cause == gaps.FILLED_ELSEWHERE:
            for run in runs_of(np.intersect1d(slots, held), key.tf):
                gaps.drop_regained(conn, key, run.start, run.end)
        else:
            covered = [np.intersect1d(slots, period.slots(key.tf)) for period in evidence.read_before]
            lacked.append(np.setdiff1d(_together(covered), held))
    suspects = _together(lacked)
    # The usual month lacks nothing and refuses nothing: then nobody needs to know which slots are stored.
    stored = _stored(conn, key, window) if suspects.size or evidence.refused.size else _NONE
    causes: tuple[tuple[gaps.Cause, OpenTimes], ...] = (
        ("archive", np.intersect1d(suspects, stored)),
        ("quarantined", np.setdiff1d(evidence.refused, stored)),
    )
    for cause, slots in causes:
        for run in runs_of(slots, key.tf):
            gaps.record_hole(conn, key, run.start, run.end, cause=cause, first_seen=evidence.at)
    for absence in evidence.absences:
        hear_absence(conn, key, absence)


def hear_absence(conn: psycopg.Connection, key: SeriesKey, absence: Absence) -> None:
    """Take one answer of REST into the ledger: the first makes a hole pending, one 30 s later settles it."""
    run = absence.run
    gaps.record_hole(conn, key, run.start, run.end, cause="pending", first_seen=absence.asked_at)
    for hole in gaps.pending(conn, key, run.start, run.end):
        if absence.asked_at - hole.first_seen >= CONFIRM_AFTER:
            part = Run(hole.start, hole.end).within(run)
            gaps.record_hole(
                conn,
                key,
                part.start,
                part.end,
                cause="exchange",
                first_seen=hole.first_seen,
                resolved_at=absence.asked_at,
            )


def _together(parts: Iterable[OpenTimes]) -> OpenTimes:
    return np.unique(np.concatenate([_NONE, *parts]))


def _stored(conn: psycopg.Connection, key: SeriesKey, window: Run) -> OpenTimes:
    empty = [Run(*found).slots(key.tf) for found in missing_ranges(conn, key, window.start, window.end)]
    return np.setdiff1d(window.slots(key.tf), np.concatenate([_NONE, *empty]))

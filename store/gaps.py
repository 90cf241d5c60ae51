"""The ledger of holes: which grid slots of a series hold no candle, and why.

Laws: the rows of a series never overlap; every window lies on the grid; a slot's `first_seen` never moves forward while
it stays in the ledger; `pending` never replaces a known cause. A row is cut where only a part of it changes, and the
parts keep its cause and times. `archive` rows tell of slots that the archive's file lacks while a candle stands there,
of another source or of an earlier version of the file: they go when the file holds it. Every other row goes when its
candles arrive.

    record_hole(conn, key, start, end, cause="pending", first_seen=now)
    settle(conn, key, start, cause="exchange", at=now)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import psycopg

from contracts import SeriesKey
from store.candle_reads import missing_ranges
from store.connections import translated
from store.errors import DatabaseRefused, FrameRejected
from store.locks import hold_until_commit

Cause = Literal["exchange", "unlisted", "archive", "quarantined", "pending"]

PENDING: Final[Cause] = "pending"
FILLED_ELSEWHERE: Final[Cause] = "archive"


@dataclass(frozen=True, slots=True)
class Hole:
    """Consecutive grid slots without a candle.

    Attributes:
        start: Open time of the first missing candle.
        end: Open time of the first slot after the hole.
        cause: Why they are missing; see `market.candle_gaps`.
        first_seen: When the hole was first noticed.
        resolved_at: When the cause was settled; None = pending.
    """

    start: datetime
    end: datetime
    cause: Cause
    first_seen: datetime
    resolved_at: datetime | None = None


def holes(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> list[Hole]:
    """Every hole with a slot in [start, end), whole, in order."""
    with translated("read holes", key=key):
        return _overlapping(conn, key, start, end)


def pending(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> list[Hole]:
    """The holes with a slot in [start, end) whose cause is not known yet, whole, in order."""
    return [hole for hole in holes(conn, key, start, end) if hole.cause == PENDING]


def record_hole(
    conn: psycopg.Connection,
    key: SeriesKey,
    start: datetime,
    end: datetime,
    *,
    cause: Cause,
    first_seen: datetime,
    resolved_at: datetime | None = None,
) -> None:
    """State why the slots of [start, end) are missing; the same statement again changes nothing.

    A known cause replaces what the ledger said of these slots, and the new row takes the earliest `first_seen` of what
    it replaces. `pending` is recorded only for slots the ledger does not know.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        key: The series.
        start: Open time of the first missing candle, on the grid.
        end: Exclusive end, on the grid.
        cause: Why.
        first_seen: When it was noticed.
        resolved_at: When the cause was settled; None = `first_seen`, or open for `pending`.

    Raises:
        FrameRejected: The window is empty or off the grid.
    """
    if start >= end or not key.tf.on_grid(start) or not key.tf.on_grid(end):
        msg = f"hole of {key} from {start.isoformat()} to {end.isoformat()}: a window of the {key.tf} grid is needed"
        raise FrameRejected(msg)
    settled_at = None if cause == PENDING else resolved_at or first_seen
    stated = Hole(start, end, cause, first_seen, settled_at)
    with translated("record a hole", key=key), conn.transaction():
        hold_until_commit(conn, "holes", key)
        known = _overlapping(conn, key, start, end)
        if cause == PENDING:
            free = _without(stated, known)
            _rewrite(conn, key, removed=[], added=free)
        elif not _says(known, stated):
            earliest = min([first_seen, *(hole.first_seen for hole in known)])
            _rewrite(
                conn, key, removed=known, added=[*_outside(known, start, end), replace(stated, first_seen=earliest)]
            )


def settle(conn: psycopg.Connection, key: SeriesKey, start: datetime, *, cause: Cause, at: datetime) -> None:
    """Give the pending hole that begins at `start` its cause; a hole settled so already stays as it is.

    Raises:
        DatabaseRefused: No hole begins there, or it has another cause.
    """
    with translated("settle a hole", key=key), conn.transaction():
        hold_until_commit(conn, "holes", key)
        found = [hole for hole in _overlapping(conn, key, start, start + key.tf.duration) if hole.start == start]
        if not found or found[0].cause not in {PENDING, cause}:
            told = f"its cause is {found[0].cause!r}" if found else "no hole begins there"
            msg = f"settle the hole of {key} at {start.isoformat()} as {cause!r}: {told}; read the ledger again"
            raise DatabaseRefused(msg)
        if found[0].cause == PENDING:
            _rewrite(conn, key, removed=found, added=[replace(found[0], cause=cause, resolved_at=at)])


def drop_filled(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> int:
    """Take the slots of [start, end) that hold a candle by now out of the ledger, `archive` rows aside.

    Returns:
        How many slots were taken out.
    """
    with translated("drop filled holes", key=key), conn.transaction():
        hold_until_commit(conn, "holes", key)
        dropped = 0
        for hole in _overlapping(conn, key, start, end):
            if hole.cause == FILLED_ELSEWHERE:
                continue
            inside = max(hole.start, start), min(hole.end, end)
            missing = missing_ranges(conn, key, *inside)
            left = [*_outside([hole], *inside), *(replace(hole, start=a, end=b) for a, b in missing)]
            filled = key.tf.bars_in(hole.start, hole.end) - sum(key.tf.bars_in(part.start, part.end) for part in left)
            if filled:
                _rewrite(conn, key, removed=[hole], added=_joined(left))
                dropped += filled
        return dropped


def drop_regained(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> None:
    """Take the slots of [start, end), which the archive holds now, out of the `archive` rows."""
    with translated("drop regained slots", key=key), conn.transaction():
        hold_until_commit(conn, "holes", key)
        for hole in _overlapping(conn, key, start, end):
            if hole.cause == FILLED_ELSEWHERE:
                _rewrite(conn, key, removed=[hole], added=_outside([hole], start, end))


def _says(known: Sequence[Hole], stated: Hole) -> bool:
    """Whether one row says this already; its own times stay."""
    return any(hole.cause == stated.cause and hole.start <= stated.start and stated.end <= hole.end for hole in known)


def _outside(known: Iterable[Hole], start: datetime, end: datetime) -> list[Hole]:
    """The parts of holes before `start` and from `end` on."""
    before = [replace(hole, end=min(hole.end, start)) for hole in known if hole.start < start]
    after = [replace(hole, start=max(hole.start, end)) for hole in known if hole.end > end]
    return [*before, *after]


def _without(stated: Hole, known: Sequence[Hole]) -> list[Hole]:
    """The parts of `stated` that no known hole covers; `known` is in order."""
    parts, position = [], stated.start
    for hole in known:
        if hole.start > position:
            parts.append(replace(stated, start=position, end=hole.start))
        position = max(position, hole.end)
    if position < stated.end:
        parts.append(replace(stated, start=position))
    return parts


def _joined(parts: Iterable[Hole]) -> list[Hole]:
    """Parts of one hole, those that touch made one again."""
    joined: list[Hole] = []
    for part in sorted(parts, key=lambda hole: hole.start):
        if joined and joined[-1].end == part.start:
            joined[-1] = replace(joined[-1], end=part.end)
        else:
            joined.append(part)
    return joined


def _overlapping(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> list[Hole]:
    rows = conn.execute(
        """
        SELECT from_time, to_time, cause, first_seen, resolved_at FROM market.candle_gaps
        WHERE venue = %s AND symbol = %s AND tf = %s AND from_time < %s AND to_time > %s
        ORDER BY from_time
        """,
        [key.venue, key.symbol, str(key.tf), end, start],
    ).fetchall()
    return [Hole(*row) for row in rows]


def _rewrite(conn: psycopg.Connection, key: SeriesKey, *, removed: Sequence[Hole], added: Sequence[Hole]) -> None:
    series: list[Any] = [key.venue, key.symbol, str(key.tf)]
    if removed:
        conn.execute(
            "DELETE FROM market.candle_gaps WHERE venue = %s AND symbol = %s AND tf = %s AND from_time = ANY(%s)",
            [*series, [hole.start for hole in removed]],
        )
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO market.candle_gaps VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                [*series, h.start, h.end, key.tf.bars_in(h.start, h.end), h.cause, h.first_seen, h.resolved_at]
                for h in added
            ],
        )

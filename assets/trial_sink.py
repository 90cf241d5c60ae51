"""Where searches remember their trials: `research.trials`, so that a killed one goes on and none counts twice.

Invariant: what comes back is what was handed over, number for number. A trial's id names configuration, bars and engine
version (`backtest.trials.trial_id_of`), so what another engine made of the same is never taken for this one's; it
counts all the same.

    sink = StoredTrials(conn, dataset_id=inputs.dataset_id, asked=(inputs.start, inputs.end))
    walk_forward(bars, config, space, scheme=scheme, study="2024-05 default", sink=sink)
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from backtest.trials import Trial
from store import trials as store


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class StoredTrials:
    """A `backtest.trials.TrialSink` over a database.

    Attributes:
        conn: A connection of the batch role; each call of `record` is one transaction of it.
        dataset_id: What the bars of every trial came from; recorded already. None = bars from elsewhere, which are told
            apart by series and window alone.
        asked: Begin and exclusive end that were asked for; None = just the bars that each trial was made of.
        clock: Tells when a trial was evaluated.
    """

    conn: psycopg.Connection
    dataset_id: str | None
    asked: tuple[datetime, datetime] | None = None
    clock: Callable[[], datetime] = field(default=_now)

    def known(self, study: str) -> list[Trial]:
        """The trials of a study on record, of every engine version, the oldest first.

        Raises:
            store.errors.DatabaseUnavailable: The database was lost.
        """
        return [
            Trial(
                trial_id=one.trial_id,
                params=one.params,
                sharpe=one.sharpe,
                metrics=one.metrics,
                returns=one.returns,
                fingerprint=one.fingerprint,
                start=one.from_ts,
                until=one.to_ts,
                series=one.series,
                data_id=one.dataset_id,
                engine_version=one.engine_version,
            )
            for one in store.trials_of(self.conn, study)
        ]

    def record(self, study: str, trials: Sequence[Trial]) -> None:
        """Put trials on record, all of them or none; one that is there stays as it is.

        Raises:
            store.errors.ResearchRefused: One is on record with another result.
            store.errors.FrameRejected: A number is not finite, or the dataset is not on record.
            store.errors.DatabaseUnavailable: The database was lost; nothing was stored.
        """
        at = self.clock()
        asked_from, asked_to = self.asked or (None, None)
        rows = [
            store.Trial(
                trial_id=one.trial_id,
                params=one.params,
                sharpe=one.sharpe,
                metrics=one.metrics,
                returns=one.returns,
                from_ts=one.start,
                to_ts=one.until,
                series=one.series,
                asked_from=asked_from,
                asked_to=asked_to,
                dataset_id=self.dataset_id,
                engine_version=one.engine_version,
                fingerprint=one.fingerprint,
                created_at=at,
            )
            for one in trials
        ]
        with _uninterrupted():
            store.record_trials(self.conn, study, rows)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C comes when the block has ended: in the middle of a statement it would leave a connection without a use."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(signal.SIGINT, None)

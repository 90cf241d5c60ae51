"""Trials on their way to `research.trials` and back."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from assets.trial_sink import StoredTrials
from backtest import BacktestRefused
from backtest.sweep import sweep
from backtest.trials import MemorySink, Trial
from contracts import SeriesKey
from engine import ENGINE_VERSION
from store.errors import FrameRejected, ResearchRefused
from store.trials import trials_of
from tests.backtest.markets import ONE, config, market
from tests.store.results import recorded_dataset

AT = datetime(2024, 5, 1, tzinfo=UTC)
START = datetime(2022, 1, 1, tzinfo=UTC)
MARKET = {key: frame for key, frame in market(200).items() if key.instrument == ONE}
SPACE = {"profile.reward": [0.5, 1.0, 900.0]}

TRIAL = Trial(
    trial_id="ab" * 32,
    params={"profile.reward": 2.5, "profile.max_bars": 9, "profile.after_first": "trail"},
    sharpe=-0.1 - 1e-17,
    metrics={"sharpe": 1 / 3, "trades": 7, "profit_factor": None, "net_pnl": -1e-300},
    returns=(0.1, 0.2, 0.1 + 0.2, 0.0),
    fingerprint="cd" * 32,
    start=datetime(2024, 1, 1, tzinfo=UTC),
    until=datetime(2024, 1, 5, 0, 15, tzinfo=UTC),
    series=(ONE.series("1m"), ONE.series("15m")),
)


def sink_of(conn: psycopg.Connection) -> StoredTrials:
    return StoredTrials(conn, dataset_id=None, clock=lambda: AT)


def test_what_comes_back_is_what_was_handed_over_number_for_number(conn: psycopg.Connection) -> None:
    undefined = replace(TRIAL, trial_id="ef" * 32, sharpe=None, returns=())
    sink_of(conn).record("grid", [TRIAL, undefined])
    known = {trial.trial_id: trial for trial in sink_of(conn).known("grid")}
    assert known == {TRIAL.trial_id: TRIAL, undefined.trial_id: undefined}
    assert [trial.created_at for trial in trials_of(conn, "grid")] == [AT, AT]
    assert list(sink_of(conn).known("another")) == []


def test_a_trial_counts_once_and_another_result_of_it_is_refused_with_the_whole_batch(
    conn: psycopg.Connection,
) -> None:
    sink = sink_of(conn)
    sink.record("grid", [TRIAL])
    sink.record("grid", [TRIAL])
    sink.record("grid", [])
    assert list(sink.known("grid")) == [TRIAL]
    other = replace(TRIAL, trial_id="01" * 32)
    with pytest.raises(ResearchRefused, match="results are never replaced"):
        sink.record("grid", [other, replace(TRIAL, fingerprint="99" * 32)])
    assert list(sink.known("grid")) == [TRIAL]


class Interrupting(tuple[SeriesKey, ...]):
    """Series whose reader is interrupted, as by Ctrl-C."""

    __slots__ = ()

    def __iter__(self) -> Iterator[SeriesKey]:
        os.kill(os.getpid(), signal.SIGINT)
        return super().__iter__()


def test_an_interrupt_comes_when_what_is_being_recorded_is_on_record(conn: psycopg.Connection) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sink_of(conn).record("grid", [replace(TRIAL, series=Interrupting(TRIAL.series or ()))])
    assert signal.getsignal(signal.SIGINT) is before
    assert [trial.trial_id for trial in trials_of(conn, "grid")] == [TRIAL.trial_id]


def test_a_dataset_that_is_not_on_record_is_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(FrameRejected):
        StoredTrials(conn, dataset_id="00" * 32, clock=lambda: AT).record("grid", [TRIAL])
    assert list(sink_of(conn).known("grid")) == []


def test_trials_of_another_engine_are_counted_and_never_taken_for_this_ones(conn: psycopg.Connection) -> None:
    older = replace(TRIAL, engine_version=ENGINE_VERSION - 1)
    sink_of(conn).record("grid", [older])
    assert list(sink_of(conn).known("grid")) == [older]
    space = {"profile.reward": SPACE["profile.reward"][:1]}
    first = sweep(MARKET, config(), space, study="two", sink=sink_of(conn))
    [mine] = first.trials
    sink_of(conn).record(
        "two", [replace(mine, trial_id=f"{k:064x}", engine_version=ENGINE_VERSION - 1) for k in range(72)]
    )
    again = sweep(MARKET, config(), space, study="two", sink=sink_of(conn))
    assert (again.evaluated, len(again.trials), again.others) == (0, 1, 72)


def test_a_study_on_record_is_bound_to_series_window_and_dataset(conn: psycopg.Connection) -> None:
    space = {"profile.reward": SPACE["profile.reward"][:1]}
    asked = (START - timedelta(hours=1), START + timedelta(days=9))
    first, other = recorded_dataset(conn), recorded_dataset(conn, chain="b")
    sink = StoredTrials(conn, dataset_id=first, asked=asked, clock=lambda: AT)
    sweep(MARKET, config(dataset_id=first), space, study="grid", sink=sink)
    [row] = trials_of(conn, "grid")
    assert (row.series, row.asked_from, row.asked_to) == (tuple(sorted(MARKET)), *asked)
    assert (row.from_ts, row.to_ts) == (START, START + 200 * timedelta(minutes=15))
    assert sweep(MARKET, config(dataset_id=first), space, study="grid", sink=sink).evaluated == 0
    changed = replace(sink, dataset_id=other)
    with pytest.raises(BacktestRefused, match=r"what is stored of them .* has changed"):
        sweep(MARKET, config(dataset_id=other), space, study="grid", sink=changed)
    shorter = {key: frame.head(frame.height - 1) for key, frame in MARKET.items()}
    with pytest.raises(BacktestRefused, match=r"these bars are .* another --study"):
        sweep(shorter, config(dataset_id=other), space, study="grid", sink=changed)
    assert len(trials_of(conn, "grid")) == 1


def test_a_sweep_remembers_in_it_as_in_memory_and_goes_on_with_what_is_missing(conn: psycopg.Connection) -> None:
    dataset = recorded_dataset(conn)
    asked, sink = config(dataset_id=dataset), StoredTrials(conn, dataset_id=dataset, clock=lambda: AT)
    in_memory = sweep(MARKET, asked, SPACE, study="grid", sink=MemorySink())
    part = {"profile.reward": SPACE["profile.reward"][:2]}
    sweep(MARKET, asked, part, study="grid", sink=sink)
    found = sweep(MARKET, asked, SPACE, study="grid", sink=sink)
    assert found.evaluated == 1
    assert list(found.trials) == list(in_memory.trials)
    assert found.best == in_memory.best
    again = sweep(MARKET, asked, SPACE, study="grid", sink=sink)
    assert again.evaluated == 0
    assert len(trials_of(conn, "grid")) == 3

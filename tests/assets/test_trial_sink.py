"""Trials on their way to `research.trials` and back."""

from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from assets.trial_sink import StoredTrials
from backtest.sweep import sweep
from backtest.trials import MemorySink, Trial
from store.connections import connect
from store.errors import FrameRejected, ResearchRefused
from store.roles import OWNER
from store.trials import trials_of
from tests.backtest.markets import ONE, config, market
from tests.databases import Database

AT = datetime(2024, 5, 1, tzinfo=UTC)
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


def test_a_dataset_that_is_not_on_record_is_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(FrameRejected):
        StoredTrials(conn, dataset_id="00" * 32, clock=lambda: AT).record("grid", [TRIAL])
    assert list(sink_of(conn).known("grid")) == []


def test_trials_of_another_engine_are_not_taken_for_this_ones(conn: psycopg.Connection, database: Database) -> None:
    sink_of(conn).record("grid", [TRIAL])
    with connect(database.dsn(OWNER), application_name="test") as owner:
        owner.execute("UPDATE research.trials SET engine_version = engine_version + 1")
    assert list(sink_of(conn).known("grid")) == []


def test_a_sweep_remembers_in_it_as_in_memory_and_goes_on_with_what_is_missing(conn: psycopg.Connection) -> None:
    in_memory = sweep(MARKET, config(), SPACE, study="grid", sink=MemorySink())
    part = {"profile.reward": SPACE["profile.reward"][:2]}
    sweep(MARKET, config(), part, study="grid", sink=sink_of(conn))
    found = sweep(MARKET, config(), SPACE, study="grid", sink=sink_of(conn))
    assert found.evaluated == 1
    assert list(found.trials) == list(in_memory.trials)
    assert found.best == in_memory.best
    again = sweep(MARKET, config(), SPACE, study="grid", sink=sink_of(conn))
    assert again.evaluated == 0
    assert len(trials_of(conn, "grid")) == 3

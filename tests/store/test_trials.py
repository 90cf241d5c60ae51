import random
import threading
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from store.connections import connect
from store.errors import FrameRejected, ResearchRefused
from store.roles import BATCH, OWNER
from store.trials import Trial, first_trial, record_trials, trials_of
from tests.databases import Database
from tests.store.results import RAN, TRIAL, counts, recorded_dataset

STUDY = "default 2022 grid"


def trial(number: int) -> Trial:
    return replace(TRIAL, trial_id=f"{number:064x}", created_at=RAN + timedelta(seconds=number))


def test_trials_come_back_as_they_were_recorded(conn: psycopg.Connection) -> None:
    undefined = replace(
        trial(2),
        sharpe=None,
        returns=(),
        series=None,
        dataset_id=recorded_dataset(conn),
        asked_from=TRIAL.from_ts - timedelta(days=1),
        asked_to=TRIAL.to_ts - timedelta(minutes=5),
    )
    assert record_trials(conn, STUDY, [undefined, TRIAL]) == [undefined.trial_id, TRIAL.trial_id]
    assert trials_of(conn, STUDY) == [TRIAL, undefined]


def test_a_trial_is_counted_once_and_the_first_stands(conn: psycopg.Connection) -> None:
    assert record_trials(conn, STUDY, [trial(1), trial(2)]) == [trial(1).trial_id, trial(2).trial_id]
    again = replace(trial(2), sharpe=9.0, created_at=RAN + timedelta(days=1))
    assert record_trials(conn, STUDY, (one for one in (again, trial(3), trial(3)))) == [trial(3).trial_id]
    assert record_trials(conn, STUDY, [again]) == []
    assert trials_of(conn, STUDY) == [trial(1), trial(2), trial(3)]


def test_the_same_trial_counts_in_every_study_that_evaluated_it(conn: psycopg.Connection) -> None:
    for study in (STUDY, "another"):
        assert record_trials(conn, study, [TRIAL]) == [TRIAL.trial_id]
    assert trials_of(conn, "another") == [TRIAL]
    assert trials_of(conn, "nobody's") == []


def test_a_study_is_bound_to_the_trial_that_was_evaluated_first(conn: psycopg.Connection) -> None:
    assert first_trial(conn, STUDY) is None
    record_trials(conn, STUDY, [trial(3), trial(2)])
    record_trials(conn, STUDY, [replace(trial(1), created_at=RAN + timedelta(days=1))])
    assert first_trial(conn, STUDY) == trial(2)
    assert first_trial(conn, "another") is None


@pytest.mark.parametrize(
    ("assigned", "constraint"),
    [
        ("sharpe = 'NaN'", "sharpe_is_finite"),
        ("sharpe = '-Infinity'", "sharpe_is_finite"),
        ("returns = '{0.1,NaN}'", "returns_are_finite"),
        ("returns = '{-Infinity}'", "returns_are_finite"),
        ("series = '{}'", "has_series"),
        ("asked_from = from_ts + interval '1 day', asked_to = to_ts", "begins_in_what_was_asked"),
        ("asked_from = from_ts, asked_to = from_ts", "begins_in_what_was_asked"),
    ],
)
def test_the_table_itself_refuses_what_is_no_number_or_no_window(
    conn: psycopg.Connection, database: Database, assigned: str, constraint: str
) -> None:
    record_trials(conn, STUDY, [TRIAL])
    with connect(database.dsn(OWNER)) as owner, pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        owner.execute(f"UPDATE research.trials SET {assigned}".encode())  # noqa: S608 - from the list above
    assert trials_of(conn, STUDY) == [TRIAL]


def test_no_trials_are_no_work(conn: psycopg.Connection) -> None:
    assert record_trials(conn, STUDY, []) == []


def test_a_trial_that_is_on_record_with_another_result_is_refused_and_none_of_its_batch_is_recorded(
    conn: psycopg.Connection,
) -> None:
    record_trials(conn, STUDY, [trial(1)])
    other = replace(trial(1), engine_version=3, fingerprint="3" * 64)
    story = f"trial 0{{12}} of study '{STUDY}'.*{'2' * 64} of engine version 2, received {'3' * 64} of engine version 3"
    with pytest.raises(ResearchRefused, match=f"{story}.*a study name of its own"):
        record_trials(conn, STUDY, [trial(2), other])
    assert trials_of(conn, STUDY) == [trial(1)]
    assert record_trials(conn, "engine 3", [trial(2), other]) == [trial(1).trial_id, trial(2).trial_id]


def test_a_batch_that_contradicts_itself_is_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(ResearchRefused, match="of engine version 2, received"):
        record_trials(conn, STUDY, [trial(1), replace(trial(1), fingerprint="3" * 64)])
    assert trials_of(conn, STUDY) == []


@pytest.mark.parametrize(
    ("faulty", "story"),
    [
        (replace(trial(2), sharpe=float("nan")), "'sharpe' of stage_trials holds nan in row 1"),
        (replace(trial(2), returns=(0.1, float("inf"))), "'returns' of stage_trials holds"),
        (replace(trial(2), metrics={"r": float("inf")}), "metrics of trial 000000000000 cannot be stored"),
        (replace(trial(2), trial_id="short"), "trial_id_is_hex"),
        (replace(trial(2), dataset_id="0" * 64), "datasets"),
        (replace(trial(2), to_ts=TRIAL.from_ts), "has_length"),
    ],
)
def test_one_faulty_trial_spoils_its_batch_and_no_other(conn: psycopg.Connection, faulty: Trial, story: str) -> None:
    record_trials(conn, STUDY, [trial(0)])
    with pytest.raises(FrameRejected, match=story):
        record_trials(conn, STUDY, [trial(1), faulty, trial(3)])
    assert trials_of(conn, STUDY) == [trial(0)]
    assert record_trials(conn, STUDY, [trial(1), trial(3)]) == [trial(1).trial_id, trial(3).trial_id]


def test_batches_of_one_transaction_stand_or_fall_together(conn: psycopg.Connection) -> None:
    with conn.transaction(force_rollback=True):
        record_trials(conn, STUDY, [trial(1)])
        assert record_trials(conn, STUDY, [trial(1), trial(2)]) == [trial(2).trial_id]
        assert record_trials(conn, "another", [trial(3)]) == [trial(3).trial_id]
        assert trials_of(conn, STUDY) == [trial(1), trial(2)]
    assert trials_of(conn, STUDY) == []


def test_workers_that_record_the_same_trials_at_once_count_each_of_them_once(
    database: Database, conn: psycopg.Connection
) -> None:
    everything = [trial(number) for number in range(40)]
    new: list[list[str]] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        own = random.Random(seed).sample(everything, len(everything))
        with connect(database.dsn(BATCH)) as connection:
            start.wait(timeout=20)
            for first in range(0, 40, 20):
                new.append(record_trials(connection, STUDY, own[first : first + 20]))

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(new) == 8
    assert sorted(trial_id for batch in new for trial_id in batch) == [one.trial_id for one in everything]
    assert counts(conn)["trials"] == 40

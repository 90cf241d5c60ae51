"""One walk-forward in Dagster: its folds and its trials on record, what it speaks for, and what is refused."""

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.backtest_report import backtest_report
from assets.partitions import Month, know, profiles
from assets.walk_forward_report import WalkForwardReportConfig, has_a_fold, walk_forward_report
from assets.walk_forwards import default_space
from backtest.config import BacktestConfig
from backtest.trials import configured
from engine import ENGINE_VERSION, EngineParams
from orchestration.jobs import reports
from risk import shipped_profile
from store.connections import connect
from store.roles import OWNER
from store.trials import trials_of
from store.walk_forwards import WalkForward, passed_walk_forward, read_folds, read_walk_forward
from tests.assets.desk import HOURS, QUARTERS, Desk, fill, rows, told, version
from tests.assets.fakes import KEY, slot
from tests.assets.runs import QUIET, failure_of
from tests.databases import Database

DAY = timedelta(days=1)
WINDOWS: dict[str, Any] = {"train_days": 30, "test_days": 20}
MARCH = Month(2022, 3)
OF_90_DAYS = 3
"""Folds: 30 days to train leave 60 for windows of 20."""


@pytest.fixture
def desk(database: Database, instance: dg.DagsterInstance, tmp_path: Path) -> Desk:
    return Desk(database, instance, tmp_path / "reports")


def walk_of(conn: psycopg.Connection, result: dg.ExecuteInProcessResult) -> WalkForward:
    """What a run of the asset put on record."""
    assert result.success, failure_of(result)
    found = read_walk_forward(conn, told(result)["run"])
    assert found is not None
    return found


def test_a_partition_is_a_walk_forward_on_record_with_its_folds_and_all_trials(
    desk: Desk, conn: psycopg.Connection
) -> None:
    fill(conn)
    walk = walk_of(conn, desk.run(walk_forward_report, **WINDOWS))
    folds = read_folds(conn, walk.run_id)
    assert (walk.mode, walk.profile, walk.month, walk.series) == (
        "rolling",
        "default",
        date(2022, 3, 1),
        (QUARTERS, KEY),
    )
    assert (walk.from_ts, walk.to_ts) == (slot(0), MARCH.end)
    assert [fold.test_from for fold in folds] == [slot(0) + days * DAY for days in (30, 50, 70)]
    assert folds[0].train_to == slot(0) + 29 * DAY  # a day is cut off
    sets = list(default_space(shipped_profile("default")).values())
    assert [len(values) for values in sets] == [2, 2]
    for fold in folds:
        assert fold.study == f"walk-forward {walk.run_id}/{fold.fold}"
        trials = {trial.trial_id: trial for trial in trials_of(conn, fold.study)}
        assert len(trials) == 4
        chosen = trials[fold.trial_id]
        assert (chosen.params, chosen.metrics) == (fold.params, fold.in_sample)
        assert chosen.sharpe == max(trial.sharpe for trial in trials.values() if trial.sharpe is not None)
        assert (chosen.from_ts, chosen.to_ts, chosen.dataset_id) == (fold.train_from, fold.train_to, walk.dataset_id)
        assert fold.passed == (fold.out_of_sample["net_pnl"] > 0)
    earned = sum(fold.passed for fold in folds)
    assert walk.passed == (walk.metrics["total_return"] > 0 and earned >= OF_90_DAYS / 2)
    assert walk.verdict.startswith(f"{'passed' if walk.passed else 'not passed'}: {earned} of 3 test windows earned")
    assert walk.metrics["trades"] == sum(fold.out_of_sample["trades"] for fold in folds) > 0
    folder = desk.folder / walk.run_id
    assert walk.report_path == str(folder / "walk-forward.html")
    assert sorted(path.name for path in folder.iterdir()) == ["walk-forward.html", "walk-forward.json"]
    numbers = json.loads((folder / "walk-forward.json").read_text())
    assert (numbers["run"]["run_id"], numbers["run"]["dataset_id"]) == (walk.run_id, walk.dataset_id)
    assert (numbers["run"]["fingerprint"], numbers["verdict"]) == (walk.fingerprint, walk.verdict)
    assert {name: numbers["metrics"][name] for name in walk.metrics} == walk.metrics
    for told_fold, fold in zip(numbers["folds"], folds, strict=True):
        assert (told_fold["out_of_sample"], told_fold["in_sample"]) == (fold.out_of_sample, fold.in_sample)
        assert (told_fold["trial_id"], told_fold["chosen"]) == (fold.trial_id, fold.params)


def test_the_graph_shows_verdict_curve_and_folds(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    result = desk.run(walk_forward_report, **WINDOWS)
    walk, shown = walk_of(conn, result), told(result)
    assert shown["report"] == walk.report_path
    assert shown["open"] == Path(shown["report"]).as_uri()
    assert shown["dagster/row_count"] == 1  # of research.walk_forwards, whose columns stand beside it
    assert shown["findings"].startswith("- **severe** ")
    assert "- **warning** 3 folds, fewer than 6" in shown["findings"]
    assert (shown["verdict"], shown["passed"]) == (walk.verdict, walk.passed)
    assert shown["equity"].startswith("![equity of the test windows of default](data:image/svg+xml;base64,")
    assert len(shown["folds by time"].splitlines()) == 2 + OF_90_DAYS
    assert "| 2022-01-31 | 2022-02-20 | profile.reward " in shown["folds by time"]
    assert (shown["folds"], shown["trials evaluated"]) == (3, 12)
    assert (shown["fingerprint"], shown["dataset"]) == (walk.fingerprint, walk.dataset_id)
    assert version(result) == walk.fingerprint


def test_the_same_partition_again_makes_no_trial_and_no_row(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    first = desk.run(walk_forward_report, **WINDOWS)
    before = rows(conn)
    page = Path(told(first)["report"]).read_bytes()
    again = desk.run(walk_forward_report, **WINDOWS)
    assert before == {"trials": 12, "walk_forwards": 1, "walk_forward_folds": 3}
    assert rows(conn) == before
    assert Path(told(again)["report"]).read_bytes() == page
    assert (told(again)["new"], told(again)["trials evaluated"]) == (False, 0)
    assert (told(again)["run"], version(again)) == (told(first)["run"], version(first))


def test_one_that_was_killed_goes_on_with_the_trials_that_are_missing(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    whole = walk_of(conn, desk.run(walk_forward_report, **WINDOWS))
    study = read_folds(conn, whole.run_id)[1].study
    with connect(desk.database.dsn(OWNER), application_name="test") as owner:
        owner.execute("DELETE FROM research.walk_forwards")
        owner.execute("DELETE FROM research.trials WHERE study > %s", [study])
    assert rows(conn) == {"trials": 8}
    result = desk.run(walk_forward_report, **WINDOWS)
    assert told(result)["trials evaluated"] == 4
    assert rows(conn) == {"trials": 12, "walk_forwards": 1, "walk_forward_folds": 3}
    again = walk_of(conn, result)
    assert (again.run_id, again.fingerprint) == (whole.run_id, whole.fingerprint)


def test_it_speaks_for_the_one_profile_that_was_tested_and_for_none_where_the_folds_chose_others(
    desk: Desk, conn: psycopg.Connection
) -> None:
    fill(conn)
    own = shipped_profile("default")
    alone = walk_of(conn, desk.run(walk_forward_report, space={"profile.reward": [own.reward]}, **WINDOWS))
    assert (alone.profile_hash, alone.param_set) == (own.hash, EngineParams().hash)
    named = passed_walk_forward(conn, "profile", own.hash, engine_version=ENGINE_VERSION)
    assert named == (alone.run_id if alone.passed else None)
    space = {"engine.fvg_min_atr": [0.1, 0.25, 0.4], "profile.reward": [2.0, 3.0, 4.0]}
    searched = walk_of(conn, desk.run(walk_forward_report, space=space, **WINDOWS))
    chosen = [configured(BacktestConfig(profile=own), fold.params) for fold in read_folds(conn, searched.run_id)]
    for found, hashes in (
        (searched.profile_hash, {one.profile.hash for one in chosen}),
        (searched.param_set, {one.params.hash for one in chosen}),
    ):
        assert found == (next(iter(hashes)) if len(hashes) == 1 else None)
    assert len({(one.profile.hash, one.params.hash) for one in chosen}) > 1  # else this test says nothing
    assert None in (searched.profile_hash, searched.param_set)


def test_its_fingerprint_is_that_of_what_its_folds_made_of_their_test_windows(
    desk: Desk, conn: psycopg.Connection
) -> None:
    fill(conn)
    rolling = walk_of(conn, desk.run(walk_forward_report, space={"profile.reward": [3.0]}, **WINDOWS))
    anchored = walk_of(conn, desk.run(walk_forward_report, space={"profile.reward": [3.0]}, anchored=True, **WINDOWS))
    assert (rolling.mode, anchored.mode) == ("rolling", "anchored")
    # One set: the same is tested whatever it was trained on; what was asked is another.
    assert anchored.fingerprint == rolling.fingerprint != hashlib.sha256(b"").hexdigest()
    assert anchored.run_id != rolling.run_id
    assert anchored.config_hash != rolling.config_hash


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {"train_days": 80, "test_days": 30},
            "2022-01-01 00:00 to 2022-04-01 00:00, 90 days, are too short for a fold of 95 days: 80 days to train",
        ),
        ({"train_days": 1, "purge_hours": 24}, "BacktestRefused: a walk-forward needs train > purge"),
        ({"space": {"profile.luck": [1]}, **WINDOWS}, "BacktestRefused: no parameter 'profile.luck'"),
        ({"space": {"profile.triggers": [9]}, **WINDOWS}, "BacktestRefused: the parameters triggers=9 were refused"),
        ({"space": {"profile.triggers": 2}, **WINDOWS}, "Rejected: the space of a search names a list of values"),
        ({"space": {"profile.triggers": []}, **WINDOWS}, "BacktestRefused: a sweep needs a parameter"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do_and_leaves_no_row(
    desk: Desk, conn: psycopg.Connection, config: dict[str, Any], why: str
) -> None:
    fill(conn)
    assert why in failure_of(desk.run(walk_forward_report, **config))
    assert rows(conn) == {}


def test_a_page_that_cannot_be_written_leaves_no_row_but_its_trials(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    desk.folder.write_text("a file stands where the folder would be")
    assert "ReportUnwritable: a report cannot be written to" in failure_of(desk.run(walk_forward_report, **WINDOWS))
    assert rows(conn) == {"trials": 12}


def test_a_result_that_contradicts_the_one_on_record_is_refused_and_its_page_stays(
    desk: Desk, conn: psycopg.Connection
) -> None:
    fill(conn)
    first = desk.run(walk_forward_report, **WINDOWS)
    page = Path(told(first)["report"])
    page.write_text("as it was")
    with connect(desk.database.dsn(OWNER), application_name="test") as owner:
        owner.execute("UPDATE research.walk_forwards SET fingerprint = repeat('0', 64)")
    assert "ResearchRefused: run" in failure_of(desk.run(walk_forward_report, **WINDOWS))
    assert page.read_text() == "as it was"
    assert walk_of(conn, first).fingerprint == "0" * 64


def test_one_that_is_refused_the_first_time_leaves_no_page(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    with connect(desk.database.dsn(OWNER), application_name="test") as owner:
        owner.execute("ALTER TABLE research.walk_forward_folds ADD CHECK (fold < 2)")
    assert not desk.run(walk_forward_report, **WINDOWS).success
    assert rows(conn) == {"trials": 12}
    assert not desk.folder.exists()


def test_without_candles_in_the_month_there_is_none(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn, hours=744)
    assert "NothingStored: no enabled series of 5m or longer has a candle in 2022-03" in failure_of(
        desk.run(walk_forward_report, **WINDOWS)
    )
    assert rows(conn) == {}


def test_the_job_of_a_profile_and_month_makes_both_reports(desk: Desk, conn: psycopg.Connection) -> None:
    fill(conn)
    know(desk.instance, profiles, ["conservative"])
    definitions = dg.Definitions(
        assets=[backtest_report, walk_forward_report],
        jobs=[reports],
        resources=desk.resources,
        executor=dg.in_process_executor,
    )
    result = definitions.resolve_job_def("reports").execute_in_process(
        instance=desk.instance,
        partition_key="2022-03|conservative",
        run_config={
            **QUIET,
            "ops": {
                "backtest_report": {"config": {"surrogates": 1}},
                "walk_forward_report": {"config": WINDOWS},
            },
        },
        raise_on_error=False,
    )
    assert result.success, failure_of(result)
    assert {event.partition for event in result.all_events if event.is_step_materialization} == {"2022-03|conservative"}
    found = rows(conn)
    assert (found["backtest_runs"], found["walk_forwards"]) == (1, 1)


def test_whether_there_is_a_fold_is_known_before(conn: psycopg.Connection) -> None:
    assert not has_a_fold(conn, MARCH, WalkForwardReportConfig(**WINDOWS))  # nothing is kept
    fill(conn, hours=HOURS)
    assert has_a_fold(conn, MARCH, WalkForwardReportConfig(**WINDOWS))
    assert has_a_fold(conn, MARCH, WalkForwardReportConfig(train_days=80, test_days=20))
    assert not has_a_fold(conn, MARCH, WalkForwardReportConfig(train_days=80, test_days=21))
    assert not has_a_fold(conn, MARCH, WalkForwardReportConfig(lookback_months=0, **WINDOWS))
    assert not has_a_fold(conn, MARCH, WalkForwardReportConfig())

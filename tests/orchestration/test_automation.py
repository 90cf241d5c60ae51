import time
from collections.abc import Iterator

import dagster as dg
import pytest

from assets.partitions import instrument_months
from orchestration.automation import COMPUTED, FOLLOWS, FOLLOWS_CANDLES, VIEWS, follow_changes, followers
from tests.orchestration.months import FOLLOWERS, A, B, Graph, all_of, unmade

# Dagster's sensor meets its own deprecations.
own_deprecations = pytest.mark.filterwarnings(
    "ignore:Function `AssetSelection.keys`:DeprecationWarning", "ignore:Non-compliant tag keys:DeprecationWarning"
)


def test_what_follows_changed_candles_is_asked_for_once(graph: Graph) -> None:
    graph.load(A, "2024-02")
    assert graph.tick() == all_of(A, "2024-02")
    assert graph.tick() == {}
    assert graph.run("computed", A, "2024-02")
    assert graph.tick() == {}


@own_deprecations
def test_what_is_asked_for_is_one_run_an_instrument_over_its_months(graph: Graph) -> None:
    assert graph.sensor_tick() == []
    graph.load(A, "2024-01", "2024-03")
    graph.load(B, "2024-03")
    assert graph.sensor_tick() == [(A, "2024-01", "2024-03", FOLLOWERS), (B, "2024-03", "2024-03", FOLLOWERS)]
    assert graph.sensor_tick() == []


@own_deprecations
def test_the_running_month_of_all_instruments_is_not_one_run(graph: Graph) -> None:
    assert graph.sensor_tick() == []
    graph.load(A, "2024-03")
    graph.load(B, "2024-03")
    assert [run[0] for run in graph.sensor_tick()] == [A, B]


@own_deprecations
def test_one_partition_is_asked_for_as_a_range_of_one(graph: Graph) -> None:
    assert graph.sensor_tick() == []
    graph.load(B, "2024-03")
    assert graph.sensor_tick() == [(B, "2024-03", "2024-03", FOLLOWERS)]


def test_marts_of_months_that_the_analysis_wrote_beside_its_run_are_asked_for(graph: Graph) -> None:
    graph.run("backfill", A, "2024-01", "2024-03")
    graph.tick()
    graph.load(A, "2024-03")
    graph.tick()
    graph.beside = {f"{A}|2024-01", f"{A}|2024-02"}
    assert graph.run("computed", A, "2024-03")
    assert graph.looks() == [{"fct_signals": graph.beside}]


def test_candles_that_were_found_unchanged_start_nothing(graph: Graph) -> None:
    graph.load(A)
    graph.tick()
    graph.run("computed", A)
    assert graph.run("tail", A)  # the same version again
    assert graph.tick() == {}


def test_a_run_that_computed_what_follows_too_starts_nothing(graph: Graph) -> None:
    graph.version = "2"
    assert graph.run("backfill", A, "2024-01", "2024-04")
    assert graph.run("backfill", B, "2024-04")
    assert graph.tick() == {}


def test_candles_that_failed_a_blocking_check_are_not_followed_until_they_pass(graph: Graph) -> None:
    graph.bad = {B}
    assert not graph.load(B, "2024-01", "2024-03")
    assert graph.tick() == {}
    graph.bad = set()
    assert graph.load(B, "2024-02")
    assert graph.tick() == all_of(B, "2024-02")
    assert graph.load(B, "2024-01", "2024-03")
    assert graph.tick() == all_of(B, "2024-01", "2024-03")  # the other month's run is under way


def test_one_instruments_passed_check_does_not_open_the_way_for_another(graph: Graph) -> None:
    graph.bad = {B}
    graph.load(B)
    graph.load(A)
    assert graph.tick() == all_of(A, "2024-02")


def test_an_event_without_a_run_behind_it_has_passed_no_check(graph: Graph) -> None:
    graph.instance.report_runless_asset_event(dg.AssetMaterialization("candles", partition=f"{A}|2024-02"))
    graph.instance.report_runless_asset_event(dg.AssetMaterialization("candle_gaps", partition=f"{A}|2024-02"))
    assert graph.tick() == {}


def test_after_a_failure_it_is_asked_for_exactly_once_more(graph: Graph) -> None:
    graph.load(A)
    graph.tick()
    graph.broken = {"indicators"}
    assert not graph.run("computed", A)
    assert graph.looks() == [unmade(A, "2024-02")]
    for _ in range(3):
        assert not graph.run("computed", A)
        assert graph.looks() == []


def test_a_change_after_a_failure_is_a_new_chance(graph: Graph) -> None:
    graph.broken = {"indicators"}
    for _ in range(3):
        graph.load(A)
        assert graph.looks(1) == [all_of(A, "2024-02")]
        graph.run("computed", A)
        assert graph.looks() == [unmade(A, "2024-02")]
        graph.run("computed", A)
        assert graph.looks() == []


def test_a_success_ends_the_memory_of_a_failure(graph: Graph) -> None:
    for _ in range(2):
        graph.load(A)
        graph.tick()
        graph.broken = {"indicators"}
        graph.run("computed", A)
        assert graph.looks() == [unmade(A, "2024-02")]
        graph.broken = set()
        assert graph.run("computed", A)
        assert graph.looks() == []


def test_what_failed_in_a_run_that_loaded_the_candles_too_is_asked_for_and_once_more(graph: Graph) -> None:
    graph.version = "2"
    graph.broken = {"indicators"}
    assert not graph.run("backfill", A, "2024-01", "2024-02")
    assert graph.looks(1) == [unmade(A, "2024-01", "2024-02")]  # for the candles
    assert not graph.run("computed", A, "2024-01", "2024-02")
    assert graph.looks() == [unmade(A, "2024-01", "2024-02")]  # for the failure
    assert not graph.run("computed", A, "2024-01", "2024-02")
    assert graph.looks() == []


def test_a_change_of_what_has_no_months_does_not_ask_for_every_month_there_is(graph: Graph) -> None:
    graph.run("backfill", A, "2024-01", "2024-04")
    graph.tick()
    assert graph.run("rules")
    assert graph.tick() == {}


def test_a_view_of_what_has_no_months_follows_the_candles_and_their_checks(graph: Graph) -> None:
    graph.bad = {B}
    graph.load(B, "2024-02")
    assert graph.tick() == {}
    graph.load(A, "2024-02")
    assert {"stg_series", "stg_rules"} < set(graph.tick())


def test_what_failed_before_the_automation_was_first_on_is_left_to_people(instance: dg.DagsterInstance) -> None:
    graph = Graph(instance)
    graph.broken = {"indicators"}
    graph.run("backfill", A)
    assert graph.looks() == []


def test_only_the_computed_groups_follow() -> None:
    @dg.multi_asset(specs=[dg.AssetSpec(group, deps=["raw"], group_name=group) for group in ("market", *COMPUTED)])
    def every() -> Iterator[dg.MaterializeResult[None]]:
        yield from (dg.MaterializeResult(asset_key=group) for group in ("market", *COMPUTED))

    [asset] = followers([every])
    assert {spec.key.to_user_string(): spec.automation_condition for spec in asset.specs} == {
        "market": None,
        **dict.fromkeys(COMPUTED, FOLLOWS),
        VIEWS: FOLLOWS_CANDLES,
    }


def test_what_is_computed_from_nothing_follows_the_candles() -> None:
    @dg.multi_asset(specs=[dg.AssetSpec("dim_time", group_name="marts")])
    def days() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    [asset] = followers([days])
    assert [spec.automation_condition for spec in asset.specs] == [FOLLOWS_CANDLES]


def test_the_sensor_is_on_without_anybody_switching_it_on() -> None:
    assert follow_changes.default_status is dg.DefaultSensorStatus.RUNNING
    assert follow_changes.minimum_interval_seconds == 30


def test_a_look_at_a_hundred_instruments_of_nine_years_stays_short(instance: dg.DagsterInstance) -> None:
    many = [f"binance_spot:S{number:03}USDT" for number in range(100)]
    instance.add_dynamic_partitions("instruments", many)
    assert len(instrument_months.get_partition_keys(dynamic_partitions_store=instance)) > 10_000
    graph = Graph(instance)
    assert graph.tick() == {}
    graph.load(A)
    begun = time.perf_counter()
    assert graph.tick() == all_of(A, "2024-02")
    assert time.perf_counter() - begun < 20


@pytest.mark.parametrize("job", ["tail", "backfill"])
def test_a_planted_defect_in_the_candles_turns_the_run_red(graph: Graph, job: str) -> None:
    graph.bad = {A}
    assert not graph.run(job, A)
    assert graph.run(job, B)


def test_computing_again_stops_at_a_check_of_candles_that_it_does_not_load(graph: Graph) -> None:
    graph.bad = {B}
    assert graph.run("recompute", A)
    assert not graph.run("recompute", B)
    assert graph.written("indicators") == graph.written("fct_signals") == {f"{A}|2024-02"}
    assert graph.written("candles") == set()

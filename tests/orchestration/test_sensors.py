import logging
from typing import Any

import dagster as dg
import pytest

from assets.reactions import REACTION, reacting
from assets.verification import RUN_AGAIN
from contracts import DataRejected, Halt, Rejected, Retryable
from orchestration.requests import INSTRUMENT_TAG
from orchestration.sensors import SENSORS, WHAT_TO_DO, failed_runs, moved_chains
from tests.orchestration.months import QUIET

A, B = "binance_spot:AAAUSDT", "binance_spot:BBBUSDT"


def moved(instrument: str, first: str, *, last: str = "2024-06", found_by: str = "c0ffee") -> dict[str, str]:
    return {"instrument": instrument, "first": first, "last": last, "found_by": found_by}


def verified(instance: dg.DagsterInstance, months: list[str], *reruns: dict[str, str]) -> None:
    """What a verification of those months leaves: the same metadata with each of them."""
    for month in months:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                "candle_verification",
                partition=f"{A}|{month}",
                metadata={RUN_AGAIN: dg.MetadataValue.json(list(reruns))},
            )
        )


class Sensor:
    """`moved_chains`, looking again and again."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None

    def look(self) -> list[Any]:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        data = moved_chains.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        assert bool(data.run_requests) != bool(data.skip_message)
        return list(data.run_requests or [])


def test_months_whose_chain_moved_are_run_again_from_the_first_on_and_once(instance: dg.DagsterInstance) -> None:
    sensor = Sensor(instance)
    assert sensor.look() == []
    verified(instance, ["2024-04", "2024-05", "2024-06"], moved(A, "2024-05"))
    [request] = sensor.look()
    assert request.tags == {
        "dagster/sensor_name": "moved_chains",
        INSTRUMENT_TAG: A,
        "dagster/asset_partition_range_start": f"{A}|2024-05",
        "dagster/asset_partition_range_end": f"{A}|2024-06",
    }
    assert sensor.look() == []


def test_a_verification_that_found_nothing_asks_for_nothing(instance: dg.DagsterInstance) -> None:
    verified(instance, ["2024-05", "2024-06"])
    assert Sensor(instance).look() == []


def test_every_instrument_between_two_looks_is_seen(instance: dg.DagsterInstance) -> None:
    verified(instance, ["2024-06"], moved(A, "2024-05"))
    verified(instance, ["2024-06"], moved(B, "2024-06"))
    verified(instance, ["2024-06"])
    assert [request.tags[INSTRUMENT_TAG] for request in Sensor(instance).look()] == [A, B]


def test_another_change_of_the_same_months_has_a_run_of_its_own(instance: dg.DagsterInstance) -> None:
    sensor = Sensor(instance)
    verified(instance, ["2024-06"], moved(A, "2024-05", found_by="one"))
    [first] = sensor.look()
    verified(instance, ["2024-06"], moved(A, "2024-05", found_by="two"))
    [second] = sensor.look()
    assert first.run_key != second.run_key


def failed(instance: dg.DagsterInstance, error: Exception) -> tuple[dg.DagsterRun, list[str]]:
    """A failed run that raised `error`, and what the sensor wrote into it."""

    @dg.asset
    @reacting
    def broken(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        raise error

    result = dg.materialize([broken], instance=instance, run_config=QUIET, raise_on_error=False)
    return tell(instance, result)


def tell(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> tuple[dg.DagsterRun, list[str]]:
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    )
    failed_runs(context.for_run_failure())
    events = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    return result.dagster_run, [entry.message for entry in events if "what to do" in entry.message]


@pytest.mark.parametrize("kind", [Retryable, Rejected, DataRejected, Halt])
def test_a_failed_run_says_why_and_what_to_do_by_the_reaction_of_its_error(
    instance: dg.DagsterInstance, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="orchestration.sensors"):
        run, [told] = failed(instance, kind("klines of BTCUSDT: no"))
    assert told.startswith("broken: ")
    assert "klines of BTCUSDT: no" in told
    assert WHAT_TO_DO[kind.__name__] in told
    [record] = [record for record in caplog.records if record.name == "orchestration.sensors"]
    assert vars(record)["run_id"] == run.run_id
    assert vars(record)["to_do"] == WHAT_TO_DO[kind.__name__]


def test_a_failure_that_is_not_ours_points_to_its_traceback(instance: dg.DagsterInstance) -> None:
    _, [told] = failed(instance, ZeroDivisionError("division by zero"))
    assert "division by zero" in told
    assert WHAT_TO_DO["unknown"] in told


def test_a_blocking_check_that_failed_is_told_as_such(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def candles() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    @dg.asset_check(asset=candles, blocking=True)
    def ohlc_order() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    result = dg.materialize([candles, ohlc_order], instance=instance, run_config=QUIET, raise_on_error=False)
    _, [told] = tell(instance, result)
    assert WHAT_TO_DO["check"] in told


def test_every_reaction_that_a_step_can_keep_has_its_advice() -> None:
    assert REACTION == "reaction"
    assert {"Retryable", "Rejected", "DataRejected", "Halt"} < set(WHAT_TO_DO)


def test_every_sensor_is_on_and_says_what_it_does() -> None:
    for sensor in SENSORS:
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING, sensor.name
        assert sensor.description, sensor.name

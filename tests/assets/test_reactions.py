from collections.abc import Iterator

import dagster as dg
import pytest

from assets.reactions import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    REACTION,
    RETRIES,
    outcome_of,
    reacting,
    reaction_of,
    wait_before,
)
from contracts import DataRejected, Halt, Rejected, Retryable, TidemarkError
from store.errors import DatabaseUnavailable, FrameRejected
from venues.binance.errors import VenueHalted

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.mark.parametrize(
    ("error", "reaction"),
    [
        (DatabaseUnavailable("gone"), "Retryable"),
        (Rejected("no"), "Rejected"),
        (FrameRejected("odd"), "DataRejected"),
        (VenueHalted("banned"), "Halt"),
        (TidemarkError("?"), "TidemarkError"),
    ],
)
def test_the_reaction_is_that_of_the_nearest_base(error: TidemarkError, reaction: str) -> None:
    assert reaction_of(error) == reaction


def test_a_wait_grows_four_times_each_up_to_a_quarter_of_an_hour() -> None:
    assert [wait_before(retry) for retry in range(4)] == [30, 120, 480, 900]
    assert (FIRST_WAIT_S, LONGEST_WAIT_S) == (30, 900)


def test_the_counterparts_own_wait_is_kept_where_it_is_longer() -> None:
    assert wait_before(0, asked=300.0) == 300
    assert wait_before(0, asked=1.0) == 30
    assert wait_before(3, asked=7200.0) == 7200


def test_what_may_succeed_later_is_asked_again() -> None:
    outcome = outcome_of(Retryable("busy", retry_after=77.0), retries=0, attended=False)
    assert isinstance(outcome, dg.RetryRequested)
    assert (outcome.max_retries, outcome.seconds_to_wait) == (RETRIES, 77.0)


@pytest.mark.parametrize(
    ("error", "retries", "attended"),
    [
        (Retryable("busy"), RETRIES, False),  # it was asked often enough
        (Retryable("busy"), 0, True),  # somebody waits
        (Rejected("no"), 0, False),
        (DataRejected("odd"), 0, False),
        (Halt("banned", retry_after=120.0), 0, False),
    ],
)
def test_everything_else_ends_the_step_for_good(error: TidemarkError, retries: int, *, attended: bool) -> None:
    outcome = outcome_of(error, retries=retries, attended=attended)
    assert isinstance(outcome, dg.Failure)
    assert not outcome.allow_retries
    assert outcome.description == str(error)
    assert outcome.metadata[REACTION].value == reaction_of(error)


def failure(result: dg.ExecuteInProcessResult) -> tuple[str, str, str]:
    """Class and message of what the body raised, and the reaction that the failed step keeps."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    assert data.error is not None
    assert data.error.cause is not None
    assert data.user_failure_data is not None
    return (
        str(data.error.cause.cls_name),
        data.error.cause.message.strip(),
        str(data.user_failure_data.metadata[REACTION].value),
    )


def test_a_failed_step_keeps_the_error_its_cause_and_its_reaction() -> None:
    @dg.asset
    @reacting
    def broken(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        msg = "klines of BTCUSDT"
        raise DatabaseUnavailable(msg)

    result = dg.materialize([broken], run_config=QUIET, raise_on_error=False)
    expected = ("DatabaseUnavailable", "store.errors.DatabaseUnavailable: klines of BTCUSDT", "Retryable")
    assert failure(result) == expected
    assert not any(event.is_step_up_for_retry for event in result.all_events)  # this process started it, and waits


def test_a_generator_may_fail_between_two_results() -> None:
    @dg.multi_asset(specs=[dg.AssetSpec("one"), dg.AssetSpec("two")])
    @reacting
    def pair(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield dg.MaterializeResult(asset_key="one")
        msg = "odd"
        raise DataRejected(msg)

    result = dg.materialize([pair], run_config=QUIET, raise_on_error=False)
    assert failure(result) == ("DataRejected", "contracts.errors.DataRejected: odd", "DataRejected")
    assert len(result.asset_materializations_for_node("pair")) == 1


def test_an_exception_that_is_not_ours_passes_through() -> None:
    @dg.asset
    @reacting
    def broken(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dg.materialize([broken], run_config=QUIET)


def test_a_body_that_succeeds_is_as_it_was_with_its_resources_and_check_results() -> None:
    class Number(dg.ConfigurableResource):  # type: ignore[type-arg]
        value: int

    @dg.asset(check_specs=[dg.AssetCheckSpec("ok", asset="good")])
    @reacting
    def good(context: dg.AssetExecutionContext, number: Number) -> dg.MaterializeResult[None]:
        """What it is."""
        checked = dg.AssetCheckResult(check_name="ok", passed=number.value == 3)
        return dg.MaterializeResult(metadata={"value": number.value}, check_results=[checked])

    result = dg.materialize([good], resources={"number": Number(value=3)}, run_config=QUIET)
    assert result.asset_materializations_for_node("good")[0].metadata["value"].value == 3
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]
    assert good.op.name == "good"

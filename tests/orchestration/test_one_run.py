from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
import sqlalchemy as sa

from orchestration.one_run import by_instrument
from tests.orchestration.months import A, B, Graph

INDICATORS, VIEW = dg.AssetKey("indicators"), dg.AssetKey("stg_candles")

# Dagster's sensor meets its own deprecations.
own_deprecations = pytest.mark.filterwarnings(
    "ignore:Function `AssetSelection.keys`:DeprecationWarning", "ignore:Non-compliant tag keys:DeprecationWarning"
)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent to any database within the block."""
    sent: list[str] = []

    def send(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    sa.event.listen(sa.Engine, "before_cursor_execute", send)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", send)


def asked(*partitions: str) -> list[dg.RunRequest]:
    """What Dagster requests for each of these partitions."""
    return [dg.RunRequest(partition_key=key, asset_selection=[INDICATORS, VIEW]) for key in partitions]


def last_event(graph: Graph) -> int | None:
    return graph.instance.event_log_storage.get_maximum_record_id()


def test_what_a_run_wrote_during_the_look_is_not_asked_for_again(graph: Graph) -> None:
    begun = last_event(graph)
    assert graph.run("computed", A, "2024-01")
    requests = asked(f"{A}|2024-01", f"{A}|2024-02", f"{B}|2024-01")
    left = list(by_instrument(requests, instance=graph.instance, begun=begun))
    assert [request.tags["dagster/asset_partition_range_start"] for request in left] == [f"{A}|2024-02", f"{B}|2024-01"]
    assert list(by_instrument(asked(f"{A}|2024-01"), instance=graph.instance, begun=begun)) == []


def test_what_was_written_before_the_look_is_asked_for(graph: Graph) -> None:
    assert graph.run("computed", A, "2024-01")
    [request] = by_instrument(asked(f"{A}|2024-01"), instance=graph.instance, begun=last_event(graph))
    assert set(request.asset_selection or ()) == {INDICATORS, VIEW}


def test_an_asset_that_was_not_written_during_the_look_is_asked_for_without_the_others(graph: Graph) -> None:
    begun = last_event(graph)
    graph.broken = {"indicators"}
    assert not graph.run("computed", A, "2024-01")  # the view alone
    [request] = by_instrument(asked(f"{A}|2024-01"), instance=graph.instance, begun=begun)
    assert request.asset_selection == [INDICATORS]


@own_deprecations
def test_a_look_reads_each_run_once_however_many_assets_follow_what_it_wrote(graph: Graph) -> None:
    assert graph.sensor_tick() == []
    for instrument in (A, B):
        graph.load(instrument)
    with counted() as statements:
        assert [run[0] for run in graph.sensor_tick()] == [A, B]
    assert len([text for text in statements if "event_logs.run_id =" in text]) == 2
    with counted() as statements:
        assert graph.sensor_tick() == []
    assert not [text for text in statements if "event_logs.run_id =" in text]

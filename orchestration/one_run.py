"""The automation sensor of assets that are cut by instrument and month: one run an instrument, over a range of months.

Left to itself Dagster takes what is requested in one look together by month: the running month of all instruments is
one run, which fails for all of them where one fails. And a backfill, of which such runs are made, starts a minute
later. So the requests of a look are taken apart here, and started as plain runs.

A look takes seconds. What a run writes meanwhile counts as under way no longer but not as written yet, so that Dagster
requests it again: such requests are left out.

    sensor = InstrumentRuns("follow_changes", target=..., use_user_code_server=True)
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._record import replace

from assets.partitions import Task, partition_key, tasks_of
from orchestration.requests import INSTRUMENT_TAG


class InstrumentRuns(dg.AutomationConditionSensorDefinition):
    """An automation condition sensor whose requests are one run an instrument."""

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        """One look: what Dagster would request, by instrument."""
        begun = context.instance.event_log_storage.get_maximum_record_id()
        found = super().evaluate_tick(context)
        requests = by_instrument(found.run_requests or (), instance=context.instance, begun=begun)
        return replace(found, run_requests=list(requests))


def by_instrument(
    requests: Iterable[dg.RunRequest], *, instance: dg.DagsterInstance, begun: int | None
) -> Iterator[dg.RunRequest]:
    """The same assets and months as one request an instrument, but for those that were written meanwhile.

    A run covers all months from the first requested one of any of its assets to the last: what lies between is
    proven unchanged by its chain, and costs a look.

    Args:
        requests: What Dagster would request.
        instance: Asked for what was written.
        begun: The last event before the look; None = there was none.
    """
    asked: dict[dg.AssetKey, set[str]] = defaultdict(set)
    tags: dict[str, str] = {}
    for request in requests:
        tags |= {name: text for name, text in request.tags.items() if not name.startswith("dagster/partition")}
        for asset, keys in _partitions(request).items():
            asked[asset].update(keys)
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    wanted: dict[str, set[dg.AssetKey]] = defaultdict(set)
    for asset, partitions in asked.items():
        written = instance.get_latest_storage_id_by_partition(asset, kind, partitions, after_cursor=begun)
        for key in partitions.difference(written):
            wanted[key].add(asset)
    for task in tasks_of(wanted):
        yield dg.RunRequest(
            asset_selection=sorted({asset for key in _keys(task) for asset in wanted[key]}),
            tags={
                **tags,
                INSTRUMENT_TAG: str(task.instrument),
                "dagster/asset_partition_range_start": str(partition_key(task.instrument, task.months[0])),
                "dagster/asset_partition_range_end": str(partition_key(task.instrument, task.months[-1])),
            },
        )


def _keys(task: Task) -> list[str]:
    return [str(partition_key(task.instrument, month)) for month in task.months]


def _partitions(request: dg.RunRequest) -> Mapping[dg.AssetKey, Iterable[str]]:
    """Asset → partition keys of a request, be it for a run of one partition or for a backfill."""
    if request.asset_graph_subset is not None:
        subsets = request.asset_graph_subset.partitions_subsets_by_asset_key
        return {asset: subset.get_partition_keys() for asset, subset in subsets.items()}
    return {asset: [str(request.partition_key)] for asset in request.asset_selection or ()}

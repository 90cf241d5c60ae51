"""When Dagster starts a run by itself because what an asset is computed from has changed.

Schedules bring data in; the condition here computes what follows. It is an edge, never a level: a partition is
requested when the data version of a dependency changes, once more after its first failure, and then stays quiet until
something changes again. What is requested is one run an instrument (`orchestration.one_run`); which of its months are
computed is the chain's business (docs/adr/0004).

    dg.Definitions(assets=followers(assets), sensors=[follow_changes])
"""

import warnings
from collections.abc import Sequence, Set
from weakref import WeakKeyDictionary

import dagster as dg

from orchestration.one_run import InstrumentRuns

VIEWS = "marts_staging"
COMPUTED = ("analysis", VIEWS, "marts")
"""Groups of assets that follow what they are computed from."""

# A view over something that has no months is never missing for one.
_WITH_ROWS = dg.AssetSelection.assets("candles", "candle_gaps") | dg.AssetSelection.groups("analysis")
FOLLOWED = _WITH_ROWS | dg.AssetSelection.groups(*COMPUTED)
"""What they follow. A change of an asset without months, such as the rules, would ask for every month there is."""

# Materializations read at once: Dagster answers a thousand at most.
_PAGE = 1_000


class ChecksPassed(dg.AutomationCondition[dg.AssetKey]):
    """True where the run that last wrote a partition also passed every blocking check of the asset.

    Dagster's own condition asks for the last verdict on the asset as a whole: the candles of one instrument would
    open the way for those of another that failed. And within a run that spans months it keeps no verdict by month.
    """

    @property
    def name(self) -> str:
        """What the UI calls the condition."""
        return "blocking_checks_passed_in_the_run_that_wrote_it"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """The candidates that hold data which passed its checks."""
        graph, view = context.asset_graph, context.asset_graph_view
        blocking = {key for key in graph.get(context.key).check_keys if graph.get(key).blocking}
        if not blocking:
            return dg.AutomationResult(context, context.candidate_subset)
        read = _READ.setdefault(view, _Read(view.instance))
        runs = read.runs(context.key, set(context.candidate_subset.expensively_compute_partition_keys()))
        passed = {partition for partition, run_id in runs.items() if blocking <= read.passed(run_id)}
        return dg.AutomationResult(context, context.candidate_subset.compute_intersection_with_partition_keys(passed))


class _Read:
    """What one look has read of runs: each of some forty dependencies asks the same again.

    Read once, it costs two questions an asset and one a run. Otherwise the look after an hour of many instruments
    would take longer than the minute that Dagster gives it, and so would every look after that.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._runs: dict[dg.AssetKey, dict[str, str | None]] = {}
        self._passed: dict[str, set[dg.AssetCheckKey]] = {}

    def runs(self, asset: dg.AssetKey, partitions: Set[str]) -> dict[str, str]:
        """Partition → the run that last wrote it, of those that were ever written."""
        known = self._runs.setdefault(asset, {})
        if unknown := set(partitions - known.keys()):
            known |= dict.fromkeys(unknown)
            kind = dg.DagsterEventType.ASSET_MATERIALIZATION
            latest = list(self._instance.get_latest_storage_id_by_partition(asset, kind, unknown).values())
            for start in range(0, len(latest), _PAGE):
                written = dg.AssetRecordsFilter(asset_key=asset, storage_ids=latest[start : start + _PAGE])
                for record in self._instance.fetch_materializations(written, limit=_PAGE).records:
                    known[str(record.partition_key)] = record.run_id
        return {partition: run_id for partition in partitions if (run_id := known[partition]) is not None}

    def passed(self, run_id: str) -> set[dg.AssetCheckKey]:
        """The checks that a run evaluated and that stop nothing."""
        if run_id not in self._passed:
            evaluated = [
                entry.get_dagster_event().asset_check_evaluation_data
                for entry in self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            ]
            stops_nothing = {
                one.asset_check_key for one in evaluated if one.passed or one.severity is dg.AssetCheckSeverity.WARN
            }
            self._passed[run_id] = stops_nothing
        return self._passed[run_id]


# One look has one view of the graph, and forgets it.
_READ: WeakKeyDictionary[object, _Read] = WeakKeyDictionary()

Condition = dg.AutomationCondition[dg.AssetKey]


def _follows(label: str, *, candles_too: bool) -> Condition:
    """The condition; a view over something without months follows the candles, which make it be read again."""
    when = dg.AutomationCondition
    written: Condition = when.any_deps_match(when.data_version_changed()).allow(FOLLOWED)
    changed: Condition = when.any_deps_match(when.data_version_changed() | when.will_be_requested()).allow(FOLLOWED)
    checked: Condition = when.all_deps_match(ChecksPassed() | when.will_be_requested()).allow(FOLLOWED)
    if candles_too:
        written |= when.asset_matches("candles", when.data_version_changed())
        changed |= when.asset_matches("candles", when.data_version_changed())
        checked &= when.asset_matches("candles", ChecksPassed())
    handled = when.newly_requested() | when.newly_updated() | when.initial_evaluation()
    # Looked at one look after a request: a run that failed before then must not be taken for the failure before it.
    fails = (when.execution_failed() & ~when.newly_requested()).newly_true()
    failed = fails.since(when.newly_updated() | written | when.initial_evaluation())
    again = failed & ~when.newly_requested().since(failed.newly_true())
    return (
        (changed.since(handled).with_label("input_changed") | again.with_label("failed_for_the_first_time"))
        & ~when.any_deps_in_progress().allow(FOLLOWED)
        & ~when.in_progress()
        & ~when.any_deps_missing().allow(_WITH_ROWS)
        & checked
    ).with_label(label)


FOLLOWS = _follows("follows_its_inputs", candles_too=False)
FOLLOWS_CANDLES = _follows("follows_its_inputs_and_candles", candles_too=True)


def followers(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets, where those of the computed groups follow their inputs."""

    def follow(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.group_name not in COMPUTED:
            return spec
        # What is computed from nothing, such as the calendar of days, would never be made again.
        candles_too = spec.group_name == VIEWS or not list(spec.deps)
        return spec.replace_attributes(automation_condition=FOLLOWS_CANDLES if candles_too else FOLLOWS)

    return [asset.map_asset_specs(follow) for asset in assets]


with warnings.catch_warnings():
    # Dagster's release is pinned to its minor version in pyproject.toml; a new one has to pass the tests of this file.
    warnings.simplefilter("ignore", dg.BetaWarning)
    follow_changes = InstrumentRuns(
        "follow_changes",
        target=dg.AssetSelection.groups(*COMPUTED),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        # A condition of our own is known to our code alone: the daemon cannot evaluate it.
        use_user_code_server=True,
        description="Computes analysis and marts again where their inputs changed, one run an instrument.",
    )

"""A small graph of the platform's shape, cut by instrument and month, whose runs do what a test tells them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.partitions import instrument_months
from orchestration.automation import COMPUTED, follow_changes, followers

A, B = "binance_spot:AAAUSDT", "binance_spot:BBBUSDT"
FOLLOWERS = ("fct_signals", "indicators", "stg_candles", "stg_rules", "stg_series")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Graph:
    """`candles` with a blocking check, rules that have no months, and what follows: analysis, views and a mart of them.

    Attributes:
        instance: Where its runs are kept.
        version: Data version of the candles that the next run writes.
        bad: Instruments whose candles fail their check.
        broken: Assets whose step fails.
        beside: Partitions that `indicators` tells of beside those of its run.
    """

    instance: dg.DagsterInstance
    version: str = "1"
    bad: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)
    cursor: Any = None
    sensor_cursor: str | None = None

    def __post_init__(self) -> None:
        self.instance.add_dynamic_partitions("instruments", [A, B])
        self.definitions = self._definitions()

    def _definitions(self) -> dg.Definitions:
        cut: dict[str, Any] = {"partitions_def": instrument_months, "backfill_policy": dg.BackfillPolicy.single_run()}

        @dg.asset(group_name="market")
        def exchange_rules() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult()

        @dg.multi_asset(name="candles", specs=[dg.AssetSpec("candles"), dg.AssetSpec("candle_gaps")], **cut)
        def candles() -> Iterator[dg.MaterializeResult[None]]:
            for name in ("candles", "candle_gaps"):
                yield dg.MaterializeResult(asset_key=name, data_version=dg.DataVersion(self.version))

        def computed(name: str, group: str, *deps: str) -> dg.AssetsDefinition:
            @dg.multi_asset(name=name, specs=[dg.AssetSpec(name, group_name=group, deps=deps)], **cut)
            def body(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
                if name in self.broken:
                    msg = f"{name} is broken"
                    raise dg.Failure(msg)
                for partition in self.beside if name == "indicators" else ():
                    tags = {"dagster/data_version": context.run.run_id}
                    context.log_event(dg.AssetMaterialization(name, partition=partition, tags=tags))
                return dg.MaterializeResult(asset_key=name)

            return body

        @dg.asset_check(asset="candles", name="ohlc_order", blocking=True)
        def ohlc_order(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            instruments = {key.partition("|")[0] for key in context.partition_keys}
            return dg.AssetCheckResult(passed=not instruments & self.bad)

        return dg.Definitions(
            assets=followers(
                [
                    exchange_rules,
                    candles,
                    computed("indicators", "analysis", "candles", "candle_gaps"),
                    computed("stg_candles", "marts_staging", "candles"),
                    computed("stg_series", "marts_staging"),
                    computed("stg_rules", "marts_staging", "exchange_rules"),
                    computed("fct_signals", "marts", "indicators", "stg_candles", "stg_series", "stg_rules"),
                ]
            ),
            asset_checks=[ohlc_order],
            sensors=[follow_changes],
            jobs=[
                dg.define_asset_job("tail", dg.AssetSelection.assets("candles", "candle_gaps")),
                dg.define_asset_job("computed", dg.AssetSelection.groups(*COMPUTED)),
                dg.define_asset_job("backfill", dg.AssetSelection.all() - dg.AssetSelection.assets("exchange_rules")),
                dg.define_asset_job(
                    "recompute", dg.AssetSelection.checks_for_assets("candles") | dg.AssetSelection.groups(*COMPUTED)
                ),
                dg.define_asset_job("rules", dg.AssetSelection.assets("exchange_rules")),
            ],
            executor=dg.in_process_executor,
        )

    def run(self, job: str, instrument: str = A, first: str = "2024-02", last: str | None = None) -> bool:
        """Run a job over months of an instrument, as a run of the daemon would; whether it succeeded."""
        tags = {
            "dagster/asset_partition_range_start": f"{instrument}|{first}",
            "dagster/asset_partition_range_end": f"{instrument}|{last or first}",
        }
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=QUIET, tags={} if job == "rules" else tags, raise_on_error=False
        )
        return result.success

    def load(self, instrument: str = A, first: str = "2024-02", last: str | None = None) -> bool:
        """Run `tail` with candles that nobody has seen before."""
        self.version += "'"
        return self.run("tail", instrument, first, last)

    def written(self, name: str) -> set[str]:
        """Partitions of an asset that were ever written."""
        return set(self.instance.get_materialized_partitions(dg.AssetKey(name)))

    def tick(self) -> dict[str, set[str]]:
        """One look of the automation sensor: asset → partitions it asks for."""
        target = dg.AssetSelection.groups(*COMPUTED)
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, target, cursor=self.cursor)
        self.cursor = result.cursor
        asked = {name: result.get_requested_partitions(dg.AssetKey(name)) for name in FOLLOWERS}
        return {name: {str(key) for key in keys} for name, keys in asked.items() if keys}

    def sensor_tick(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """One look of the sensor itself: instrument, first and last month, and assets of every run it asks for."""
        repository = self.definitions.get_repository_def()
        context = dg.build_sensor_context(self.instance, self.sensor_cursor, repository_def=repository)
        found = follow_changes.evaluate_tick(context)
        self.sensor_cursor = found.cursor
        asked = []
        for request in found.run_requests or ():
            first, last = (request.tags[f"dagster/asset_partition_range_{end}"].split("|") for end in ("start", "end"))
            assert first[0] == last[0] == request.tags["tidemark/instrument"]
            assets = tuple(sorted(key.to_user_string() for key in request.asset_selection or ()))
            asked.append((first[0], first[1], last[1], assets))
        return asked

    def looks(self, count: int = 4) -> list[dict[str, set[str]]]:
        """What that many looks in a row ask for, those that ask for nothing left out."""
        return [asked for asked in (self.tick() for _ in range(count)) if asked]


def all_of(instrument: str, *months: str) -> dict[str, set[str]]:
    """A request for everything that follows."""
    return {name: {f"{instrument}|{month}" for month in months} for name in FOLLOWERS}


def unmade(instrument: str, *months: str) -> dict[str, set[str]]:
    """A request for what a run did not make in which `indicators` broke."""
    return {name: keys for name, keys in all_of(instrument, *months).items() if not name.startswith("stg_")}

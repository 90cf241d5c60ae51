"""How the dbt project reads as Dagster assets: keys, groups, owners, and which asset a source comes from.

A model's asset key is its name. A source's is the asset that writes its table, said in the source's own YAML
(`meta.dagster.asset_key`); a table that no asset writes (the catalogue, trading, ops) is no node of the graph. Several
tables may come from one asset. What comes from reports belongs to a month of all profiles, not to an instrument.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from assets.partitions import by_month

GROUPS = {"staging": "marts_staging", "intermediate": "marts_staging", "marts": "marts"}
OWNER = "team:data"
_NOBODY = "written_by_no_asset"
_REPORTS = {"backtest_report"}
_OF_EVERY_PROFILE = by_month()


class Lineage(DagsterDbtTranslator):
    """The translator of our project."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The asset of a model, without the sources that no asset writes."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        deps = [dep for dep in spec.deps if dep.asset_key.path[0] != _NOBODY]
        if len(deps) == len(list(spec.deps)):
            return spec
        # Replaced in the memory of the base class too: whoever asks again is given the same.
        spec = spec.replace_attributes(deps=deps)
        self._resolved_specs[(id(manifest), unique_id, id(project))] = spec
        return spec

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """The check of a test, described as the test is; the base class looks for another word."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return None if spec is None else spec._replace(description=manifest["nodes"][unique_id]["description"])

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """A model's name; for a source, the asset that writes it."""
        if dbt_resource_props["resource_type"] != "source":
            return dg.AssetKey([dbt_resource_props["name"]])
        told = dbt_resource_props["meta"].get("dagster", {}).get("asset_key")
        return dg.AssetKey(told or [_NOBODY, dbt_resource_props["source_name"], dbt_resource_props["name"]])

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> dg.PartitionMapping | None:
        """The same instrument and month; of a report, which has no instrument, the month."""
        del dbt_resource_props
        return _OF_EVERY_PROFILE if self.get_asset_key(dbt_parent_resource_props).path[0] in _REPORTS else None

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What its YAML says, without the SQL: that is linked, and long."""
        return str(dbt_resource_props["description"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """By the folder of the model."""
        return GROUPS.get(dbt_resource_props["fqn"][1])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The same for all."""
        del dbt_resource_props
        return [OWNER]

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Columns with their types, and the relation as an analyst writes it."""
        relation = f"{dbt_resource_props['schema']}.{dbt_resource_props['name']}"
        return {**super().get_metadata(dbt_resource_props), "dagster/table_name": relation}

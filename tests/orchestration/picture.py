"""Everything that Dagster shows, as a text that a reviewer can read and compare.

`definitions.txt` beside this file is the picture that a test compares with. Draw it again after an intended change:

    python -m tests.orchestration.picture
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.partitions import instrument_months, profile_months
from orchestration.definitions import defs

_CUTS: dict[dg.PartitionsDefinition | None, str] = {
    instrument_months: "instrument x month",
    profile_months: "profile x month",
}
PICTURE = Path(__file__).with_name("definitions.txt")


def drawn(definitions: dg.Definitions) -> str:
    """The picture of definitions."""
    parts = [_assets(definitions), _jobs(definitions), _schedules(definitions), _sensors(definitions)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _assets(definitions: dg.Definitions) -> Iterator[str]:
    graph = definitions.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    for group in sorted({node.group_name for node in nodes}):
        yield f"GROUP {group}"
        for node in sorted((node for node in nodes if node.group_name == group), key=lambda node: str(node.key)):
            cut = _CUTS.get(node.partitions_def, "whole")
            marks = [cut, *node.owners, *sorted(node.kinds), *sorted(node.pools or ())]
            if node.automation_condition is not None:
                marks.append(str(node.automation_condition.get_label()))
            yield f"  {node.key.to_user_string()}: {', '.join(marks)}"
            if node.parent_keys:
                yield f"    from {', '.join(sorted(key.to_user_string() for key in node.parent_keys))}"
            for key in sorted(node.check_keys, key=lambda key: key.name):
                yield f"    check {key.name}{', blocking' if graph.get(key).blocking else ''}"


def _jobs(definitions: dg.Definitions) -> Iterator[str]:
    yield "JOBS"
    for job in sorted(definitions.resolve_all_job_defs(), key=lambda job: job.name):
        if not job.name.startswith("__"):
            layer = job.asset_layer
            yield f"  {job.name}: {', '.join(sorted(key.to_user_string() for key in layer.selected_asset_keys))}"
            only_checked = {key.asset_key for key in layer.asset_graph.asset_check_keys} - layer.selected_asset_keys
            for key in sorted(only_checked):
                yield f"    and the checks of {key.to_user_string()}"


def _schedules(definitions: dg.Definitions) -> Iterator[str]:
    yield "SCHEDULES"
    known = [one for one in definitions.schedules or () if isinstance(one, dg.ScheduleDefinition)]
    for one in sorted(known, key=lambda one: one.name):
        yield f"  {one.name}: {one.cron_schedule} {one.execution_timezone}, {one.job_name}, {one.default_status.value}"


def _sensors(definitions: dg.Definitions) -> Iterator[str]:
    yield "SENSORS"
    for one in sorted(definitions.sensors or (), key=lambda one: one.name):
        marks = [one.sensor_type.value, one.default_status.value]
        marks += [f"every {one.minimum_interval_seconds} s"] if one.minimum_interval_seconds else []
        yield f"  {one.name}: {', '.join(marks)}"


if __name__ == "__main__":
    PICTURE.write_text(drawn(defs()), encoding="utf-8")

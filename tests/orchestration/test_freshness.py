from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from orchestration.definitions import defs
from orchestration.freshness import POLICIES, kept_fresh


def windows(spec: dg.AssetSpec) -> tuple[timedelta, timedelta] | None:
    """After how long an asset's age warns and fails; None = it has none."""
    policy = spec.freshness_policy
    if policy is None:
        return None
    window: Any = policy  # what `FreshnessPolicy.time_window` makes is not public by name
    return window.warn_window.to_timedelta(), window.fail_window.to_timedelta()


def test_candles_age_in_hours_and_what_is_made_only_when_they_changed_in_days() -> None:
    @dg.multi_asset(
        specs=[
            dg.AssetSpec("candles", group_name="market"),
            dg.AssetSpec("indicators", group_name="analysis"),
            dg.AssetSpec("exchange_rules", group_name="market"),
            dg.AssetSpec("made_by_hand", group_name="market"),
        ]
    )
    def every() -> Iterator[dg.MaterializeResult[None]]:
        yield from ()

    [asset] = kept_fresh([every])
    found = {spec.key.to_user_string(): windows(spec) for spec in asset.specs}
    assert found == {
        "candles": (timedelta(hours=2), timedelta(hours=3)),
        "indicators": (timedelta(hours=26), timedelta(hours=50)),
        "exchange_rules": (timedelta(hours=26), timedelta(hours=50)),
        "made_by_hand": None,
    }


def test_every_asset_that_a_schedule_brings_has_a_policy() -> None:
    graph = defs().resolve_asset_graph()
    known = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert set(POLICIES) <= known
    without = {graph.get(key).group_name for key in graph.get_all_asset_keys() if not graph.get(key).freshness_policy}
    assert without <= {"marts_staging"}

"""How old the last materialization of an asset may be before the Dagster UI warns and then fails it.

Candles are looked for hourly; rules and the calendar are read daily, funding every four hours, reports are made weekly
(`orchestration.schedules`). One missed tick warns at the latest, two fail. What is computed from candles is made only
when they changed, which may be once a day where the longest timeframe is kept alone: its age tells of a day's silence.
An asset that is not listed here is made when somebody asks for it, and has no age to speak of; nor has a view.

    dg.Definitions(assets=kept_fresh(assets))
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import dagster as dg


def _within(*, warn: float, fail: float) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=warn), fail_window=timedelta(hours=fail))


_CANDLES = _within(warn=2, fail=3)
_FUNDING = _within(warn=9, fail=13)
_DAILY = _within(warn=26, fail=50)
_WEEKLY = _within(warn=8 * 24, fail=15 * 24)
POLICIES: Mapping[str, dg.FreshnessPolicy] = {
    "candles": _CANDLES,
    "candle_gaps": _CANDLES,
    "funding_rates": _FUNDING,
    "exchange_rules": _DAILY,
    "calendar_events": _DAILY,
    "candle_verification": _DAILY,
}
"""Asset → policy, beside those of whole groups."""
GROUPS: Mapping[str, dg.FreshnessPolicy] = {"analysis": _DAILY, "marts": _DAILY, "research": _WEEKLY}
"""Group → policy of its assets."""


def kept_fresh(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets with their freshness policies."""

    def given(spec: dg.AssetSpec) -> dg.AssetSpec:
        policy = POLICIES.get(spec.key.to_user_string()) or GROUPS.get(spec.group_name or "")
        return spec if policy is None else spec.replace_attributes(freshness_policy=policy)

    return [asset.map_asset_specs(given) for asset in assets]

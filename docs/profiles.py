"""Write docs/profiles.md: every field of the risk profile and of the engine, as the models have them.

Defaults and bounds are the models' own, and each sentence is that of the field in its model's docstring. Only units
and what binds several fields stand here.

    python -m docs.profiles
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine import EngineParams
from risk import SHIPPED, RiskProfile, shipped_profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

PAGE: Final = Path(__file__).with_name("profiles.md")

_PROFILE_UNITS: Final = {
    "name": "text",
    "risk_fraction": "fraction of equity × capital_share",
    "capital_share": "fraction of the account's equity",
    "slippage": "fraction of the price",
    "targets": "[R, fraction of the quantity]",
    "after_first": "choice",
    "trail_atr": "atr14",
    "max_bars": "bars",
    "fresh_share": "fraction of the timeframe",
    "fresh_seconds": "seconds",
    "news_high": "minutes",
    "news_med": "minutes",
    "funding": "minutes",
    "funding_rate": "fraction of the notional",
    "triggers": "count",
    "cooldown_bars": "bars",
    "stop_guard_stops": "count",
    "stop_guard_hours": "hours",
    "stop_guard_lock_hours": "hours",
    "low_profit_r": "R",
    "low_profit_hours": "hours",
    "low_profit_lock_hours": "hours",
    "daily_drawdown": "fraction of equity",
    "total_drawdown": "fraction of equity",
    "max_positions": "count",
    "stop_atr": "atr14",
    "symbol_exposure": "multiple of equity",
    "direction_exposure": "multiple of equity",
    "portfolio_heat": "fraction of equity",
    "leverage": "multiple of equity",
    "reward": "multiple of the costs",
}

_ENGINE_UNITS: Final = {
    "shock_tr": "atr14",
    "shock_rank": "fraction",
    "trend_adx": "adx14",
    "range_adx": "adx14",
    "chop_rank": "fraction",
    "swing_mode": "choice",
    "pivot_n": "bars",
    "zigzag_k": "atr14",
    "eq_tol": "atr14",
    "fvg_min_atr": "atr14",
    "ob_lookback": "bars",
    "confluence_bars": "bars",
    "expiry_bars": "bars",
    "max_zones": "count",
    "max_inversions": "count",
    "retest_window": "bars",
    "retest_tol": "atr14",
    "rsi_long": "rsi14",
    "rsi_short": "rsi14",
    "tp_r": "R",
    "ttl_bars": "bars",
}

_HEAD: Final = """# Profiles and engine parameters, field by field

<!-- Written by `python -m docs.profiles` from the models: change those, and write it again. -->

Two sets of numbers decide what is traded. The **risk profile** says what one may risk: gates, sizes, targets, locks.
The **engine parameters** say what counts as a zone, a break, a signal ([concepts](concepts.md)). Both are refused as a
whole where one value is out of its bounds or of an unknown name.

A profile is a YAML file with the fields that differ from the default (`risk_fraction: 0.002`), or is changed for one
run: `--set profile.reward=2`, `--set engine.fvg_min_atr=0.2`. In Python both are models: `RiskProfile(reward=2.0)`,
`EngineParams(fvg_min_atr=0.2)`. How versions are kept, compared and made live: [parameters](parameters.md).

R is the distance from the entry that was asked for to the stop, whatever a gap made of the
fill. `atr14` and the other indicators are those of the bar that is looked at.
Fractions are written as such: 0.005 is half a percent. In YAML they need their point: `5e-1` is a text there, `0.5` a
number.
"""

_PROFILE_HEAD: Final = "## Risk profile\n\n`profile.…`; in Python `risk.RiskProfile`."

_PROFILE_TAIL: Final = """
Besides: targets ascend, and their shares sum to 1; a window of minutes begins at 0 or before and ends at 0 or after;
the least `stop_atr` is below the greatest; `slippage` is a whole number of parts per million; `risk_fraction` is at
most `portfolio_heat`, `daily_drawdown` at most `total_drawdown`, `symbol_exposure` at most `direction_exposure`.
"""

_SHIPPED_HEAD: Final = "### What the shipped profiles differ in"

_ENGINE_HEAD: Final = "## Engine parameters\n\n`engine.…`; in Python `engine.EngineParams`."

_ENGINE_TAIL: Final = """Besides: `range_adx` is at most `trend_adx`; bounds stand in their order; targets ascend."""


def page() -> str:
    """The page, as it should be."""
    parts = [
        _HEAD.rstrip(),
        _PROFILE_HEAD,
        _fields(RiskProfile, _PROFILE_UNITS),
        _PROFILE_TAIL.strip(),
        _SHIPPED_HEAD,
        _shipped(),
        _ENGINE_HEAD,
        _fields(EngineParams, _ENGINE_UNITS),
        _ENGINE_TAIL,
    ]
    return "\n\n".join(parts) + "\n"


def sentences(model: type[BaseModel]) -> dict[str, str]:
    """What a model's docstring says of each field."""
    told = re.search(r"Attributes:\n(.*?)\n\n", model.__doc__ or "", re.DOTALL)
    found: dict[str, str] = {}
    for line in (told[1] if told else "").split("\n"):
        if begun := re.fullmatch(r" {8}(\w+): (.*)", line):
            name = begun[1]
            found[name] = begun[2]
        else:
            found[name] += " " + line.strip()
    return {name: re.sub(r" \(section \w+\)", "", text).replace("None =", "`null` =") for name, text in found.items()}


def bounds(schema: Mapping[str, Any]) -> str:
    """What a JSON schema lets a value be, in words."""
    if "anyOf" in schema:
        return " or ".join(bounds(one) for one in schema["anyOf"])
    if schema.get("type") == "null":
        return "null"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "pattern" in schema:
        return f"`{schema['pattern']}`"
    if "prefixItems" in schema:
        each = [bounds(one) for one in schema["prefixItems"]]
        return f"two, {each[0]}" if len(set(each)) == 1 else f"[{'; '.join(each)}]"
    if "items" in schema:
        return f"{schema['minItems']} to {schema['maxItems']} of {bounds(schema['items'])}"
    return _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    exclusive = "exclusiveMinimum" in schema
    least = f"above {schema['exclusiveMinimum']:g}" if exclusive else f"{schema['minimum']:g}"
    if "exclusiveMaximum" in schema:
        return f"{least} to below {schema['exclusiveMaximum']:g}"
    if "maximum" in schema:
        return f"{least} to {schema['maximum']:g}"
    return least if exclusive else f"{least} or more"


def _fields(model: type[BaseModel], units: Mapping[str, str]) -> str:
    schema, told = model.model_json_schema()["properties"], sentences(model)
    rows = [
        (f"`{name}`", f"`{_value(field.default)}`", bounds(schema[name]), units[name], told[name])
        for name, field in model.model_fields.items()
    ]
    return _table(("field", "default", "may be", "unit", "what it is"), rows)


def _shipped() -> str:
    profiles = [shipped_profile(name) for name in SHIPPED]
    rows = []
    for name in RiskProfile.model_fields:
        values = [_value(getattr(profile, name)) for profile in profiles]
        if name != "name" and len(set(values)) > 1:
            rows.append((f"`{name}`", *(f"`{value}`" for value in values)))
    return _table(("field", *SHIPPED), rows)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{PAGE.name}\n")

"""What a result was made from, for the documents of runs and of walk-forwards.

Parameters are told with their values, each beside the one that is shipped: a hash names them, and tells nobody what
they are.

    run_of(config, series=keys, start=start, until=until, fingerprint=fingerprint)["parameters"]["profile"]
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine import ENGINE_VERSION, EngineParams
from risk import shipped_profile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import polars as pl

    from backtest.config import BacktestConfig
    from contracts import InstrumentKey, SeriesKey

# Of a profile, what is no number of it.
_NAME = "name"
UNNAMED: Mapping[str, str] = MappingProxyType({})
"""No parameters are kept."""


def run_of(
    config: BacktestConfig,
    *,
    series: Iterable[SeriesKey],
    start: datetime,
    until: datetime,
    fingerprint: str,
    versions: Mapping[str, str] = UNNAMED,
) -> dict[str, Any]:
    """What a result was made from.

    Args:
        config: What was asked.
        series: Whose bars were read.
        start: Open time of the first bar.
        until: End of the last.
        fingerprint: Of the result.
        versions: What parameters that are kept are called (`main@2`), by their hash.
    """
    keys = sorted(series)
    traded = [key for key in keys if config.trade is None or str(key.tf) in config.trade]
    instruments = sorted({key.instrument for key in keys})
    shipped = shipped_profile("default")
    return {
        "profile": config.profile.name,
        "profile_hash": config.profile.hash,
        "profile_version": versions.get(config.profile.hash),
        "capital": str(config.capital),
        "quote": sorted({versions[-1][1].quote for versions in config.rules.values()}),
        "series": list(map(str, keys)),
        "traded": list(map(str, traded)),
        "increments": {str(key): _increments(config, key) for key in instruments if key in config.rules},
        "from": instant(start),
        "to": instant(until),
        "sample_seconds": config.sample.total_seconds(),
        "dataset_id": config.dataset_id,
        "fingerprint": fingerprint,
        "config_hash": config.hash,
        "engine_version": ENGINE_VERSION,
        "engine_hash": config.params.hash,
        "params_version": versions.get(config.params.hash),
        "platform_version": metadata.version("tidemark"),
        "parameters": {
            "profile": _beside(config.profile.model_dump(mode="json"), shipped.model_dump(mode="json")),
            "engine": _beside(config.params.model_dump(mode="json"), EngineParams().model_dump(mode="json")),
        },
    }


def _increments(config: BacktestConfig, key: InstrumentKey) -> dict[str, str]:
    """The finest tick and lot that held, as texts: rules change."""
    rules = [rules for _, rules in config.rules[key]]
    finest = min(one.tick_size for one in rules), min(one.lot_size for one in rules)
    return {name: format(value.normalize(), "f") for name, value in zip(("tick", "lot"), finest, strict=True)}


def _beside(values: Mapping[str, Any], shipped: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: {"value": value, "default": shipped[name]} for name, value in values.items() if name != _NAME}


def iso(instants: pl.Series) -> list[str]:
    """Instants of a frame as the documents write them."""
    return instants.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_list()


def instant(at: datetime) -> str:
    """An instant as the documents write it."""
    return at.isoformat().replace("+00:00", "Z")

"""The numbers of a report as one JSON document, in the order in which the page shows them.

Invariant: the same result gives the same document, byte for byte: nothing tells when or where it was made. Numbers are
those of the result, unrounded; instants are ISO 8601 in UTC; what does not exist is null.

    document_of(result, findings=findings, intervals=intervals, monte_carlo=shuffled(…))["metrics"]["sharpe"]
"""

from __future__ import annotations

import math
from importlib import metadata
from typing import TYPE_CHECKING, Any

import polars as pl

from backtest.lints import Finding
from backtest.metrics import column
from backtest.report.breakdowns import distribution, groups, histogram, hours, months, refusals, years
from contracts import Timeframe
from engine import ENGINE_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backtest.bootstrap import Interval
    from backtest.report.outcome import NullPlace, Outcome

# Of the document's fields: raised when a reader of the last one would misread it.
DOCUMENT_VERSION = 1


def document_of(
    result: Outcome,
    *,
    findings: Sequence[Finding],
    intervals: Mapping[str, Interval],
    monte_carlo: pl.DataFrame,
    null: NullPlace | None = None,
    band: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Gather all numbers; see `backtest.report.build` for the arguments."""
    trades, equity, decisions = result.trades, result.equity, result.decisions
    capital = result.metrics.capital
    spans = sorted(trades["tf"].unique(), key=lambda tf: Timeframe(tf).us)
    document = {
        "version": DOCUMENT_VERSION,
        "warnings": [finding.to_dict() for finding in _warnings(null, findings)],
        "metrics": result.metrics.to_dict(),
        "intervals": {name: interval.to_dict() for name, interval in intervals.items()},
        "band": None if band is None else {"worst": band[0], "best": band[1]},
        "equity": {
            "ts": _iso(equity["ts"]),
            "equity": equity["equity"].to_list(),
            "drawdown": equity["drawdown"].to_list(),
        },
        "r": distribution(column(trades, "r")),
        "months": months(equity, capital=capital),
        "years": years(equity, capital=capital),
        "hours": hours(trades),
        "groups": {
            **{name: groups(trades, name) for name in ("regime", "zone_strength")},
            # The same symbol at two venues is two instruments.
            "symbol": groups(trades.with_columns(instrument=pl.format("{}:{}", "venue", "symbol")), "instrument"),
            "side": groups(trades, "side"),
            "timeframe": groups(trades, "tf", order=spans),
        },
        "decisions": {
            "evaluated": decisions.height,
            "placed": int(decisions["reason"].null_count()),
            "refusals": refusals(decisions),
        },
        "monte_carlo": monte_carlo.to_dicts(),
        "null": _null(null),
        "trades": _columns(trades),
        "assumptions": list(result.assumptions),
        "run": _run(result),
    }
    return {name: _finite(value) for name, value in document.items()}


def _finite(value: Any) -> Any:  # noqa: ANN401 - whatever JSON takes
    """The same without NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return value


def _run(result: Outcome) -> dict[str, Any]:
    config = result.config
    return {
        "profile": config.profile.name,
        "profile_hash": config.profile.hash,
        "capital": str(config.capital),
        "quote": sorted({versions[-1][1].quote for versions in config.rules.values()}),
        "series": sorted(str(key) for key in result.written.keys),
        "from": _instant(result.start),
        "to": _instant(result.until),
        "dataset_id": config.dataset_id,
        "fingerprint": result.fingerprint,
        "config_hash": config.hash,
        "engine_version": ENGINE_VERSION,
        "platform_version": metadata.version("tidemark"),
    }


def _warnings(null: NullPlace | None, findings: Sequence[Finding]) -> list[Finding]:
    """The findings, before them a null-market gate that is not passed, after them one that was not tried."""
    if null is None:
        text = (
            "This result was not held against markets in which there is nothing to win. Run the null-market gate "
            "before believing it."
        )
        return [*findings, Finding(code="null_market_unknown", severity="warning", text=text, value=0.0, limit=1.0)]
    if null.passed:
        return [*findings]
    text = (
        f"The null-market gate is not passed: {null.as_good} of {len(null.surrogates)} surrogate markets, in which "
        f"there is nothing to win, did as well in {null.statistic}. Such a result comes by luck with a chance of "
        f"{null.chance:.1%}, more than {null.tail:.0%}. Do not trade it."
    )
    gate = Finding(code="null_market", severity="severe", text=text, value=null.chance, limit=null.tail)
    return [gate, *findings]


def _null(null: NullPlace | None) -> dict[str, Any] | None:
    if null is None:
        return None
    return {
        "statistic": null.statistic,
        "value": null.value,
        "tail": null.tail,
        "as_good": null.as_good,
        "chance": null.chance,
        "passed": null.passed,
        "surrogates": sorted(null.surrogates),
        "histogram": histogram(null.surrogates),
    }


def _columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    return {
        name: _iso(values) if values.dtype.is_temporal() else values.to_list()
        for name, values in zip(frame.columns, frame.get_columns(), strict=True)
    }


def _iso(instants: pl.Series) -> list[str]:
    return instants.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_list()


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")

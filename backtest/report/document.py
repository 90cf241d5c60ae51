"""The numbers of a report as one JSON document, in the order in which the page shows them.

Invariant: the same result gives the same document, byte for byte: nothing tells when or where it was made. Numbers are
those of the result, unrounded; instants are ISO 8601 in UTC; what does not exist is null.

    document_of(result, findings=findings, intervals=intervals, monte_carlo=shuffled(…))["metrics"]["sharpe"]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from backtest.lints import Finding
from backtest.metrics import column
from backtest.report.breakdowns import decided, distribution, exits, groups, histogram, hours, months, years
from backtest.report.made_from import UNNAMED, iso, run_of
from contracts import Timeframe
from venues.fills.records import EXIT_REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backtest.benchmark import Holding
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
    benchmark: Holding | None = None,
    versions: Mapping[str, str] = UNNAMED,
) -> dict[str, Any]:
    """Gather all numbers; see `backtest.report.build` for the arguments."""
    equity, trades = result.equity, told_in_full(result)
    capital = result.metrics.capital
    document = {
        "version": DOCUMENT_VERSION,
        "warnings": [finding.to_dict() for finding in _warnings(null, findings)],
        "metrics": result.metrics.to_dict(),
        "intervals": {name: interval.to_dict() for name, interval in intervals.items()},
        "band": None if band is None else {"worst": band[0], "best": band[1], "bars": int(trades["guesses"].sum())},
        "equity": {
            "ts": iso(equity["ts"]),
            "equity": equity["equity"].to_list(),
            "drawdown": equity["drawdown"].to_list(),
        },
        "drawdowns": _drawdowns(result, intervals, monte_carlo),
        "benchmark": None if benchmark is None else _benchmark(benchmark),
        "r": distribution(column(trades, "r")),
        "months": months(equity, capital=capital),
        "years": years(equity, capital=capital),
        "hours": hours(trades),
        "groups": _groups(trades),
        "decisions": decided(result.decisions),
        "monte_carlo": monte_carlo.to_dicts(),
        "null": _null(null),
        "trades": _columns(trades),
        "assumptions": list(result.assumptions),
        "run": run_of(
            result.config,
            series=result.written.keys,
            start=result.start,
            until=result.until,
            fingerprint=result.fingerprint,
            versions=versions,
        ),
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


def told_in_full(result: Outcome) -> pl.DataFrame:
    """The trades of a result, with how each was left (`breakdowns.exits`) and the zone it stood in."""
    zones = result.zones.select(pl.col("trade_id").cast(pl.Int64), pl.exclude("trade_id"))
    trades = result.trades.with_columns(exits(result.trades, result.fills))
    return trades.join(zones, on="trade_id", how="left", maintain_order="left")


def _groups(trades: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    left = trades.select("exit_reason", "targets_taken", "left_by").unique().rows()
    reasons = {reason: place for place, reason in enumerate(EXIT_REASONS)}
    ways = [way for *_, way in sorted(left, key=lambda one: (reasons.get(one[0], len(reasons)), one))]
    spans = sorted(trades["tf"].unique(), key=lambda tf: Timeframe(tf).us)
    # The same symbol at two venues is two instruments.
    named = trades.with_columns(instrument=pl.format("{}:{}", "venue", "symbol"))
    return {
        "zone_kind": groups(trades, "zone_kind"),
        "zone_strength": groups(trades, "zone_strength"),
        "regime": groups(trades, "regime"),
        "exit": groups(trades, "left_by", order=ways),
        "symbol": groups(named, "instrument"),
        "timeframe": groups(trades, "tf", order=spans),
        "side": groups(trades, "side"),
    }


def _drawdowns(
    result: Outcome, intervals: Mapping[str, Interval], monte_carlo: pl.DataFrame
) -> dict[str, float | None]:
    """The deepest drawdown by when one looks: the more often, the deeper it is."""
    days, orders = intervals.get("max_drawdown"), monte_carlo.filter(pl.col("method") == "actual")
    return {
        "bars": result.metrics.max_drawdown,
        "samples": float(column(result.equity, "drawdown").max()) if result.equity.height else None,
        "days": None if days is None else days.value,
        "trades": float(orders["max_drawdown"][0]) if orders.height else None,
    }


def _benchmark(held: Holding) -> dict[str, Any]:
    return {
        "instruments": list(map(str, held.instruments)),
        "net_pnl": held.net_pnl,
        "total_return": held.total_return,
        "max_drawdown": held.max_drawdown,
        "sharpe": held.sharpe,
        "equity": held.curve["equity"].to_list(),
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
    gate = Finding(code="null_market", severity="severe", text=null.verdict, value=null.chance, limit=null.tail)
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
        name: iso(values) if values.dtype.is_temporal() else values.to_list()
        for name, values in zip(frame.columns, frame.get_columns(), strict=True)
    }

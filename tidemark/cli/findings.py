"""What the commands of research print of their results: tables and the sentences below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tidemark.cli import console

if TYPE_CHECKING:
    from pathlib import Path

    from assets.walk_forwards import Kept
    from backtest.comparison import Pair
    from backtest.examination import Examination
    from backtest.sweep import SweepResult
    from backtest.walk_forward import WalkForward
    from tidemark.research import Done


def tell(done: Done) -> None:
    """Print what came of a backtest: what speaks against it first."""
    # Imported here: what prints anything else does not need it.
    from backtest.report.breakdowns import decided
    from backtest.report.headline import why_idle

    found = done.found
    _warn(done.warnings)
    if found.result.metrics.trades:
        console.out.print(_metrics(found))
    else:
        console.out.print(why_idle(decided(found.result.decisions)), markup=False, soft_wrap=True)
    if found.null is not None and found.null.passed:
        console.out.print(found.null.verdict, markup=False, soft_wrap=True)
    console.out.print(f"profile {done.profile}, engine {done.engine}", markup=False, soft_wrap=True)
    console.out.print(f"fingerprint {found.result.fingerprint}", soft_wrap=True)
    console.out.print(f"report {done.page}", soft_wrap=True)
    if not done.is_new:
        console.say(f"run {done.run_id} was on record already, with this very result")


def compare(done: Mapping[str, Done], folder: Path) -> None:
    """Print how two or more profiles did against each other, day by day, and write the page of it."""
    from backtest import comparison

    found = comparison.compare({label: one.found.result for label, one in done.items()})
    page, _ = found.write(folder / "-".join(one.run_id[:8] for one in done.values()))
    for pair in found.pairs:
        ahead = f"{pair.first} did better on {percent(pair.better)} of {pair.days.count} days, {pair.second} on "
        console.out.print(f"{ahead}{percent(pair.worse)}: {_verdict(pair)}", soft_wrap=True)
    console.out.print(f"comparison {page}", soft_wrap=True)


def _verdict(pair: Pair) -> str:
    return "chance would seldom do that" if pair.significant else "chance does as much"


def _metrics(found: Examination) -> Table:
    metrics = found.result.metrics
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("name")
    table.add_column("value", justify="right")
    ranges = found.ranges
    rows: Mapping[str, str] = {
        "trades": str(metrics.trades),
        "win rate": percent(metrics.win_rate),
        "expectancy, R": _ranged(metrics.expectancy_r, ranges["expectancy_r"]),
        "profit factor": _ranged(metrics.profit_factor, ranges["profit_factor"]),
        "return": percent(metrics.total_return),
        "Sharpe": _ranged(metrics.sharpe, ranges["sharpe"]),
        "Sortino": number(metrics.sortino),
        "deepest drawdown": percent(metrics.max_drawdown),
        "exposure": percent(metrics.exposure),
        "fees": number(metrics.fees),
        "funding": number(metrics.funding),
        "net result, worst to best": f"{number(found.band[0])} … {number(found.band[1])}",
        "decisions": f"{found.result.decisions.height:,}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _ranged(value: float | None, interval: Any) -> str:  # noqa: ANN401 - backtest.bootstrap.Interval, not imported here
    if value is None:
        return number(None)
    return f"{number(value)}  [{number(interval.low)}, {number(interval.high)}]"


def number(value: float | None) -> str:
    """A number with two decimals; – = not defined."""
    return "–" if value is None else _unsigned_zero(f"{value:,.2f}")


def percent(value: float | None) -> str:
    """A fraction as a percentage; – = not defined."""
    return "–" if value is None else _unsigned_zero(f"{value:.1%}")


def _unsigned_zero(text: str) -> str:
    """A number as text; what is shown as 0 has no sign."""
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


def tell_sweep(found: SweepResult) -> None:
    """Print the best sets of a study, and what the best is worth after so many looks."""
    table = Table(box=None, pad_edge=False)
    table.add_column("parameters")
    for name in ("Sharpe", "trades", "return", "deepest drawdown"):
        table.add_column(name, justify="right")
    best = sorted(found.trials, key=lambda trial: -1e9 if trial.sharpe is None else -trial.sharpe)
    scored = [trial for trial in best if trial.sharpe is not None][:10]
    for trial in scored:
        table.add_row(
            ", ".join(f"{name}={value}" for name, value in trial.params.items()),
            number(trial.sharpe),
            str(trial.metrics["trades"]),
            percent(trial.metrics["total_return"]),
            percent(trial.metrics["max_drawdown"]),
        )
    console.out.print(table)
    console.out.print(_counted(found), markup=False, soft_wrap=True)
    for name, told in _WORTH.items():
        value = getattr(found, name)
        chance = getattr(value, "probability", value)
        text = f"{told}: not told, {found.missing[name]}" if chance is None else f"{told}: {percent(chance)}"
        console.out.print(text, markup=False, soft_wrap=True)
    if found.refused:
        text = f"{len(found.refused)} draws were sets that cannot be, the first of them: {found.refused[0]}"
        console.out.print(text, markup=False, soft_wrap=True)


_WORTH = {
    "deflated_sharpe": "probability that the best has skill, after so many looks",
    "overfitting": "probability that choosing the best by the past chooses badly",
}


def _counted(found: SweepResult) -> str:
    count = len(found.trials) + found.others
    if count == 1:
        return f"1 trial of study {found.study}, {'evaluated now' if found.evaluated else 'known before'}"
    text = f"{count} trials of study {found.study}, {found.evaluated} of them now"
    if found.others:
        text += f"; {found.others} are of another engine version or other bars: they count, and are not chosen from"
    return text


def tell_folds(found: WalkForward, kept: Kept) -> None:
    """Print a walk-forward: what speaks against it, each fold, and its verdict."""
    _warn(kept.report.json["warnings"])
    varied = [name for name, values in found.space.items() if len(values) > 1]
    columns = ("test window", *(("chosen",) if varied else ()), "Sharpe before", "Sharpe in it", "trades", "return")
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in {"test window", "chosen"} else "right")
    for fold in found.folds:
        metrics = fold.tested.metrics
        table.add_row(
            f"{fold.window.test_from:%Y-%m-%d} – {fold.window.test_to:%Y-%m-%d}",
            *((", ".join(f"{name}={fold.chosen[name]}" for name in varied),) if varied else ()),
            number(fold.trained.sharpe),
            number(metrics.sharpe),
            str(metrics.trades),
            percent(metrics.total_return),
        )
    console.out.print(table)
    console.out.print(f"walk-forward {kept.walk.run_id}: {found.verdict}", markup=False, soft_wrap=True)
    console.out.print(f"report {kept.page}", soft_wrap=True)
    if not kept.is_new:
        console.say(f"walk-forward {kept.walk.run_id} was on record already, with this very result")


def _warn(warnings: Sequence[Mapping[str, Any]]) -> None:
    for one in warnings:
        console.out.print(f"{one['severity']}: {one['text']}", markup=False, soft_wrap=True)

"""`tidemark report`: the backtests and walk-forwards on record, and their pages."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from contracts import Rejected
from tidemark.cli import console
from tidemark.cli.findings import number, percent
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from store.research import BacktestRun
    from store.walk_forwards import WalkForward

app = typer.Typer(help="Reports of backtests and walk-forwards that are on record.", no_args_is_help=True)

_FIRST = ("profile", "engine", "market", "traded", "from – to")
_MOST_SYMBOLS = 3
_ID = 12
"""Characters of a run's name that are shown: `open` takes the begin of one."""


@app.command("list")
def list_reports() -> None:
    """What is on record, the newest last."""
    from assets.parameters import names_of
    from store.connections import connect
    from store.research import read_runs
    from store.walk_forwards import read_walk_forwards

    with connect(_url(), application_name="tidemark report") as conn:
        names, runs, walks = names_of(conn), read_runs(conn), read_walk_forwards(conn)
    if not runs and not walks:
        console.out.print("nothing is on record yet: `tidemark backtest` makes the first report", markup=False)
        return
    if runs:
        console.out.print(_runs(runs, names))
    if walks:
        console.out.print(_walks(walks, names))


@app.command("open")
def open_report(
    run: Annotated[str | None, typer.Argument(help="Begin of the run's name. Default: the newest.")] = None,
) -> None:
    """Open the page of a backtest or a walk-forward in the browser, and print where it is."""
    from store.connections import connect
    from store.research import read_runs
    from store.walk_forwards import read_walk_forwards

    with connect(_url(), application_name="tidemark report") as conn:
        kept: list[BacktestRun | WalkForward] = [*read_runs(conn), *read_walk_forwards(conn)]
    kept.sort(key=lambda one: one.created_at)
    found = {one.run_id: one for one in kept if one.report_path and (run is None or one.run_id.startswith(run))}
    if not found:
        msg = "there is no report yet: run `tidemark backtest` first" if run is None else f"there is no report of {run}"
        raise Rejected(msg)
    if run is not None and len(found) > 1:
        msg = f"{run} is the begin of {len(found)} names: {', '.join(found)}"
        raise Rejected(msg)
    *_, newest = found.values()
    page = Path(str(newest.report_path))
    if not page.is_file():
        msg = f"the report of {newest.run_id} is on record at {page} and is not there: run the same command again"
        raise Rejected(msg)
    console.out.print(str(page), soft_wrap=True)
    webbrowser.open(page.resolve().as_uri())


def _runs(runs: Iterable[BacktestRun], names: Mapping[str, str]) -> Table:
    from assets.parameters import engine_called, profile_called

    table = _table("backtest", *_FIRST, numbers=("capital", "trades", "return", "Sharpe"))
    for run in runs:
        table.add_row(
            run.run_id[:_ID],
            profile_called(run.profile, run.profile_hash, names),
            engine_called(run.param_set, names),
            *_market(run, run.config),
            str(run.config["capital"]),
            str(run.metrics["trades"]),
            percent(run.metrics["total_return"]),
            number(run.metrics["sharpe"]),
            f"{run.created_at:%Y-%m-%d %H:%M}",
        )
    return table


def _walks(walks: Iterable[WalkForward], names: Mapping[str, str]) -> Table:
    from assets.parameters import engine_called, profile_called

    table = _table("walk-forward", *_FIRST, numbers=("folds", "return", "Sharpe", "passed"))
    for walk in walks:
        profile = "chosen" if walk.profile_hash is None else profile_called(walk.profile, walk.profile_hash, names)
        table.add_row(
            walk.run_id[:_ID],
            profile,
            "chosen" if walk.param_set is None else engine_called(walk.param_set, names),
            *_market(walk, walk.config["backtest"]),
            str(walk.metrics["folds"]),
            percent(walk.metrics["total_return"]),
            number(walk.metrics["sharpe"]),
            "yes" if walk.passed else "no",
            f"{walk.created_at:%Y-%m-%d %H:%M}",
        )
    return table


def _table(*words: str, numbers: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("made (UTC)", no_wrap=True)
    return table


def _market(one: BacktestRun | WalkForward, config: Mapping[str, object]) -> tuple[str, str, str]:
    """Instruments, traded timeframes, first and last day."""
    venues = sorted({key.venue for key in one.series})
    symbols = sorted({key.symbol for key in one.series})
    more = f" +{len(symbols) - _MOST_SYMBOLS}" if len(symbols) > _MOST_SYMBOLS else ""
    traded = config.get("trade")
    return (
        f"{'+'.join(venues)}:{','.join(symbols[:_MOST_SYMBOLS])}{more}",
        ",".join(map(str, traded)) if isinstance(traded, list | tuple) else "all",
        f"{one.from_ts:%Y-%m-%d} – {one.to_ts:%Y-%m-%d}",
    )


def _url() -> str:
    return Installation(load_settings()).url_of_running(BATCH)

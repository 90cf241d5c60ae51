"""`tidemark backtest`, `walkforward`, `sweep` and `report`: what the rules would have made of what is stored."""

from __future__ import annotations

import json
import os
import webbrowser
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from contracts import InstrumentKey, Rejected
from tidemark.cli import console
from tidemark.cli.backfill import instant, split
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from backtest.comparison import Pair
    from backtest.examination import Examination
    from backtest.sweep import SweepResult
    from backtest.walk_forward import WalkForward
    from tidemark.research import Asked, Done

report_app = typer.Typer(help="Reports of backtests that are on record.", no_args_is_help=True)

_YEAR = timedelta(days=365)

Symbols = Annotated[str, typer.Option(help="Symbols, separated by commas: BTCUSDT,ETHUSDT. They share one capital.")]
Timeframes = Annotated[str, typer.Option(help="Timeframes whose signals are traded, separated by commas.")]
Venue = Annotated[str, typer.Option(help="binance_spot or binance_usdm.")]
Start = Annotated[str | None, typer.Option("--from", help="First month, day or time. Default: a year before the end.")]
End = Annotated[str | None, typer.Option("--to", help="First time not wanted. Default: now.")]
Profiles = Annotated[
    str, typer.Option("--profile", help="As for `sweep`; several, separated by commas, are compared day by day.")
]
ProfileName = Annotated[str, typer.Option(help="Risk profile: conservative, default, aggressive, or a YAML file.")]
Capital = Annotated[str, typer.Option(help="Capital at the start, in quote units.")]
Processes = Annotated[int, typer.Option(min=1, max=64, help="How many processes work.")]
Setting = Annotated[
    list[str] | None, typer.Option("--set", help="Set a parameter: profile.reward=2 or engine.fvg_min_atr=0.2.")
]
Grid = Annotated[
    list[str], typer.Option("--grid", help="Values of a parameter, separated by commas: profile.reward=2,3,4.")
]

_CORES = min(2, os.cpu_count() or 1)


def backtest(
    symbols: Symbols,
    timeframes: Timeframes = "15m",
    venue: Venue = "binance_spot",
    start: Start = None,
    end: End = None,
    profile: Profiles = "default",
    capital: Capital = "10000",
    settings: Setting = None,
    surrogates: Annotated[
        int, typer.Option(min=0, max=1000, help="Surrogate markets the result is held against; 0 = none.")
    ] = 100,
    processes: Processes = _CORES,
) -> None:
    """Trade the stored signals of some symbols with one capital, and write a report.

    Everything that speaks against the result is looked for: luck among surrogate markets, few trades, what no bar
    could tell. The same command on the same candles gives the same fingerprint.
    """
    from tidemark.research import REPORTS, config_of, inputs_of, profile_of
    from tidemark.research import backtest as run

    chosen = [profile_of(name) for name in split(profile)]
    asked = _asked(venue, symbols, timeframes, start, end, capital, settings)
    url, folder = _url(), load_settings().home / REPORTS
    with console.step("reading candles"):
        inputs = inputs_of(asked, url)
        configs = [config_of(inputs, asked, one) for one in chosen]
    all_done = []
    for config in configs:
        label = f"surrogate markets of {config.profile.name}"
        with console.bars() as bars:
            done = run(
                inputs,
                config,
                url=url,
                folder=folder,
                surrogates=surrogates,
                processes=processes,
                told=lambda count, total, label=label, bars=bars: bars(label, count, total),  # type: ignore[misc] # bound
            )
        if len(configs) > 1:
            console.out.print(f"\n{config.profile.name}")
        _tell(done)
        all_done.append(done)
    if len(all_done) > 1:
        _compare(all_done, folder)


def sweep(
    symbols: Symbols,
    grid: Grid,
    study: Annotated[str, typer.Option(help="Name the trials are remembered under.")],
    timeframes: Timeframes = "15m",
    venue: Venue = "binance_spot",
    start: Start = None,
    end: End = None,
    profile: ProfileName = "default",
    capital: Capital = "10000",
    draws: Annotated[
        int | None, typer.Option(min=1, help="How many sets a search looks at. Default: the whole grid.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    processes: Processes = _CORES,
) -> None:
    """Try many parameter sets; each is remembered, and counts when the best of them is judged.

    A sweep that was interrupted goes on where it stopped.
    """
    from assets.trial_sink import StoredTrials
    from backtest.sweep import sweep as look
    from store.connections import connect
    from tidemark.research import config_of, inputs_of, profile_of

    space = _space(grid)
    asked = _asked(venue, symbols, timeframes, start, end, capital, None)
    url = _url()
    with console.step("reading candles"):
        inputs = inputs_of(asked, url)
        config = config_of(inputs, asked, profile_of(profile))
    with console.bars() as bars, connect(url, application_name="tidemark sweep") as conn:
        found = look(
            inputs.bars,
            config,
            space,
            study=study,
            sink=StoredTrials(conn, dataset_id=inputs.dataset_id),
            processes=processes,
            draws=draws,
            seed=seed,
            told=lambda count, total: bars("parameter sets", count, total),
        )
    _tell_sweep(found)


def walkforward(
    symbols: Symbols,
    timeframes: Timeframes = "15m",
    venue: Venue = "binance_spot",
    start: Start = None,
    end: End = None,
    profile: ProfileName = "default",
    capital: Capital = "10000",
    grid: Annotated[
        list[str] | None, typer.Option("--grid", help="Values to choose from: profile.reward=2,3. Default: no choice.")
    ] = None,
    train: Annotated[int, typer.Option(min=1, help="Days of a training window.")] = 90,
    test: Annotated[int, typer.Option(min=1, help="Days of a test window.")] = 30,
    anchored: Annotated[bool, typer.Option("--anchored", help="Train from the first candle on.")] = False,
    purge: Annotated[int, typer.Option(min=0, help="Hours cut off the end of a training window.")] = 24,
    embargo: Annotated[int, typer.Option(min=0, help="Hours between training and test.")] = 0,
) -> None:
    """Choose parameters on the past and measure them on what came next, over and over; the folds are kept.

    Without --grid the profile as it is goes through the windows: what `tidemark params promote` asks for.
    """
    from assets.walk_forwards import Asked as WalkAsked
    from assets.walk_forwards import folds_of, row_of
    from backtest.walk_forward import Scheme
    from store.connections import connect
    from store.walk_forwards import write_folds
    from tidemark.research import config_of, inputs_of, profile_of

    scheme = Scheme(
        train=timedelta(days=train),
        test=timedelta(days=test),
        anchored=anchored,
        purge=timedelta(hours=purge),
        embargo=timedelta(hours=embargo),
    )
    chosen = profile_of(profile)
    space = _space(grid) if grid else {"profile.risk_fraction": [chosen.risk_fraction]}
    asked = _asked(venue, symbols, timeframes, start, end, capital, None)
    url = _url()
    with console.step("reading candles"):
        inputs = inputs_of(asked, url)
        config = config_of(inputs, asked, chosen)
    walk = WalkAsked.of(inputs, config, space, scheme=scheme)
    with console.bars() as bars, connect(url, application_name="tidemark walkforward") as conn:
        found = walk.walked(conn, told=lambda count, total: bars("folds", count, total))
        write_folds(conn, row_of(walk, found, at=datetime.now(UTC)), folds_of(walk, found))
    _tell_folds(found, walk.run_id)


@report_app.command("list")
def list_reports() -> None:
    """The backtests on record, the newest last."""
    from store.connections import connect
    from store.research import read_runs

    table = Table(box=None, pad_edge=False)
    for name in ("run", "profile", "symbols", "from", "to", "trades", "return", "Sharpe", "fingerprint"):
        table.add_column(name, justify="right" if name in {"trades", "return", "Sharpe"} else "left")
    with connect(_url(), application_name="tidemark report") as conn:
        for run in read_runs(conn):
            table.add_row(
                run.run_id,
                run.profile,
                ",".join(sorted({key.symbol for key in run.series})),
                f"{run.from_ts:%Y-%m-%d}",
                f"{run.to_ts:%Y-%m-%d}",
                str(run.metrics["trades"]),
                _percent(run.metrics["total_return"]),
                _number(run.metrics["sharpe"]),
                run.fingerprint[:12],
            )
    console.out.print(table)


@report_app.command("open")
def open_report(
    run: Annotated[str | None, typer.Argument(help="Begin of the run's name. Default: the newest.")] = None,
) -> None:
    """Open the page of a backtest in the browser, and print where it is."""
    from store.connections import connect
    from store.research import read_runs

    with connect(_url(), application_name="tidemark report") as conn:
        runs = [one for one in read_runs(conn) if one.report_path and (run is None or one.run_id.startswith(run))]
    if not runs:
        msg = "there is no report yet: run `tidemark backtest` first" if run is None else f"there is no report of {run}"
        raise Rejected(msg)
    if run is not None and len({one.run_id for one in runs}) > 1:
        msg = f"{run} is the begin of {len(runs)} names: {', '.join(one.run_id for one in runs)}"
        raise Rejected(msg)
    page = Path(str(runs[-1].report_path))
    if not page.is_file():
        msg = f"the report of {runs[-1].run_id} is on record at {page} and is not there: run the backtest again"
        raise Rejected(msg)
    console.out.print(str(page), soft_wrap=True)
    webbrowser.open(page.resolve().as_uri())


def _asked(
    venue: str,
    symbols: str,
    timeframes: str,
    start: str | None,
    end: str | None,
    capital: str,
    settings: Sequence[str] | None,
) -> Asked:
    from tidemark.research import Asked

    try:
        keys = [
            InstrumentKey(venue, symbol).series(tf) for symbol in split(symbols.upper()) for tf in split(timeframes)
        ]
        money = Decimal(capital)
    except (ValueError, InvalidOperation) as error:
        msg = f"--capital {capital} is no number" if isinstance(error, InvalidOperation) else str(error)
        raise typer.BadParameter(msg) from error
    if not keys:
        msg = "at least one symbol and one timeframe are needed"
        raise typer.BadParameter(msg)
    last = datetime.now(UTC) if end is None else instant(end, "--to")
    first = last - _YEAR if start is None else instant(start, "--from")
    if first >= last:
        msg = f"--from {first:%Y-%m-%d} is not before --to {last:%Y-%m-%d}: nothing lies between them"
        raise Rejected(msg)
    params = {name: values[0] for name, values in _space(settings or ()).items()}
    return Asked(keys, first, last, money, params)


def _space(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Values by parameter: each text is `name=value,value`."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values or name in found:
            msg = f"{text!r}: a parameter is given once, as name=value or name=value,value"
            raise typer.BadParameter(msg)
        found[name] = [_value(one) for one in values.split(",")]
    return found


def _value(text: str) -> Any:  # noqa: ANN401 - a number, a flag or a word
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _url() -> str:
    return Installation(load_settings()).url_of_running(BATCH)


def _tell(done: Done) -> None:
    found = done.found
    for finding in found.findings:
        console.say(f"{finding.severity}: {finding.text}")
    console.out.print(_metrics(found))
    console.out.print(_place(found), markup=False, soft_wrap=True)
    console.out.print(f"fingerprint {found.result.fingerprint}", soft_wrap=True)
    console.out.print(f"report {done.page}", soft_wrap=True)
    if not done.is_new:
        console.say(f"run {done.run_id} was on record already, with this very result")


def _compare(done: Sequence[Done], folder: Path) -> None:
    """Two or more profiles side by side, day by day."""
    from backtest.comparison import compare

    found = compare({one.found.result.config.profile.name: one.found.result for one in done})
    page, _ = found.write(folder / "-".join(one.run_id[:8] for one in done))
    for pair in found.pairs:
        ahead = f"{pair.first} did better on {_percent(pair.better)} of {pair.days.count} days, {pair.second} on "
        console.out.print(f"{ahead}{_percent(pair.worse)}: {_verdict(pair)}", soft_wrap=True)
    console.out.print(f"comparison {page}", soft_wrap=True)


def _verdict(pair: Pair) -> str:
    return "chance would seldom do that" if pair.significant else "chance does as much"


def _place(found: Examination) -> str:
    null = found.null
    if null is None:
        return "not held against surrogate markets: nobody knows whether this is luck"
    share = f"{null.as_good} of {len(null.surrogates)} surrogate markets gave as much or more"
    return f"{share}: this is what luck gives" if not null.passed else share


def _metrics(found: Examination) -> Table:
    metrics = found.result.metrics
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("name")
    table.add_column("value", justify="right")
    ranges = found.ranges
    rows: Mapping[str, str] = {
        "trades": str(metrics.trades),
        "win rate": _percent(metrics.win_rate),
        "expectancy, R": _ranged(metrics.expectancy_r, ranges["expectancy_r"]),
        "profit factor": _ranged(metrics.profit_factor, ranges["profit_factor"]),
        "return": _percent(metrics.total_return),
        "Sharpe": _ranged(metrics.sharpe, ranges["sharpe"]),
        "Sortino": _number(metrics.sortino),
        "deepest drawdown": _percent(metrics.max_drawdown),
        "exposure": _percent(metrics.exposure),
        "fees": _number(metrics.fees),
        "funding": _number(metrics.funding),
        "net result, worst to best": f"{found.band[0]:,.2f} … {found.band[1]:,.2f}",
        "decisions": f"{found.result.decisions.height:,}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _ranged(value: float | None, interval: Any) -> str:  # noqa: ANN401 - backtest.bootstrap.Interval, not imported here
    return f"{_number(value)}  [{_number(interval.low)}, {_number(interval.high)}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _tell_sweep(found: SweepResult) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("parameters")
    for name in ("Sharpe", "trades", "return", "deepest drawdown"):
        table.add_column(name, justify="right")
    best = sorted(found.trials, key=lambda trial: -1e9 if trial.sharpe is None else -trial.sharpe)
    scored = [trial for trial in best if trial.sharpe is not None][:10]
    for trial in scored:
        table.add_row(
            ", ".join(f"{name}={value}" for name, value in trial.params.items()),
            _number(trial.sharpe),
            str(trial.metrics["trades"]),
            _percent(trial.metrics["total_return"]),
            _percent(trial.metrics["max_drawdown"]),
        )
    console.out.print(table)
    counted = f"{len(found.trials)} trials of study {found.study}, {found.evaluated} of them now"
    console.out.print(counted, soft_wrap=True)
    if found.deflated_sharpe is not None:
        text = f"probability that the best has skill, after so many looks: {_percent(found.deflated_sharpe)}"
        console.out.print(text, soft_wrap=True)
    if found.overfitting is not None:
        chance = _percent(found.overfitting.probability)
        console.out.print(f"probability that choosing the best by the past chooses badly: {chance}", soft_wrap=True)


def _tell_folds(found: WalkForward, name: str) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("test window", "chosen", "Sharpe before", "Sharpe in it", "trades", "return"):
        table.add_column(column, justify="left" if column in {"test window", "chosen"} else "right")
    for fold in found.folds:
        metrics = fold.tested.metrics
        table.add_row(
            f"{fold.window.test_from:%Y-%m-%d} – {fold.window.test_to:%Y-%m-%d}",
            ", ".join(f"{key}={value}" for key, value in fold.chosen.items()),
            _number(fold.trained.sharpe),
            _number(metrics.sharpe),
            str(metrics.trades),
            _percent(metrics.total_return),
        )
    console.out.print(table)
    verdict = "passed" if found.passed else "not passed"
    told = f"walk-forward {name}: {verdict}; return {_percent(found.total_return)}, Sharpe {_number(found.sharpe)}"
    console.out.print(told, soft_wrap=True)

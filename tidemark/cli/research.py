"""`tidemark backtest`, `walkforward` and `sweep`: what the rules would have made of what is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts import InstrumentKey, Rejected
from tidemark.cli import console, findings
from tidemark.cli.backfill import instant, split
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from risk import RiskProfile
    from tidemark.research import Asked

_YEAR = timedelta(days=365)
_LONGEST_DAYS = 36_500
_LARGEST_SEED = 2**32 - 1

Symbols = Annotated[str, typer.Option(help="Symbols, separated by commas: BTCUSDT,ETHUSDT. They share one capital.")]
Timeframes = Annotated[str, typer.Option(help="Timeframes whose signals are traded, separated by commas.")]
Venue = Annotated[str, typer.Option(help="binance_spot or binance_usdm.")]
Start = Annotated[str | None, typer.Option("--from", help="First month, day or time. Default: a year before the end.")]
End = Annotated[str | None, typer.Option("--to", help="First time not wanted. Default: now.")]
Profiles = Annotated[
    str, typer.Option("--profile", help="As for `sweep`; several, separated by commas, are compared day by day.")
]
ProfileName = Annotated[
    str, typer.Option(help="Risk profile: conservative, default, aggressive, a kept NAME@VERSION, or a YAML file.")
]
Engine = Annotated[str, typer.Option(help="Engine parameters: default, or a kept NAME@VERSION.")]
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
    engine: Engine = "default",
    capital: Capital = "10000",
    settings: Setting = None,
    surrogates: Annotated[
        int, typer.Option(min=0, max=1000, help="Surrogate markets the result is held against; 0 = none.")
    ] = 100,
    processes: Processes = _CORES,
) -> None:
    """Trade the signals of stored candles with one capital, and write a report.

    Everything that speaks against the result is looked for: luck among surrogate markets, few trades, what no bar
    could tell. The same command on the same candles gives the same fingerprint.
    """
    from tidemark.research import REPORTS, config_of, inputs_of, profile_of
    from tidemark.research import backtest as run

    url, folder = _url(), load_settings().home / REPORTS
    chosen = _labelled([(name, profile_of(name, url)) for name in split(profile)])
    asked = _asked(venue, symbols, timeframes, start, end, engine, capital, settings)
    with console.step("reading candles"):
        inputs = inputs_of(asked, url)
        configs = {label: config_of(inputs, asked, one) for label, one in chosen.items()}
    all_done = {}
    for label, config in configs.items():
        what = f"surrogate markets of {label}"
        with console.bars() as bars:
            done = run(
                inputs,
                config,
                url=url,
                folder=folder,
                surrogates=surrogates,
                processes=processes,
                told=lambda count, total, what=what, bars=bars: bars(what, count, total),  # type: ignore[misc] # bound
            )
        if len(configs) > 1:
            console.out.print(f"\n{label}", markup=False)
        findings.tell(done)
        all_done[label] = done
    if len(all_done) > 1:
        findings.compare(all_done, folder)


def sweep(
    symbols: Symbols,
    grid: Grid,
    study: Annotated[str, typer.Option(help="Name the trials are remembered under. It is bound to its first bars.")],
    timeframes: Timeframes = "15m",
    venue: Venue = "binance_spot",
    start: Start = None,
    end: End = None,
    profile: ProfileName = "default",
    engine: Engine = "default",
    capital: Capital = "10000",
    draws: Annotated[
        int | None, typer.Option(min=1, help="How many sets a search looks at. Default: the whole grid.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=_LARGEST_SEED, help="Of the search.")] = 0,
    processes: Processes = _CORES,
) -> None:
    """Try many parameter sets; each is remembered, and counts when the best of them is judged.

    A sweep that was interrupted goes on where it stopped. A study is one of the bars of its first trial: without --from
    and --to it goes on over its own window.
    """
    from assets.trial_sink import StoredTrials
    from backtest.sweep import sweep as look
    from store.connections import connect
    from tidemark.research import config_of, inputs_of, profile_of, window_of

    if not study.strip():
        msg = "--study needs a name: the trials are remembered under it"
        raise typer.BadParameter(msg)
    space = _space(grid)
    url = _url()
    window = window_of(study, url) if start is None and end is None else None
    if window is not None:
        console.say(
            f"study {study} goes on over its own window, {window[0]:%Y-%m-%d %H:%M} to {window[1]:%Y-%m-%d %H:%M}"
        )
        start, end = (one.isoformat() for one in window)
    asked = _asked(venue, symbols, timeframes, start, end, engine, capital, None)
    with console.step("reading candles"):
        inputs = inputs_of(asked, url)
        config = config_of(inputs, asked, profile_of(profile, url))
    with console.bars() as bars, connect(url, application_name="tidemark sweep") as conn:
        found = look(
            inputs.bars,
            config,
            space,
            study=study,
            sink=StoredTrials(conn, dataset_id=inputs.dataset_id, asked=(asked.start, asked.end)),
            processes=processes,
            draws=draws,
            seed=seed,
            told=lambda count, total: bars("parameter sets", count, total),
        )
    findings.tell_sweep(found)


def walkforward(
    symbols: Symbols,
    timeframes: Timeframes = "15m",
    venue: Venue = "binance_spot",
    start: Start = None,
    end: End = None,
    profile: ProfileName = "default",
    engine: Engine = "default",
    capital: Capital = "10000",
    grid: Annotated[
        list[str] | None, typer.Option("--grid", help="Values to choose from: profile.reward=2,3. Default: no choice.")
    ] = None,
    train: Annotated[int, typer.Option(min=1, max=_LONGEST_DAYS, help="Days of a training window.")] = 90,
    test: Annotated[int, typer.Option(min=1, max=_LONGEST_DAYS, help="Days of a test window.")] = 30,
    anchored: Annotated[bool, typer.Option("--anchored", help="Train from the first candle on.")] = False,
    purge: Annotated[
        int, typer.Option(min=0, max=24 * _LONGEST_DAYS, help="Hours cut off the end of a training window.")
    ] = 24,
    embargo: Annotated[int, typer.Option(min=0, max=24 * _LONGEST_DAYS, help="Hours between training and test.")] = 0,
) -> None:
    """Choose parameters on the past and measure them on what came next, over and over; the folds are kept.

    Without --grid the profile as it is goes through the windows: what `tidemark params promote` asks for.
    """
    from assets.walk_forwards import Asked as WalkAsked
    from assets.walk_forwards import keep
    from backtest.walk_forward import Scheme
    from store.connections import connect
    from tidemark.research import REPORTS, config_of, inputs_of, profile_of

    scheme = Scheme(
        train=timedelta(days=train),
        test=timedelta(days=test),
        anchored=anchored,
        purge=timedelta(hours=purge),
        embargo=timedelta(hours=embargo),
    )
    url = _url()
    chosen = profile_of(profile, url)
    space = _space(grid) if grid else {"profile.risk_fraction": [chosen.risk_fraction]}
    asked = _asked(venue, symbols, timeframes, start, end, engine, capital, None)
    with console.step("reading candles"):
        inputs = inputs_of(asked, url)
        config = config_of(inputs, asked, chosen)
    walk = WalkAsked.of(inputs, config, space, scheme=scheme)
    with console.bars() as bars, connect(url, application_name="tidemark walkforward") as conn:
        found = walk.walked(conn, told=lambda count, total: bars("folds", count, total))
        kept = keep(conn, walk, found, load_settings().home / REPORTS / walk.run_id, at=datetime.now(UTC))
    findings.tell_folds(found, kept)


def _asked(
    venue: str,
    symbols: str,
    timeframes: str,
    start: str | None,
    end: str | None,
    engine: str,
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
    params = _settings(settings or ())
    return Asked(keys, first, last, engine, money, params)


def _settings(texts: Sequence[str]) -> dict[str, Any]:
    """One value by parameter."""
    space = _space(texts)
    for name, values in space.items():
        if len(values) > 1:
            told = ", ".join(map(str, values))
            msg = f"--set {name} takes one value, not {told}; a list stands in brackets, `sweep --grid` tries several"
            raise typer.BadParameter(msg)
    return {name: value for name, [value] in space.items()}


def _labelled(chosen: Sequence[tuple[str, RiskProfile]]) -> dict[str, RiskProfile]:
    """Profiles by what tells them apart in a comparison: as they were named, those of files by their own name."""
    found: dict[str, RiskProfile] = {}
    if not chosen:
        msg = "--profile names none: say default, a kept NAME@VERSION, or a YAML file"
        raise typer.BadParameter(msg)
    for name, profile in chosen:
        label = profile.name if name.endswith((".yaml", ".yml")) else name
        if label in found:
            msg = f"--profile names {label!r} twice: give each file a name of its own (`name:` inside it)"
            raise typer.BadParameter(msg)
        found[label] = profile
    return found


def _space(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Values by parameter: each text is `name=value,value`, where a value may be a list in brackets."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values or name in found:
            msg = f"{text!r}: a parameter is given once, as name=value or name=value,value"
            raise typer.BadParameter(msg)
        found[name] = _values(values)
    return found


def _values(text: str) -> list[Any]:
    try:
        return list(json.loads(f"[{text}]"))
    except json.JSONDecodeError as error:  # there are words among them
        if "[" in text:
            msg = f"{text!r} is no list of values: close each bracket, and write numbers as 0.5 ({error})"
            raise typer.BadParameter(msg) from error
        return [_value(one) for one in text.split(",")]


def _value(text: str) -> Any:  # noqa: ANN401 - a number, a flag or a word
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _url() -> str:
    return Installation(load_settings()).url_of_running(BATCH)

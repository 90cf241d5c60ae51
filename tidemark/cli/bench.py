"""`tidemark bench`: every stated figure, measured on this machine beside its peer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.measurement import Measurement
from tidemark.cli import console


def _engine(smoke: bool) -> list[Measurement]:
    from bench.engine import run

    return run(smoke=smoke)


def _load(smoke: bool) -> list[Measurement]:
    from bench.archive_month import ArchiveMonth
    from bench.load import KEY, MONTH_ROWS, generated_month, run

    month = ArchiveMonth.of(KEY, generated_month(MONTH_ROWS // 4 if smoke else MONTH_ROWS))
    return run(smoke=smoke, read_month=month.read)


def _null(smoke: bool) -> list[Measurement]:
    from bench.null_market import run

    return run(smoke=smoke)


def _backtest(smoke: bool) -> list[Measurement]:
    from bench.backtest import run

    return run(smoke=smoke)


def _demo(smoke: bool) -> list[Measurement]:
    from bench.demo import run

    return run(smoke=smoke)


def _year(smoke: bool) -> list[Measurement]:
    from bench.year import run

    return run(smoke=smoke)


def _history(smoke: bool) -> list[Measurement]:
    from bench.history import run

    return run(smoke=smoke)


_BENCHES: dict[str, Callable[[bool], list[Measurement]]] = {
    "engine": _engine,
    "load": _load,
    "null": _null,
    "backtest": _backtest,
    "year": _year,
    "history": _history,
    "demo": _demo,
}

# Libraries that only `make dev` installs, by the bench that measures beside them.
_PEERS: dict[str, tuple[str, ...]] = {
    "engine": ("pandas", "pandas_ta_classic", "smartmoneyconcepts", "talib"),
    "null": ("pandas", "smartmoneyconcepts"),
    "backtest": ("backtesting", "backtrader", "pandas"),
}


def bench(
    name: Annotated[str, typer.Argument(help=f"{', '.join(_BENCHES)} or all.")],
    smoke: Annotated[bool, typer.Option("--smoke", help="Small sizes and twice the tolerance.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.")] = None,
) -> None:
    """Measure, print a table, and end with exit code 1 where a stated figure is missed."""
    if name != "all" and name not in _BENCHES:
        msg = f"there is no bench {name!r}: use one of {', '.join(_BENCHES)} or all"
        raise typer.BadParameter(msg)
    chosen_ones = list(_BENCHES) if name == "all" else [name]
    _require_peers(chosen_ones)
    found: list[Measurement] = []
    for chosen in chosen_ones:
        with console.step(f"measuring {chosen}"):
            found += _BENCHES[chosen](smoke)
    console.out.print(_table(found))
    if any(measurement.unit == "×" and "against" in measurement.name for measurement in found):
        typer.echo("× of a figure against a library: our rate as a multiple of its own; below 1, it is faster")
    if json_file is not None:
        text = json.dumps([asdict(measurement) for measurement in found], indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    missed = [measurement.name for measurement in found if not measurement.passed]
    stated = sum(measurement.target is not None for measurement in found)
    size = "smoke sizes" if smoke else "full sizes"
    verdict = f"missed: {', '.join(missed)}" if missed else "all reached"
    reached = f"{stated - len(missed)} of {stated} stated figures reached; {verdict}"
    typer.echo(f"bench {name} ({size}): {reached if stated else 'for information; no figure is stated at this size'}")
    if missed:
        raise typer.Exit(1)


def _require_peers(names: list[str]) -> None:
    """End with one line where a library that a bench measures beside is not installed, before anything is measured."""
    for name in names:
        missing = [peer for peer in _PEERS.get(name, ()) if find_spec(peer) is None]
        if missing:
            console.error(f"bench {name} needs the development tools ({', '.join(missing)}): run `make dev`")
            raise typer.Exit(1)


def _table(measurements: list[Measurement]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, justify in (
        ("figure", "left"),
        ("found", "right"),
        ("stated", "right"),
        ("", "left"),
        ("detail", "left"),
    ):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for one in measurements:
        mark = "" if one.target is None else ("[green]reached" if one.passed else "[red]missed")
        detail = ", ".join(f"{name} {_number(value)}" for name, value in one.detail.items())
        stated = "" if one.target is None else f"{_number(one.target)} {one.unit}"
        table.add_row(one.name, f"{_number(one.value)} {one.unit}", stated, mark, detail)
    return table


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"

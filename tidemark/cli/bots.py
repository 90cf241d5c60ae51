"""`tidemark bots`: which plug-in bots there are, whether one keeps the laws, and who is quarantined."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from contracts import Rejected, SeriesKey
from tidemark.cli import console
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.bots import Quarantine

app = typer.Typer(help="Plug-in bots: list, check and release them (docs/bots.md).", no_args_is_help=True)

Agent = Annotated[str | None, typer.Option(help="Only this bot.")]
Series = Annotated[str | None, typer.Option(help="Only this series, as venue:symbol:tf.")]


@app.command(name="list")
def list_() -> None:
    """Show the bots found in packages and in the folder; exit code 1 where one of them cannot be loaded."""
    from bots.discovery import discover
    from bots.exchange import Limits

    settings = load_settings().bots
    with console.step("asking every bot for its name"):
        discovery = discover(settings.folder, limits=Limits(deadline_ms=settings.deadline_ms))
    if discovery.bots:
        table = Table("bot", "inputs", "version", "from", box=None, pad_edge=False)
        for bot in discovery.bots:
            table.add_row(bot.name, ", ".join(bot.inputs), bot.version[:40], escape(bot.source.place))
        console.out.print(table)
    else:
        folder = "the setting bots.folder is not set" if settings.folder is None else str(settings.folder)
        console.out.print(f"no bots ({folder}; installed packages have no entry point tidemark.bots)", markup=False)
    for failure in discovery.failures:
        console.error(failure.message)
    if discovery.failures:
        raise typer.Exit(1)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The bot's file.")],
    bars: Annotated[int, typer.Option(min=300, max=100_000, help="How many seeded bars it is given.")] = 3_000,
) -> None:
    """Run one bot over seeded bars: does it signal, and does it keep the laws of restart and pieces?"""
    from bots.check import check_bot
    from bots.discovery import load_file
    from bots.exchange import Limits

    settings = load_settings().bots
    limits = Limits(deadline_ms=settings.deadline_ms, attempts=2)
    with console.step(f"running {file.name} over {bars:,} bars, three times"):
        bot = load_file(file, limits=limits)
        report = check_bot(bot, bars=bars, limits=limits)
    console.out.print(f"{bot.name}: {report.signals.height:,} signals in {report.bars:,} bars of a random walk")
    if report.quarantined is not None:
        found = report.quarantined
        console.error(f"{found.reason} at the bar of {found.from_ts.isoformat()}:\n{found.detail}")
    for law in report.laws:
        if law.broken is None:
            console.out.print(f"  {law.name}: the same signals and the same state")
        else:
            console.error(f"{law.name}: {law.broken}; keep everything in `state`")
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def quarantine(agent: Agent = None, series: Series = None) -> None:
    """List the recorded spans in which bots were, or are, not called."""
    from store.bots import quarantines
    from store.connections import connect

    key = None if series is None else _key(series)
    with connect(_url(), application_name="tidemark bots") as conn:
        found = quarantines(conn, key, agent=agent)
    if not found:
        console.out.print("no bot is or was quarantined")
        return
    console.out.print(_spans(found))
    for one in found:
        if one.to_ts is None:
            head = f"{one.agent} on {one.key}, {one.reason} at {one.from_ts:%Y-%m-%d %H:%M}:"
            console.out.print(f"\n{head}\n{one.detail}", markup=False, soft_wrap=True)


@app.command()
def release(
    name: Annotated[str, typer.Argument(help="The bot.")],
    series: Series = None,
    at: Annotated[
        str | None, typer.Option(help="First bar (its close, ISO 8601 UTC) it is called for again. Default: now.")
    ] = None,
) -> None:
    """End a bot's open spans: it goes on, from the state it had, at the first bar that closes then or later."""
    from store.bots import release as end_spans
    from store.connections import connect

    key = None if series is None else _key(series)
    instant = datetime.now(UTC) if at is None else _instant(at)
    with connect(_url(), application_name="tidemark bots") as conn:
        ended = end_spans(conn, name, at=instant, key=key)
    if not ended:
        where = "" if key is None else f" on {key}"
        console.error(f"{name!r} is not quarantined{where}: `tidemark bots quarantine` lists who is")
        raise typer.Exit(1)
    console.out.print(f"{name}: {ended} {'span' if ended == 1 else 'spans'} ended at {instant:%Y-%m-%d %H:%M:%S} UTC")


@app.command()
def forget(name: Annotated[str, typer.Argument(help="The bot.")]) -> None:
    """Delete every signal of a bot that is not found any more; one that is gives them again at the next backfill."""
    from engine.retest import AGENT
    from store.connections import connect
    from store.signals import forget_agent

    if name == AGENT:
        msg = (
            f"{name!r} is the engine's own agent, not a bot: `tidemark backfill --recompute` computes its signals again"
        )
        raise Rejected(msg)
    with connect(_url(), application_name="tidemark bots") as conn:
        count = forget_agent(conn, name)
    console.out.print(f"{name}: {count:,} {'signal' if count == 1 else 'signals'} deleted")


def _url() -> str:
    return Installation(load_settings()).url_of_running(BATCH)


def _key(text: str) -> SeriesKey:
    try:
        return SeriesKey.parse(text)
    except ValueError as error:
        raise Rejected(str(error)) from error


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--at needs an instant such as 2026-01-31T12:00Z, received {text!r}"
        raise Rejected(msg) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _spans(found: Sequence[Quarantine]) -> Table:
    table = Table("bot", "series", "from", "to", "reason", "version", "origin", box=None, pad_edge=False)
    for one in found:
        table.add_row(
            one.agent,
            str(one.key),
            f"{one.from_ts:%Y-%m-%d %H:%M}",
            "[red]open" if one.to_ts is None else f"{one.to_ts:%Y-%m-%d %H:%M}",
            one.reason,
            one.bot_version[:12],
            one.origin,
        )
    return table

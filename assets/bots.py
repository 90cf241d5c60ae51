"""Plug-in bots in batch: a resource that finds them, and their quarantines on the way to the ledger and back.

Batch replays what live recorded: in a recorded span a bot is not asked, so that both give the same rows. A span that
batch itself recorded speaks of the code that failed then: another version of the bot is asked again from the start.

    with bots.running(say=context.log.warning) as runner: ...
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psycopg

from bots.discovery import FoundBot, discover
from bots.exchange import Limits
from bots.quarantine import Quarantine
from bots.runner import BotRunner
from contracts import SeriesKey
from store import bots as ledger


class PluginBots(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The plug-in bots of this installation (docs/bots.md).

    Attributes:
        folder: Folder of bot files; empty = none, entry points alone.
        deadline_ms: How long a bot may take for one bar.
    """

    folder: str = ""
    deadline_ms: int = 250

    @property
    def _limits(self) -> Limits:
        # A machine may stall once; a bot that hangs shall not hold every series up for a minute.
        return Limits(deadline_ms=self.deadline_ms, startup_ms=10_000, attempts=2)

    def found(self, *, say: Callable[[str], None]) -> Sequence[FoundBot]:
        """Every bot that can be loaded; what cannot is said, with file and line, and the rest goes on.

        A bot is asked for its name in a process of its own (about a second); where there are none, none is started.
        """
        discovery = discover(Path(self.folder) if self.folder else None, limits=self._limits)
        for failure in discovery.failures:
            say(f"a bot is left out: {failure.message}")
        return discovery.bots

    def versions(self, *, say: Callable[[str], None]) -> Mapping[str, str]:
        """Name → version of every bot that can be loaded: what rows must have been made with."""
        return {bot.name: bot.version for bot in self.found(say=say)}

    @contextmanager
    def running(self, *, say: Callable[[str], None]) -> Iterator[BotRunner]:
        """A runner of every bot that can be loaded."""
        with BotRunner(self.found(say=say), limits=self._limits) as runner:
            yield runner


def recorded(conn: psycopg.Connection, key: SeriesKey, runner: BotRunner) -> list[Quarantine]:
    """The spans that concern these bots and this series."""
    versions = runner.versions
    return [
        Quarantine(span.agent, key, span.from_ts, span.to_ts, span.reason, span.detail, span.bot_version)
        for span in ledger.quarantines(conn, key)
        if span.agent in versions and (span.origin == "live" or span.bot_version == versions[span.agent])
    ]


def record(conn: psycopg.Connection, spans: tuple[Quarantine, ...]) -> None:
    """Write what failed in batch to the ledger."""
    for span in spans:
        ledger.record_quarantine(
            conn,
            ledger.Quarantine(
                agent=span.agent,
                key=span.key,
                from_ts=span.from_ts,
                to_ts=span.to_ts,
                reason=span.reason,
                detail=span.detail,
                bot_version=span.bot_version,
                origin="batch",
                recorded_at=datetime.now(UTC),
            ),
        )

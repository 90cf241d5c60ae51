"""Does a bot keep the laws? It runs over seeded bars in several ways, which must all give the same.

A bot that keeps something outside `state` (an attribute, a module's variable) works until the first restart, then
gives other signals than a backfill would. Here every bar is a restart once.

Invariant: the bars are the same on every machine. Left out: whether the signals are any good.

    report = check_bot(load_file(Path("sweep_reversal.py")))
    report.passed, report.signals.height
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bots.exchange import Limits
from bots.runner import BotRunner
from bots.series import SeriesBots
from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bots.discovery import FoundBot
    from bots.quarantine import Quarantine

KEY = SeriesKey("binance_usdm", "BTCUSDT", "15m")
_START_US = 1_640_995_200_000_000  # 2022-01-01T00:00Z
_STEPS = 20
_CUTS = (1, 2, 5, 13, 89, 400)


@dataclass(frozen=True, slots=True)
class Law:
    """One way of running the bot, against all bars in one call.

    Attributes:
        name: What was done otherwise.
        broken: What differed; None = nothing.
    """

    name: str
    broken: str | None


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """What came out.

    Attributes:
        bars: How many bars it was given.
        signals: Its rows of table `signals_raw`.
        quarantined: Why it was stopped, if it was; the laws are then not looked at.
        laws: Each law and whether it held.
    """

    bars: int
    signals: pl.DataFrame
    quarantined: Quarantine | None
    laws: tuple[Law, ...]

    @property
    def passed(self) -> bool:
        """Whether the bot ran to the end and kept every law."""
        return self.quarantined is None and all(law.broken is None for law in self.laws)


def seeded_bars(count: int, *, seed: int = 1) -> pl.DataFrame:
    """A random walk without drift as 15m bars, each made of 20 steps; quote units around 40,000."""
    rng = np.random.default_rng(seed)
    # Cents, so that equal prices occur; a walk of returns, so that it stays positive.
    path = 40_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.0006, (count, _STEPS)))).reshape(count, _STEPS)
    path = path.round(2)
    opened = np.concatenate([[40_000.0], path[:-1, -1]])
    return pl.DataFrame(
        {
            "open_time": pl.Series(_START_US + np.arange(count) * KEY.tf.us).cast(BAR_SCHEMA["open_time"]),
            "open": opened,
            "high": np.maximum(opened, path.max(axis=1)),
            "low": np.minimum(opened, path.min(axis=1)),
            "close": path[:, -1],
            "volume": rng.gamma(2.0, 50.0, count).round(3),
        },
        schema=BAR_SCHEMA,
    )


def check_bot(bot: FoundBot, *, bars: int = 3_000, limits: Limits = Limits(attempts=2)) -> Report:  # noqa: B008 - frozen
    """Run a bot in one call, in pieces, and with its code loaded anew before every bar.

    Args:
        bot: As found.
        bars: How many; the last third of them, at most 200, meet the bar-by-bar restart.
        limits: How long a bar may take.
    """
    market = seeded_bars(bars)
    single = min(bars // 3, 200)
    pieces = [*_cut(market.head(bars - single), cycle(_CUTS)), market.tail(single)]
    restarts = [market.head(bars - single), *market.tail(single).iter_slices(1)]
    whole, states, stopped = _run(bot, [market], limits=limits, reload=False)
    if stopped is not None:
        return Report(bars, whole, stopped, ())
    laws = []
    for name, cuts, reload in (("pieces of any size", pieces, False), ("a restart at every bar", restarts, True)):
        rows, ending, failed = _run(bot, cuts, limits=limits, reload=reload)
        laws.append(Law(name, _difference(whole, rows, failed) or (None if ending == states else "another last state")))
    return Report(bars, whole, None, tuple(laws))


def _cut(bars: pl.DataFrame, sizes: Iterable[int]) -> list[pl.DataFrame]:
    pieces, at = [], 0
    for size in sizes:
        if at >= bars.height:
            break
        pieces.append(bars.slice(at, size))
        at += size
    return pieces


def _run(
    bot: FoundBot, pieces: list[pl.DataFrame], *, limits: Limits, reload: bool
) -> tuple[pl.DataFrame, bytes, Quarantine | None]:
    params = EngineParams()
    engine = SeriesEngine(KEY, params)
    with BotRunner([bot], limits=limits, reload=reload) as runner:
        series = SeriesBots(runner, KEY, params)
        signals = [series.advance(piece, engine.advance(piece).frame).signals for piece in pieces]
        return pl.concat(signals), series.snapshot(), next(iter(series.quarantines), None)


def _difference(whole: pl.DataFrame, rows: pl.DataFrame, failed: Quarantine | None) -> str | None:
    if failed is not None:
        return f"{failed.reason} at {failed.from_ts.isoformat()}: {failed.detail}"
    if whole.equals(rows):
        return None
    if whole.height != rows.height:
        return f"{rows.height} signals in place of {whole.height}"
    first = next(row for row in range(whole.height) if not whole[row].equals(rows[row]))
    return f"another signal at {whole['ts'][first].isoformat()}"

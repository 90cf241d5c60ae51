"""Bars, rows and bots made by hand: what the engine would give, without the engine.

`rows_of` gives each bar an `atr14` that is its place in the series, and the tables whatever a test puts into them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import polars as pl

from bots.discovery import FoundBot, load_file
from bots.exchange import Limits
from bots.quarantine import Quarantine
from bots.runner import BotRows, BotRunner
from bots.series import SeriesBots
from contracts import SeriesKey, from_us
from contracts.candles import BAR_SCHEMA
from engine import EngineParams, frames

KEY = SeriesKey("binance_spot", "BTCUSDT", "15m")
OTHER = SeriesKey("binance_usdm", "ETHUSDT", "15m")
PARAMS = EngineParams()
START = 1_640_995_200_000_000  # 2022-01-01T00:00Z
STEP = KEY.tf.us

SCHEMAS = {
    "indicators": frames.INDICATOR_SCHEMA,
    "regimes": frames.REGIME_SCHEMA,
    "swings": frames.SWING_SCHEMA,
    "smc_events": frames.BREAK_SCHEMA,
    "liquidity_events": frames.LIQUIDITY_SCHEMA,
    "zone_events": frames.ZONE_EVENT_SCHEMA,
    "zones": frames.ZONE_SCHEMA,
    "inversions": frames.INVERSION_SCHEMA,
    "signals_raw": frames.SIGNAL_SCHEMA,
}


def opened(place: int) -> datetime:
    """Open time of a bar."""
    return from_us(START + place * STEP)


def known(place: int) -> datetime:
    """`ts` of a bar: one step after its open time."""
    return opened(place + 1)


def some_bars(count: int, *, first: int = 0) -> pl.DataFrame:
    """Bars whose close is 100 + their place."""
    places = range(first, first + count)
    close = [100.0 + place for place in places]
    return pl.DataFrame(
        {
            "open_time": [opened(place) for place in places],
            "open": close,
            "high": [value + 2.0 for value in close],
            "low": [value - 2.0 for value in close],
            "close": close,
            "volume": [1.0] * count,
        },
        schema=BAR_SCHEMA,
    )


@dataclass
class Rows:
    """What `SeriesRows` is to the runner; remembers which tables were asked for."""

    tables: dict[str, pl.DataFrame]
    asked: list[str] = field(default_factory=list)

    def frame(self, table: str) -> pl.DataFrame:
        self.asked.append(table)
        return self.tables[table]


def table(name: str, *rows: dict[str, Any], key: SeriesKey = KEY) -> pl.DataFrame:
    """A table's frame from the columns a test cares for."""
    series = {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf)}
    return pl.DataFrame([series | row for row in rows], schema=SCHEMAS[name])


def rows_of(bars: pl.DataFrame, *, key: SeriesKey = KEY, **tables: pl.DataFrame) -> Rows:
    places = ((bars["open_time"].to_physical() - START) // STEP).to_list()
    indicators = table(
        "indicators",
        *({"ts": known(place), "atr14": float(place) if place else None, "trend": place % 2} for place in places),
        key=key,
    )
    return Rows({name: table(name) for name in SCHEMAS} | {"indicators": indicators} | tables)


def write_bot(folder: Path, name: str, body: str, *, inputs: str = '("atr14",)', head: str = "") -> Path:
    """A bot file whose `on_bar` holds `body`."""
    lines = "\n".join("        " + line for line in dedent(body).strip().splitlines())
    path = folder / f"{name}.py"
    path.write_text(
        f"from engine.plugins import Signal\n{head}\n\n"
        f"class It:\n    name = {name!r}\n    inputs = {inputs}\n\n"
        f"    def on_bar(self, ctx, bar, feats, state):\n{lines}\n\n\nbot = It()\n"
    )
    return path


def found(folder: Path, name: str, body: str, *, inputs: str = '("atr14",)', head: str = "") -> FoundBot:
    return load_file(write_bot(folder, name, body, inputs=inputs, head=head))


def answering(reply: dict[str, Any]) -> str:
    """The head of a bot that speaks for its worker, on whatever pipe the worker answers."""
    return dedent(
        f"""
        import contextlib, os, stat
        from bots.wire import frame
        for fd in range(3, 20):
            with contextlib.suppress(OSError):
                if stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.write(fd, frame({reply!r}))
        """
    )


# Remembers how many bars it saw and signals every third: any state lost or shared shows in its scores.
COUNTING = """
state["seen"] = state.get("seen", 0) + 1
if state["seen"] % 3:
    return []
return [Signal("LONG", entry=bar.close, stop=bar.low - 1, score=1 / state["seen"])]
"""


def run(
    bots: list[FoundBot],
    bars: pl.DataFrame,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    quarantines: tuple[Quarantine, ...] = (),
) -> BotRows:
    """One call with workers of its own."""
    with BotRunner(bots, limits=limits) as runner:
        return SeriesBots(runner, KEY, PARAMS, quarantines=quarantines).advance(bars, rows_of(bars).frame)

"""A year of one instrument: candles, analysis, checks and marts in one run, as the command line starts it.

The archive is served by the simulator on this machine, its files made before the clock starts, and each run is the
real `tidemark backfill` (`bench.place`). What is measured:

* a year of 1m and 15m into an empty database, and the largest memory the process had;
* the same again, when nothing has changed;
* the months behind that year against the same months of another instrument, without history: whether a month's time
  grows.

    run(smoke=False)
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from bench.measurement import Measurement, at_most
from bench.place import Place, opened

YEAR_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 15.0
MEMORY_GIB: Final = 1.5
GROWTH: Final = 1.3  # "flat" on a machine that others use too

_VENUE: Final = "binance_usdm"
_OTHER_VENUE: Final = "binance_spot"  # lists the same bars
_YEAR: Final = tuple(f"2022-{month:02d}" for month in range(1, 13))
_BEHIND: Final = ("2023-01", "2023-02", "2023-03")
_END: Final = "2023-04"
_SMOKE_MONTHS: Final = 1


def run(*, smoke: bool) -> list[Measurement]:
    """Measure a year; a smoke run measures one month, against the year's figures, and not how time grows.

    Raises:
        RuntimeError: A command failed; its output is in the message.
    """
    months = _YEAR[-_SMOKE_MONTHS:] if smoke else _YEAR
    with (
        tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder,
        opened(Path(folder), first=_YEAR[0], end=_END) as place,
    ):
        place.serve([*months] if smoke else [*months, *_BEHIND])
        place.command("db", "up")
        year = place.backfill(_VENUE, months[0], _BEHIND[0])
        again = place.backfill(_VENUE, months[0], _BEHIND[0])
        growth = [] if smoke else [_growth(place)]
    name = f"{len(months)} months of 1m and 15m"
    return [
        at_most(f"{name}: candles to marts", year.seconds, unit="s", target=YEAR_SECONDS, smoke=smoke),
        at_most(f"{name}: peak memory", year.peak_bytes / 2**30, unit="GiB", target=MEMORY_GIB, smoke=smoke),
        at_most(f"{name}: again, nothing changed", again.seconds, unit="s", target=AGAIN_SECONDS, smoke=smoke),
        *growth,
    ]


def _growth(place: Place) -> Measurement:
    behind = place.backfill(_VENUE, _BEHIND[0], _END)
    fresh = place.backfill(_OTHER_VENUE, _BEHIND[0], _END)
    return at_most(
        f"{len(_BEHIND)} months behind them, against no history",
        behind.seconds / fresh.seconds,
        unit="×",
        target=GROWTH,
        smoke=False,
        detail={"behind s": behind.seconds, "fresh s": fresh.seconds},
    )

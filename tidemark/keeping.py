"""Which series the platform keeps, as a backfill asks for them: each with the sub-timeframe that the settings give it.

The setting `sub_timeframes` is the truth; `market.series` is told on the way. A series whose sub-timeframe changes has
another chain from its first month on, so everything the analysis made of it is computed again: a person is told.

Invariant: all of it or nothing is stored. Left out: a series that is not asked for stays as it is.

    keep(conn, instrument, [Timeframe.M1, Timeframe.M15], sub_timeframes={"15m": "1m"}, say=print)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import psycopg

from contracts import InstrumentKey, Rejected, SeriesKey, Timeframe
from store.catalog import SeriesSetting, list_series, upsert_series
from store.ledger import rechain


def keep(
    conn: psycopg.Connection,
    instrument: InstrumentKey,
    timeframes: Sequence[str],
    *,
    sub_timeframes: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Keep these series of an instrument from now on.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        instrument: The instrument.
        timeframes: Timeframes of the series.
        sub_timeframes: Timeframe → the shorter one whose structure breaks feed it, of any timeframes.
        say: Tells a person which stored series change.

    Raises:
        Rejected: A sub-timeframe is neither asked for nor kept already; nothing was stored.
    """
    present = {setting.key: setting for setting in list_series(conn, instrument)}
    asked = [instrument.series(tf) for tf in timeframes]
    kept = {*asked, *(key for key, setting in present.items() if setting.enabled)}
    wanted = [
        replace(present.get(key, SeriesSetting(key)), enabled=True, sub_tf=_sub(key, kept, sub_timeframes))
        for key in asked
    ]
    with conn.transaction():
        for setting in wanted:
            before = present.get(setting.key)
            if setting == before:
                continue
            upsert_series(conn, setting)
            if before is not None and setting.sub_tf != before.sub_tf:
                rechain(conn, setting.key)
                source = "nowhere" if setting.sub_tf is None else setting.sub_tf
                say(f"{setting.key} takes its micro_bos from {source} now: what was analysed of it is computed again")


def _sub(key: SeriesKey, kept: set[SeriesKey], sub_timeframes: Mapping[str, str]) -> Timeframe | None:
    tf = sub_timeframes.get(str(key.tf))
    if tf is None:
        return None
    sub = key.instrument.series(tf)
    if sub not in kept:
        msg = (
            f"{key} takes its micro_bos from {tf} (setting sub_timeframes), and {sub} is not kept: "
            f"backfill {tf} too, or take {key.tf} out of the setting"
        )
        raise Rejected(msg)
    return sub.tf

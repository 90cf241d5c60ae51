"""What monthly reports are made from: the enabled series of all instruments, up to the end of the month.

A report of a month without a candle would be the one of an earlier month under another name: it is refused. Series that
have no candle in the window are left out, for an instrument may have been listed, or left, at any time.

Minutes are not traded unless they are asked for, at 1m and 3m what a trade can win is of the size of its costs; and a
year of them makes most of the time that a report takes. They are read nevertheless: they tell what came first inside a
longer bar.

    inputs = read_report_inputs(conn, month, config, at=now)
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import dagster as dg
import psycopg
from pydantic import Field

from assets.backtests import Inputs, NothingStored, read_inputs
from assets.partitions import Month, by_month
from contracts import Rejected, SeriesKey, Timeframe
from engine import EngineParams
from store.candle_reads import last_open_time
from store.catalog import list_series

LOOKBACK_MONTHS = 12
SHORTEST = Timeframe.M5
"""The shortest timeframe that is traded where none is named."""

DEPS: Sequence[dg.AssetDep] = (
    dg.AssetDep("candles", partition_mapping=by_month(back=LOOKBACK_MONTHS)),
    dg.AssetDep("funding_rates", partition_mapping=by_month(back=LOOKBACK_MONTHS)),
    dg.AssetDep("exchange_rules"),
    dg.AssetDep("calendar_events"),
)
"""What a report of a month reads, as Dagster's graph shows it."""


class ReportConfig(dg.Config):
    """What a run of any report may be told.

    Attributes:
        lookback_months: How many months before the month of the report it begins, or with the first stored candle.
        timeframes: What is traded; empty = every enabled one from 5m on.
        capital: Quote units at the start.
    """

    lookback_months: int = Field(default=LOOKBACK_MONTHS, ge=0, le=1200)
    timeframes: list[str] = Field(default_factory=list)
    capital: float = 10_000.0

    @property
    def exact_capital(self) -> Decimal:
        """The capital as it was written."""
        return Decimal(str(self.capital))


def read_report_inputs(conn: psycopg.Connection, month: Month, config: ReportConfig, *, at: datetime) -> Inputs:
    """Read what the report of a month is made from, and keep the id of its dataset.

    Args:
        conn: A connection in no transaction.
        month: Of the report.
        config: Its window and its timeframes.
        at: Now.

    Raises:
        NothingStored: No enabled series that would be traded has a candle in the month.
        Rejected: A timeframe is none, or the inputs cannot be read together (`assets.backtests.read_inputs`).
    """
    start = month.before(config.lookback_months).start
    keys = traded_series(conn, start, month.end, timeframes=config.timeframes)
    if not any(last_open_time(conn, key, month.start, month.end) for key in keys):
        wanted = ", ".join(config.timeframes) or f"{SHORTEST} or longer"
        msg = (
            f"no enabled series of {wanted} has a candle in {month}, there is nothing to report: load them first "
            f"(tidemark backfill), or name other timeframes"
        )
        raise NothingStored(msg)
    return read_inputs(conn, keys, start, month.end, at=at, params=EngineParams())


def traded_series(
    conn: psycopg.Connection, start: datetime, end: datetime, *, timeframes: Sequence[str] = ()
) -> list[SeriesKey]:
    """The enabled series that have a candle in a window.

    Args:
        conn: A connection.
        start: First open time.
        end: Exclusive end.
        timeframes: Those alone; empty = all from `SHORTEST` on.

    Raises:
        Rejected: One of them is no timeframe.
    """
    wanted = {_timeframe(name) for name in timeframes}
    kept = [setting.key for setting in list_series(conn, enabled_only=True)]
    asked = [key for key in kept if (key.tf in wanted if wanted else key.tf.us >= SHORTEST.us)]
    return [key for key in asked if last_open_time(conn, key, start, end) is not None]


def _timeframe(name: str) -> Timeframe:
    try:
        return Timeframe(name)
    except ValueError as error:
        msg = f"{name!r} is no timeframe: one of {', '.join(Timeframe)} is needed"
        raise Rejected(msg) from error

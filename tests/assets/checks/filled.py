"""A database that the real load and the real pass filled, and asking its checks without Dagster.

One month of 15m bars and of the 1h bars that they roll up to, but for two 15m bars that the exchange does not have: the
1h bars over them are compared with nothing, so that a defect planted there is found by the one check it is for. It is
filled once; each test plants in a copy.

    red = [answer.check for answer in answers(database, CANDLE_SUITE).values() if not answer.passed]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from assets.checks.batches import windows_of
from assets.checks.expectations import Answer, ask
from assets.checks.suites import Suite
from assets.partitions import Month, Task
from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA
from store.candle_reads import stored_digest
from store.connections import connect
from store.ledger import write_digest
from store.roles import BATCH, OWNER
from tests.assets.fakes import INSTRUMENT, T0, FakeClock, FakeVenue, slot, tape
from tests.assets.passes import analyse
from tests.assets.runs import keep, load
from tests.databases import Database, Server, close, fresh_database

SHORT, LONG = INSTRUMENT.series("15m"), INSTRUMENT.series("1h")
JAN = Month(2022, 1)
TASK = Task(INSTRUMENT, (JAN,))
BARS = 2976
# The second quarters of the hours that begin on the 1st at 00:00 and on the 13th at 12:00.
LACKING = (1, 12 * 96 + 48 + 1)
NOW = datetime(2022, 3, 10, tzinfo=UTC)
_DECIMALS = ("open", "high", "low", "close", "volume", "taker_buy_vol", "quote_vol")


def rolled_up(candles: pl.DataFrame, *, bars: int) -> pl.DataFrame:
    """The candles of a timeframe that many times as long: what an exchange without a flaw gives."""
    exact = candles.with_columns(pl.col(name).cast(pl.Decimal(38, 8)) for name in _DECIMALS)
    groups = exact.group_by(pl.int_range(pl.len()) // bars, maintain_order=True)
    firsts = [pl.col("open_time").first(), pl.col("open").first(), pl.col("high").max(), pl.col("low").min()]
    sums = [pl.col(name).sum() for name in ("volume", "trades", "taker_buy_vol", "quote_vol")]
    found = groups.agg(*firsts, pl.col("close").last(), *sums)
    texts = {name: pl.col(name).cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".") for name in _DECIMALS}
    return found.with_columns(**texts).select(CANDLE_SCHEMA.names()).cast(CANDLE_SCHEMA)


def venue() -> FakeVenue:
    """An exchange whose two timeframes agree."""
    short = tape(SHORT, T0, BARS)
    found = FakeVenue({SHORT: short, LONG: rolled_up(short, bars=4)}, clock=FakeClock(NOW))
    for absent in found.lacks.values():
        absent.update(slot(index, SHORT) for index in LACKING)
    return found


@contextmanager
def filled(server: Server) -> Iterator[Server]:
    """A server whose template is a loaded and analysed database."""
    with fresh_database(server) as database:
        with connect(database.dsn(BATCH), application_name="test") as conn:
            keep(conn, SHORT, LONG)
            load(conn, venue(), (JAN,))
            analyse(conn, keys=(SHORT, LONG))
        close(server.admin_dsn, database.name)
        yield replace(server, template=database.name)


def answers(
    database: Database, suite: Suite, names: Collection[str] | None = None, *, task: Task = TASK
) -> Mapping[str, Answer]:
    """What came of the expectations of a suite, by the name of the check."""
    url = database.dsn(BATCH)
    with connect(url, application_name="test") as conn:
        windows = windows_of(conn, [task])
    wanted = suite.expectations if names is None else names
    return {one.check: one for one in ask(suite, wanted, windows, url=url, site=None, run="test")}


def red(found: Mapping[str, Answer]) -> set[str]:
    """The checks that did not pass."""
    return {name for name, answer in found.items() if not answer.passed}


def plant(database: Database, statements: Sequence[str], *, key: SeriesKey = LONG) -> None:
    """Run statements as the owner, who alone may; then digest the month again, as the load that stored this would."""
    with connect(database.dsn(OWNER), application_name="test") as conn:
        for statement in statements:
            conn.execute(statement.encode())
        rows, sha256 = stored_digest(conn, key, JAN.start, JAN.end)
        write_digest(conn, key, JAN.start.date(), rows=rows, sha256=sha256, computed_at=NOW)

"""One new month behind ten million candles: what its marts and its checks cost.

A month of 1m and 15m is backfilled by the real command, then copied into the past, table by table, until the database
holds ten million candles and everything the analysis made of them. The month behind it is backfilled by the real
command too, without its marts. What is measured:

* the marts of the new month: the database's time (`pg_stat_database.active_time`), and how long that took as a whole;
* all checks of the new month's candles, indicators, zones and signals, after the library's import.

    run(smoke=False)
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

import psycopg
from psycopg import sql

from assets.checks.batches import windows_of
from assets.checks.candle_suite import CANDLE_SUITE
from assets.checks.expectations import ask, great_expectations
from assets.checks.indicator_suite import INDICATOR_SUITE
from assets.checks.signal_suite import SIGNAL_SUITE
from assets.checks.zone_suite import ZONE_SUITE
from assets.partitions import Month, Task
from bench.measurement import Measurement, at_most
from bench.place import SYMBOL, Place, opened
from contracts import InstrumentKey
from engine import TABLES
from store.connections import connect
from store.embedded import EmbeddedServer
from store.roles import BATCH, OWNER
from transforms.invocation import build

MARTS_SECONDS: Final = 10.0
CHECKS_SECONDS: Final = 3.0
CANDLES: Final = 10_000_000

_VENUE: Final = "binance_usdm"
_DATABASE: Final = "tidemark"
_COPIED: Final = "2022-12"
_NEW: Final = "2023-01"
_END: Final = "2023-02"
_COPIED_DAYS: Final = 31
_SMOKE_COPIES: Final = 3
_SUITES: Final = (CANDLE_SUITE, INDICATOR_SUITE, ZONE_SUITE, SIGNAL_SUITE)


def run(*, smoke: bool) -> list[Measurement]:
    """Measure a month behind ten million candles; a smoke run puts it behind four months.

    Raises:
        RuntimeError: A command failed; its output is in the message.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder,
        opened(Path(folder), first=_COPIED, end=_END) as place,
    ):
        place.serve([_COPIED, _NEW])
        place.command("db", "up")
        place.backfill(_VENUE, _COPIED, _NEW, marts=False)
        candles = _copy_into_the_past(place, copies=_SMOKE_COPIES if smoke else None)
        _build_marts(place, start=None)
        place.backfill(_VENUE, _NEW, _END, marts=False)
        before, begun = _database_seconds(place), perf_counter()
        nodes = _build_marts(place, start=datetime.fromisoformat(f"{_NEW}-01T00:00:00+00:00"))
        whole = perf_counter() - begun
        marts = _database_seconds(place) - before
        checks = _checks(place)
    behind = f"behind {candles / 1e6:.1f} M candles"
    return [
        at_most(
            f"marts of a month {behind}: the database's time",
            marts,
            unit="s",
            target=MARTS_SECONDS,
            smoke=smoke,
            detail={"as a whole s": round(whole, 1), **dict(sorted(nodes.items(), key=lambda item: -item[1])[:2])},
        ),
        at_most(
            f"checks of a month {behind}",
            sum(checks.values()),
            unit="s",
            target=CHECKS_SECONDS,
            smoke=smoke,
            detail={name: round(seconds, 2) for name, seconds in checks.items()},
        ),
    ]


def _copy_into_the_past(place: Place, *, copies: int | None) -> int:
    """Copy the stored month that often, or until there are enough candles; the number of candles then."""
    tables = ["market.candles", *(f"analysis.{table}" for table in TABLES)]
    with psycopg.connect(EmbeddedServer(place.home).dsn(OWNER, _DATABASE), autocommit=True) as conn:
        [stored] = conn.execute("SELECT count(*) FROM market.candles").fetchone() or (0,)
        wanted = copies if copies is not None else CANDLES // stored
        for table in tables:
            schema, _, name = table.partition(".")
            columns = conn.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s "
                "AND table_name = %s ORDER BY ordinal_position",
                [schema, name],
            ).fetchall()
            shifted = sql.SQL(", ").join(
                sql.SQL("{} - copy * make_interval(days => {})").format(sql.Identifier(column), _COPIED_DAYS)
                if kind == "timestamp with time zone" and column != "ingested_at"
                else sql.Identifier(column)
                for column, kind in columns
            )
            relation = sql.Identifier(schema, name)
            with _without_indexes(conn, table):
                conn.execute(
                    sql.SQL("INSERT INTO {} SELECT {} FROM {}, generate_series(1, {}) AS copy").format(
                        relation, shifted, relation, wanted
                    )
                )
            conn.execute(sql.SQL("VACUUM ANALYZE {}").format(relation))
        return int(stored * (wanted + 1))


@contextmanager
def _without_indexes(conn: psycopg.Connection, table: str) -> Iterator[None]:
    """Take the table's indexes away and make them again: filling them row by row would take longest of all."""
    constraints = conn.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN "
        "('p', 'u')",
        [table],
    ).fetchall()
    relation = sql.Identifier(*table.split("."))
    for name, _ in constraints:
        conn.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(relation, sql.Identifier(name)))
    indexes = conn.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass",
        [table],
    ).fetchall()
    for name, _ in indexes:
        conn.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(*name.split("."))))
    yield
    for _, definition in indexes:
        conn.execute(sql.SQL(definition))
    for name, definition in constraints:
        conn.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(relation, sql.Identifier(name), sql.SQL(definition))
        )


def _database_seconds(place: Place) -> float:
    """Seconds in which the database executed statements since it was made, once all work on it has ended."""
    with psycopg.connect(EmbeddedServer(place.home).dsn(OWNER, _DATABASE), autocommit=True) as conn:
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
        while conn.execute(others, [BATCH]).fetchone():  # what a session did counts when it is gone
            sleep(0.1)
        [seconds] = conn.execute(
            "SELECT active_time / 1000 FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone() or (0.0,)
    return float(seconds)


def _build_marts(place: Place, *, start: datetime | None) -> dict[str, float]:
    """Build the marts from `start` on, all of them again without one; seconds by node."""
    window = {"venue": _VENUE, "symbol": SYMBOL, "start": None if start is None else start.isoformat()}
    outcome = build(
        EmbeddedServer(place.home).dsn(BATCH, _DATABASE),
        folder=place.folder / "dbt",
        variables=window,
        full_refresh=start is None,
    )
    outcome.raise_for_models("the bench")
    return {node.name: round(node.seconds, 2) for node in outcome.nodes}


def _checks(place: Place) -> dict[str, float]:
    """Ask every suite about the new month; seconds by suite."""
    great_expectations()
    url = EmbeddedServer(place.home).dsn(BATCH, _DATABASE)
    task = Task(InstrumentKey(_VENUE, SYMBOL), (Month.parse(_NEW),))
    found = {}
    with connect(url, application_name="tidemark bench") as conn:
        windows = windows_of(conn, [task])
    for suite in _SUITES:
        begun = perf_counter()
        answers = list(ask(suite, suite.expectations, windows, url=url, site=None, run="bench"))
        found[suite.name] = perf_counter() - begun
        wrong = [answer.check for answer in answers if not answer.passed]
        if wrong:
            msg = f"checks of {task.instrument} {_NEW} failed: {', '.join(wrong)}"
            raise RuntimeError(msg)
    return found

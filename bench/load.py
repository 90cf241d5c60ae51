"""How fast a month of candles reaches the database, beside a bare COPY of the same rows into the same table.

What a run adds a month beside it (the hole ledger, the digest's row and the chain: a dozen small statements) is not
part of the figure. The peer is what PostgreSQL itself can do: the rows as ready text, one COPY, nothing checked,
nothing compared. Ours is the whole path: `read_month` (archive bytes → checksum → parse → digest, given by the caller)
and `merge_candles`. Both run alternately on one embedded server with its default settings, each on a truncated table
after a checkpoint; the best of each counts, because what else runs on the machine only ever adds time.

    run(smoke=False, read_month=lambda: parse(zip_bytes))
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import psycopg

from bench.measurement import Measurement, at_least, at_most
from contracts import SeriesKey, to_us
from contracts.candles import CANDLE_SCHEMA
from store.candles import MergeCounts, merge_candles
from store.connections import connect
from store.embedded import SUPERUSER, EmbeddedServer
from store.provision import DATABASE, provision
from store.roles import BATCH, ROLES

KEY: Final = SeriesKey("binance_usdm", "BTCUSDT", "1m")
MONTH_ROWS: Final = 44_640  # 31 days of 1m
STRAIGHT_TARGET: Final = 0.60
MERGE_TARGET: Final = 0.45

_START: Final = datetime(2022, 1, 1, tzinfo=UTC)
_SEEN: Final = datetime(2022, 2, 1, 6, tzinfo=UTC)
_TRUNCATE: Final = "TRUNCATE market.candles, market.candle_revisions"
_COLUMNS: Final = (
    "venue, symbol, tf, open_time, close_time, open, high, low, close, volume, trades, taker_buy_vol, quote_vol, "
    "source, ingested_at"
)


def run(
    *, smoke: bool, read_month: Callable[[], pl.DataFrame] | None = None, rounds: int | None = None
) -> list[Measurement]:
    """Measure the load of one month.

    Args:
        smoke: A small run with twice the tolerance, for shared machines.
        read_month: Gives the candle frame of one month of `KEY`; its time counts as ours. None = a generated
            frame at no cost, which measures the store's share alone.
        rounds: How often each way is measured; None = 3 in a smoke run, else 7.
    """
    if read_month is None:
        generated = generated_month(MONTH_ROWS // 4 if smoke else MONTH_ROWS)

        def read_month() -> pl.DataFrame:
            return generated

    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        server = EmbeddedServer(Path(folder) / "home")
        server.start()
        try:
            admin_dsn = server.dsn(SUPERUSER, "postgres")
            provision(admin_dsn, {role: server.secret(role) for role in ROLES})
            with (
                connect(server.dsn(SUPERUSER, DATABASE)) as admin,
                connect(server.dsn(BATCH, DATABASE), application_name="bench") as conn,
            ):
                return _Race(admin, conn, read_month).measured(rounds or (3 if smoke else 7), smoke=smoke)
        finally:
            server.stop()


def generated_month(rows: int, *, seed: int = 1) -> pl.DataFrame:
    """A candle frame of a random walk with the digits of BTCUSDT, the first `rows` minutes of 2022."""
    rng = np.random.default_rng(seed)
    close = np.cumsum(rng.normal(0, 5, rows)) + 42_000
    volume = rng.gamma(2, 30, rows)

    def text(values: np.ndarray[tuple[int], np.dtype[np.float64]], digits: int) -> pl.Series:
        return pl.Series(values).round(digits).cast(pl.String)

    opened_us = pl.Series(to_us(_START) + np.arange(rows, dtype=np.int64) * KEY.tf.us)
    opened = opened_us.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.DataFrame(
        {
            "open_time": opened,
            "open": text(close - 1.3, 2),
            "high": text(close + 9.1, 2),
            "low": text(close - 8.7, 2),
            "close": text(close, 2),
            "volume": text(volume, 3),
            "trades": rng.integers(100, 5_000, rows),
            "taker_buy_vol": text(volume / 2, 3),
            "quote_vol": text(volume * close, 5),
        },
        schema=CANDLE_SCHEMA,
    )


class _Race:
    """The ways of loading one month, each with its own preparation outside the clock."""

    def __init__(
        self, admin: psycopg.Connection, conn: psycopg.Connection, read_month: Callable[[], pl.DataFrame]
    ) -> None:
        self._admin = admin
        self._conn = conn
        self._read = read_month
        candles = read_month()
        self.rows = candles.height
        self._seed = candles.gather_every(100)
        self._payload = _copy_text(candles)

    def measured(self, rounds: int, *, smoke: bool) -> list[Measurement]:
        ways = {"copy": self._bare_copy, "straight": self._straight, "merge": self._merge, "again": self._again}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        touched = 0
        for _ in range(rounds + 1):
            for name, way in ways.items():
                before = self._touched()
                seconds[name].append(way())
                touched += self._touched() - before if name == "again" else 0
        best = {name: min(values[1:]) for name, values in seconds.items()}  # the first round warms caches
        detail: dict[str, float | int | str] = {
            "rows": self.rows,
            **{f"{name} ms": round(value * 1000, 1) for name, value in best.items()},
        }
        return [
            at_least(
                "archive month, empty window, against bare COPY",
                best["copy"] / best["straight"],
                unit="×",
                target=STRAIGHT_TARGET,
                smoke=smoke,
                detail=detail,
            ),
            at_least(
                "archive month, staged merge, against bare COPY",
                best["copy"] / best["merge"],
                unit="×",
                target=MERGE_TARGET,
                smoke=smoke,
                detail=detail,
            ),
            at_least(
                "the same month again, against its merge",
                best["merge"] / best["again"],
                unit="×",
                target=1.0,
                smoke=smoke,
                detail=detail,
            ),
            at_most("rows touched by the same month again", touched, unit="rows", target=0, smoke=smoke),
        ]

    def _bare_copy(self) -> float:
        self._empty()
        start = time.perf_counter()
        with self._conn.cursor() as cursor, cursor.copy(f"COPY market.candles ({_COLUMNS}) FROM STDIN") as copy:
            copy.write(self._payload)
        return time.perf_counter() - start

    def _straight(self) -> float:
        self._empty()
        return self._load(MergeCounts(inserted=self.rows))

    def _merge(self) -> float:
        self._empty()
        merge_candles(self._conn, KEY, self._seed, "rest", seen_at=_SEEN)
        self._admin.execute("CHECKPOINT")
        present = self._seed.height
        return self._load(MergeCounts(inserted=self.rows - present, unchanged=present))

    def _again(self) -> float:
        return self._load(MergeCounts(unchanged=self.rows))  # what the merge before left

    def _load(self, expected: MergeCounts) -> float:
        start = time.perf_counter()
        counts = merge_candles(self._conn, KEY, self._read(), "archive", seen_at=_SEEN)
        elapsed = time.perf_counter() - start
        if counts != expected:
            msg = f"the load counted {counts}, {expected} was expected: what was timed is not what was meant"
            raise RuntimeError(msg)
        return elapsed

    def _empty(self) -> None:
        self._admin.execute(_TRUNCATE)
        self._admin.execute("CHECKPOINT")

    def _touched(self) -> int:
        """Rows that carry a trace of an update, a delete or a row lock, dead ones included."""
        row = self._admin.execute(
            "SELECT (SELECT count(*) FROM market.candles WHERE xmax::text <> '0') "
            "+ pg_stat_get_dead_tuples('market.candles'::regclass)"
        ).fetchone()
        return 0 if row is None else int(row[0])


def _copy_text(candles: pl.DataFrame) -> bytes:
    """The rows as COPY takes them, made without the code under test."""
    opened = pl.col("open_time")
    rows = candles.select(
        pl.lit(KEY.venue).alias("venue"),
        pl.lit(KEY.symbol).alias("symbol"),
        pl.lit(str(KEY.tf)).alias("tf"),
        opened,
        (opened + pl.duration(microseconds=KEY.tf.us - 1_000)).alias("close_time"),
        *CANDLE_SCHEMA.names()[1:],
        pl.lit("archive").alias("source"),
        pl.lit(_SEEN).alias("ingested_at"),
    )
    buffer = io.BytesIO()
    rows.write_csv(buffer, include_header=False, separator="\t", datetime_format="%Y-%m-%d %H:%M:%S%.f+00")
    return buffer.getvalue()

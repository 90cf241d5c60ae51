"""Backtests on record: the run with what it was made from, its trades and its equity.

Invariant: a run is there with all of its rows or not at all, and never changes. Floats come back with the bits they
were written with: prices and money lie in NUMERIC as their shortest text. Decisions are not kept: whoever wants them
runs the configuration on the dataset again, and the fingerprint tells whether it is the same run.

    write_run(conn, run, trades=result.trades, equity=result.equity)
    trades = read_trades(conn, run.run_id)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from contracts import SeriesKey
from store.connections import translated
from store.copying import copy_shortest, read_arrays
from store.errors import FrameRejected
from store.frames import INSTANT, is_text
from store.write_once import document, insert_once

# One row a position that was opened, in the order in which they ended (see the comments of the table).
TRADES_SCHEMA: Final = pl.Schema(
    {
        "trade_id": pl.Int64(),
        "signal_id": pl.String(),
        **dict.fromkeys(("venue", "symbol", "tf", "side"), pl.String()),
        **dict.fromkeys(("placed_ts", "entry_ts", "exit_ts"), INSTANT),
        **dict.fromkeys(("entry", "exit", "stop", "qty", "notional"), pl.Float64()),
        **dict.fromkeys(("r", "pnl", "fees", "funding"), pl.Float64()),
        "exit_reason": pl.String(),
        "guesses": pl.Int64(),
        "ambiguous": pl.Boolean(),
        **dict.fromkeys(("mfe_r", "mae_r"), pl.Float64()),
        "regime": pl.String(),
        "zone_strength": pl.Int16(),
    }
)
EQUITY_SCHEMA: Final = pl.Schema({"ts": INSTANT, "equity": pl.Float64(), "drawdown": pl.Float64()})


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRun:
    """A backtest: what was asked, what it was made from, what came of it.

    Attributes:
        run_id: Its name; never stands for two results.
        profile: Name of the risk profile.
        profile_hash: Fingerprint of the profile, 64 hex characters.
        params: Parameters of the engine.
        param_set: Their fingerprint, 64 hex characters.
        series: Series whose bars were read.
        from_ts: Open time of the first bar.
        to_ts: Exclusive end of the last.
        dataset_id: A dataset on record (`store.datasets`); None = bars from elsewhere.
        engine_version: Of the engine that gave the signals.
        config: Everything that was asked beside the bars, as JSON.
        config_hash: Its fingerprint, 64 hex characters.
        metrics: By name, as JSON; None = not defined.
        fingerprint: Of the whole result, 64 hex characters.
        created_at: When it was run.
        report_path: Where its page was written; None = it has none.
        month: First day of the month whose report it is; None = it belongs to no monthly report.
    """

    run_id: str
    profile: str
    profile_hash: str
    params: Mapping[str, Any]
    param_set: str
    series: tuple[SeriesKey, ...]
    from_ts: datetime
    to_ts: datetime
    dataset_id: str | None
    engine_version: int
    config: Mapping[str, Any]
    config_hash: str
    metrics: Mapping[str, Any]
    fingerprint: str
    created_at: datetime
    report_path: str | None = None
    month: date | None = None


_RUN_COLUMNS: Final = tuple(BacktestRun.__dataclass_fields__)
_DOCUMENTS: Final = ("params", "config", "metrics")


def write_run(conn: psycopg.Connection, run: BacktestRun, *, trades: pl.DataFrame, equity: pl.DataFrame) -> bool:
    """Put a backtest on record, with all of its rows or not at all.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        run: The run.
        trades: `TRADES_SCHEMA`; may be empty.
        equity: `EQUITY_SCHEMA`, each instant once.

    Returns:
        Whether it is new; False = the same result stands under this name already, nothing was changed.

    Raises:
        ResearchRefused: The name stands for another result; the message names both fingerprints.
        FrameRejected: A frame has other columns, a value is not finite or contradicts another, or the dataset is not on
            record.
        DatabaseUnavailable: The database was lost; nothing was stored, the same call may be made again.
    """
    rows = {
        "backtest_trades": checked(trades, TRADES_SCHEMA, of=f"trades of run {run.run_id}"),
        "backtest_equity": checked(equity, EQUITY_SCHEMA, of=f"equity of run {run.run_id}"),
    }
    columns: dict[str, Any] = {
        **{name: getattr(run, name) for name in _RUN_COLUMNS},
        **series_columns(run.series),
        **{name: document(getattr(run, name), of=f"{name} of run {run.run_id}") for name in _DOCUMENTS},
    }
    with translated("write a backtest", key=run.run_id), conn.transaction():
        new = insert_once(conn, "backtest_runs", columns)
        if new:
            for table, frame in rows.items():
                copy_shortest(conn, ("research", table), frame.with_columns(run_id=pl.lit(run.run_id)))
    return new


def read_run(conn: psycopg.Connection, run_id: str) -> BacktestRun | None:
    """A run by its name; None = there is none."""
    found = _select_runs(conn, sql.SQL("WHERE run_id = %(run_id)s"), {"run_id": run_id})
    return found[0] if found else None


def read_runs(conn: psycopg.Connection, *, profile: str | None = None, month: date | None = None) -> list[BacktestRun]:
    """The runs on record, the oldest first.

    Args:
        conn: A connection.
        profile: Of this risk profile alone.
        month: Of the report of this month alone.
    """
    condition = sql.SQL(
        "WHERE (%(profile)s::text IS NULL OR profile = %(profile)s) AND (%(month)s::date IS NULL OR month = %(month)s)"
    )
    return _select_runs(conn, condition, {"profile": profile, "month": month})


def read_trades(conn: psycopg.Connection, run_id: str) -> pl.DataFrame:
    """The trades of a run by number (`TRADES_SCHEMA`); none where there is no such run."""
    columns = [
        sql.SQL("{}::float8" if dtype == pl.Float64 else "{}").format(sql.Identifier(name))
        for name, dtype in TRADES_SCHEMA.items()
    ]
    query = sql.SQL("SELECT {} FROM research.backtest_trades WHERE run_id = %s ORDER BY trade_id")
    with translated("read the trades of a backtest", key=run_id), conn.cursor(binary=True) as cursor:
        rows = cursor.execute(query.format(sql.SQL(", ").join(columns)), [run_id]).fetchall()
    return pl.DataFrame(rows, schema=TRADES_SCHEMA, orient="row")


def read_equity(conn: psycopg.Connection, run_id: str) -> pl.DataFrame:
    """The equity of a run by time (`EQUITY_SCHEMA`); none where there is no such run."""
    columns = [sql.SQL(text) for text in ("ts", "equity::float8", "drawdown")]
    source = sql.SQL("SELECT * FROM research.backtest_equity WHERE run_id = %(run_id)s ORDER BY ts")
    with translated("read the equity of a backtest", key=run_id):
        arrays = read_arrays(conn, columns, source, {"run_id": run_id})
    return pl.DataFrame(dict(zip(EQUITY_SCHEMA, arrays, strict=True))).with_columns(
        pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )


def checked(frame: pl.DataFrame, schema: pl.Schema, *, of: str) -> pl.DataFrame:
    """The frame with exactly the columns of `schema` in its order; words may be Enums, whole numbers of any width.

    Raises:
        FrameRejected: A column is missing, is one too many, or is of another kind.
    """
    if set(frame.columns) != set(schema):
        msg = f"{of} came with the columns {frame.columns}: {list(schema)} are stored"
        raise FrameRejected(msg)
    for name, wanted in schema.items():
        received = frame.schema[name]
        alike = (is_text(received) and is_text(wanted)) or (received.is_integer() and wanted.is_integer())
        if received not in (wanted, pl.Null) and not alike:
            msg = f"{of}: column {name!r} came as {received}, {wanted} is stored"
            raise FrameRejected(msg)
    return frame.select(schema.names())


def series_columns(series: tuple[SeriesKey, ...]) -> dict[str, list[str]]:
    """How the series of a run are stored: as texts, and the symbols among them."""
    return {"series": sorted(map(str, series)), "symbols": sorted({key.symbol for key in series})}


def _select_runs(conn: psycopg.Connection, condition: sql.SQL, params: dict[str, Any]) -> list[BacktestRun]:
    query = sql.SQL("SELECT {} FROM research.backtest_runs {} ORDER BY created_at, run_id").format(
        sql.SQL(", ").join(map(sql.Identifier, _RUN_COLUMNS)), condition
    )
    with translated("read backtests"):
        rows = conn.execute(query, params).fetchall()
    found = [dict(zip(_RUN_COLUMNS, row, strict=True)) for row in rows]
    return [BacktestRun(**{**row, "series": tuple(map(SeriesKey.parse, row["series"]))}) for row in found]

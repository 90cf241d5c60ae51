"""Backtests, trials and walk-forwards for tests of the store, written by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import psycopg

from contracts import SeriesKey
from store.datasets import Manifest, SeriesPart, record_dataset
from store.research import EQUITY_SCHEMA, TRADES_SCHEMA, BacktestRun
from store.trials import Trial
from store.walk_forwards import Fold, WalkForward

BTC = SeriesKey("binance_usdm", "BTCUSDT", "15m")
ETH = SeriesKey("binance_usdm", "ETHUSDT", "15m")
FIRST = datetime(2022, 1, 1, tzinfo=UTC)
END = datetime(2022, 3, 1, tzinfo=UTC)
RAN = datetime(2022, 4, 2, 9, 30, tzinfo=UTC)
PROFILE, PARAMS, CONFIG = "a" * 64, "b" * 64, "c" * 64

RUN = BacktestRun(
    run_id="weekly-1",
    profile="default",
    profile_hash=PROFILE,
    params={"expiry_bars": 200, "targets": [1.5, 2.0]},
    param_set=PARAMS,
    series=(BTC, ETH),
    from_ts=FIRST,
    to_ts=END,
    dataset_id=None,
    engine_version=2,
    config={"capital": "10000", "profile": {"risk_fraction": 0.005}},
    config_hash=CONFIG,
    metrics={"trades": 3, "sharpe": 1.2000000000000002, "profit_factor": None},
    fingerprint="d" * 64,
    created_at=RAN,
)
WALK = WalkForward(
    run_id="walk-1",
    mode="rolling",
    profile="default",
    profile_hash=PROFILE,
    param_set=PARAMS,
    series=(BTC, ETH),
    from_ts=FIRST,
    to_ts=END,
    dataset_id=None,
    engine_version=2,
    config={"purge_bars": 12},
    config_hash=CONFIG,
    metrics={"sharpe": 0.7},
    passed=True,
    verdict="2 of 2 folds, 0.7 out of sample",
    fingerprint="e" * 64,
    created_at=RAN,
    report_path="reports/walk-1.html",
    month=date(2022, 3, 1),
)
TRIAL = Trial(
    trial_id="1" * 64,
    params={"risk_fraction": 0.005},
    sharpe=0.1 + 0.2,
    metrics={"trades": 12, "sortino": None},
    returns=(0.01, -0.0025, 0.0, 1e-9),
    from_ts=FIRST,
    to_ts=END,
    series=(BTC, ETH),
    dataset_id=None,
    engine_version=2,
    fingerprint="2" * 64,
    created_at=RAN,
)


def trades(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Positions that differ from a plain long of an hour in what each row names."""
    plain = {
        "signal_id": "f" * 24,
        "venue": BTC.venue,
        "symbol": BTC.symbol,
        "tf": "15m",
        "side": "LONG",
        "placed_ts": FIRST,
        "entry_ts": FIRST + timedelta(minutes=15),
        "exit_ts": FIRST + timedelta(minutes=75),
        "entry": 41000.1,
        "exit": 41100.0,
        "stop": 40900.0,
        "qty": 0.003,
        "notional": 123.0003,
        "r": 0.9,
        "pnl": 0.27,
        "fees": 0.0297,
        "funding": 0.0,
        "exit_reason": "TARGET",
        "guesses": 0,
        "ambiguous": False,
        "mfe_r": 1.1,
        "mae_r": 0.25,
        "regime": "TREND",
        "zone_strength": 4,
    }
    return pl.DataFrame(
        [plain | {"trade_id": number} | row for number, row in enumerate(rows)], schema=TRADES_SCHEMA
    ).select(TRADES_SCHEMA.names())


def equity(values: list[float]) -> pl.DataFrame:
    """An account seen every hour; drawdown as a fraction below the highest value so far."""
    rows = [
        (FIRST + timedelta(hours=hour), value, 1 - value / max(values[: hour + 1])) for hour, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=EQUITY_SCHEMA, orient="row")


def fold(number: int, **others: Any) -> Fold:  # noqa: ANN401 - the fields of a Fold, each of its own type
    """A fold of two weeks of training, a purge of a day, and a week of test."""
    start = FIRST + timedelta(weeks=number)
    plain = Fold(
        fold=number,
        train_from=start,
        train_to=start + timedelta(days=13),
        test_from=start + timedelta(days=14),
        test_to=start + timedelta(days=21),
        study=f"walk-1 fold {number}",
        params={"risk_fraction": 0.005},
        trial_id=f"{number:064x}",
        in_sample={"sharpe": 1.5, "trades": 40},
        out_of_sample={"sharpe": 0.6, "trades": 20, "tail_ratio": None},
        passed=True,
    )
    return replace(plain, **others)


def recorded_dataset(conn: psycopg.Connection, *, chain: str = "a") -> str:
    """The id of a dataset that is on record."""
    part = SeriesPart(chain=chain * 64, rows=5664, first=FIRST, last=END - timedelta(minutes=15))
    return record_dataset(conn, Manifest(series={BTC: part}), at=RAN)


def counts(conn: psycopg.Connection) -> dict[str, int]:
    """How many rows the tables of results hold."""
    tables = ("backtest_runs", "backtest_trades", "backtest_equity", "trials", "walk_forwards", "walk_forward_folds")
    found = {}
    for table in tables:
        query = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier("research", table))
        [(found[table],)] = conn.execute(query).fetchall()
    return found

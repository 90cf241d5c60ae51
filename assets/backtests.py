"""Backtests on what is stored: the inputs with the id of their dataset, the run, and its rows in `research`.

Everything that is read for a run is read from one snapshot, and named by one dataset id. A run is named by what it was
asked and by its dataset: the same again is the same run, and is not stored twice.

    inputs = read_inputs(conn, keys, start, end, at=now, params=EngineParams())
    result = run_backtest(inputs.bars, inputs.config(profile, capital=Decimal(10_000)))
    record(conn, result, at=now)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import polars as pl
import psycopg

from backtest import BacktestConfig, BacktestResult
from backtest.config import ALWAYS, FUNDING_SCHEMA, Versions
from contracts import InstrumentKey, Rejected, SeriesKey
from engine import ENGINE_VERSION, EngineParams
from risk import CalendarWindow, RiskProfile
from store.calendar import events_as_of
from store.candle_reads import last_open_time, read_bars
from store.catalog import SeriesSetting, list_series, rules_versions
from store.connections import one_snapshot
from store.datasets import manifest_of, record_dataset
from store.funding import read_funding
from store.research import BacktestRun, write_run

WARM_UP_BARS = 1000
"""How many bars before the start the engine reads, where they are stored: zones live for 200, ranks look back on 219,
and of what an average over 200 was begun with less than 0.005 % is left."""

# Characters of a run's name.
_HEX = 24


class NothingStored(Rejected):
    """There are no candles for what was asked."""


class SubTimeframesDiffer(Rejected):
    """The platform computes series of one timeframe in two ways; a backtest has one."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a backtest reads of the database.

    Attributes:
        bars: By series, with those before the start that warm the engine up; series that are not traded answer finer
            questions.
        traded: Timeframes whose signals are traded.
        start: First instant asked for: nothing is traded before.
        end: Exclusive end.
        params: Of the engine.
        sub: Sub-timeframes, as the platform keeps them.
        rules: Versions of each instrument's rules; an instrument of which none are recorded is not there.
        calendar: Events as they were known when this was read.
        funding: Settlements of each perpetual that has any.
        dataset_id: Of all of it.
    """

    bars: Mapping[SeriesKey, pl.DataFrame] = field(repr=False)
    traded: tuple[str, ...]
    start: datetime
    end: datetime
    params: EngineParams
    sub: Mapping[str, str]
    rules: Mapping[InstrumentKey, Versions] = field(repr=False)
    calendar: Sequence[CalendarWindow] = field(repr=False)
    funding: Mapping[InstrumentKey, pl.DataFrame] = field(repr=False)
    dataset_id: str

    def config(
        self, profile: RiskProfile, *, capital: Decimal, ambiguity: Literal["stop", "target"] = "stop"
    ) -> BacktestConfig:
        """A configuration that trades them."""
        return BacktestConfig(
            profile=profile,
            params=self.params,
            capital=capital,
            trade=self.traded,
            start=self.start,
            sub=self.sub,
            rules=self.rules,
            calendar=self.calendar,
            funding=self.funding,
            ambiguity=ambiguity,
            dataset_id=self.dataset_id,
        )


def read_inputs(
    conn: psycopg.Connection,
    keys: Sequence[SeriesKey],
    start: datetime,
    end: datetime,
    *,
    at: datetime,
    params: EngineParams,
) -> Inputs:
    """Read what a backtest of these series needs, and keep the id of the dataset.

    The finest series that the platform keeps of each instrument is read with them, which tells what came first inside a
    longer bar, and so are their sub-timeframes. Of what the engine reads come `WARM_UP_BARS` before the start, too.

    Args:
        conn: A connection in no transaction.
        keys: The series to trade.
        start: First open time.
        end: Exclusive end.
        at: Now; rules and calendar are taken as they are known.
        params: Of the engine.

    Raises:
        NothingStored: A series or its sub-timeframe has no candles in the window, or it ends before it begins.
        SubTimeframesDiffer: Two series of one timeframe have different ones.
        store.datasets.DatasetRefused: A month in the window has no chain.
    """
    if start >= end:
        msg = f"a backtest begins before it ends, received {start.isoformat()} to {end.isoformat()}"
        raise NothingStored(msg)
    with one_snapshot(conn):
        kept = {setting.key: setting for setting in list_series(conn)}
        sub = _sub_timeframes([kept[key] for key in keys if key in kept])
        needed = {*keys, *(key.instrument.series(sub[str(key.tf)]) for key in keys if str(key.tf) in sub)}
        own = [[key for key in kept if key.instrument == one] for one in {key.instrument for key in keys}]
        finest = [min(some) for some in own if some]
        missing = [str(key) for key in sorted(needed) if last_open_time(conn, key, start, end) is None]
        if missing:
            msg = (
                f"no candles of {', '.join(missing)} from {start:%Y-%m-%d} to {end:%Y-%m-%d}: load them first "
                "(tidemark backfill)"
            )
            raise NothingStored(msg)
        since = {key: start - WARM_UP_BARS * key.tf.duration for key in needed}
        warm = min(since.values())
        wanted = sorted({*needed, *(key for key in finest if last_open_time(conn, key, start, end))})
        bars = {key: read_bars(conn, key, since.get(key, start), end) for key in wanted}
        instruments = sorted({key.instrument for key in wanted})
        versions = {one: rules_versions(conn, one, at) for one in instruments}
        events = events_as_of(conn, at, start, end)
        settled = {one: _settlements(conn, one, warm, end) for one in instruments if one.venue == "binance_usdm"}
        manifest = manifest_of(conn, wanted, warm, end, at=at, using=("funding", "calendar", "rules"))
    return Inputs(
        bars=bars,
        traded=tuple(sorted({str(key.tf) for key in keys})),
        start=start,
        end=end,
        params=params,
        sub=sub,
        # Before the first record the earliest known rules stand in (docs/assumptions.md).
        rules={
            one: [(ALWAYS if number == 0 else since, rules) for number, (since, rules) in enumerate(found)]
            for one, found in versions.items()
            if found
        },
        calendar=[
            CalendarWindow(
                ts_start=event.ts_start,
                ts_end=event.ts_end,
                severity=event.severity,
                currency=event.currency,
                known_from=event.known_from,
            )
            for event in events
            if event.severity in ("HIGH", "MED")
        ],
        funding={one: frame for one, frame in settled.items() if frame.height},
        dataset_id=record_dataset(conn, manifest, at=at),
    )


def _sub_timeframes(settings: Sequence[SeriesSetting]) -> dict[str, str]:
    """The sub-timeframe of each timeframe that has one."""
    found: dict[str, SeriesSetting] = {}
    for setting in settings:
        first = found.setdefault(str(setting.key.tf), setting)
        if first.sub_tf != setting.sub_tf:
            told = " and ".join(f"{one.key} from {one.sub_tf or 'nowhere'}" for one in (first, setting))
            msg = (
                f"micro_bos comes to {told}: a backtest has one sub-timeframe for each timeframe; backfill both with "
                f"the same setting sub_timeframes, or trade them apart"
            )
            raise SubTimeframesDiffer(msg)
    return {tf: str(setting.sub_tf) for tf, setting in found.items() if setting.sub_tf is not None}


def _settlements(conn: psycopg.Connection, instrument: InstrumentKey, start: datetime, end: datetime) -> pl.DataFrame:
    """Settlements as the portfolio takes them: one a time, rates of several kinds added up."""
    rows = read_funding(conn, instrument, start, end)
    return (
        rows.group_by("funding_time", maintain_order=True)
        .agg(pl.col("rate").cast(pl.Float64).sum(), pl.col("mark_price").cast(pl.Float64).last())
        .select(FUNDING_SCHEMA.names())
        .cast(dict(FUNDING_SCHEMA))  # type: ignore[arg-type] # names and types
    )


def run_id_of(result: BacktestResult) -> str:
    """The name of a run: what it was asked and what it was made from, 24 hex characters."""
    series = "|".join(map(str, result.written.keys))
    text = f"{result.config.hash}|{result.config.dataset_id}|{series}|{result.start}|{result.until}|{ENGINE_VERSION}"
    return hashlib.sha256(text.encode()).hexdigest()[:_HEX]


def record(
    conn: psycopg.Connection,
    result: BacktestResult,
    *,
    at: datetime,
    report_path: str | None = None,
    month: date | None = None,
) -> bool:
    """Keep a run with its trades and its equity.

    Args:
        conn: A connection.
        result: The run.
        at: Now.
        report_path: Where its page is.
        month: Whose monthly report it is.

    Returns:
        Whether it was new; the same run again stays as it is.
    """
    config = result.config
    run = BacktestRun(
        run_id=run_id_of(result),
        profile=config.profile.name,
        profile_hash=config.profile.hash,
        params=config.params.model_dump(mode="json"),
        param_set=config.params.hash,
        series=tuple(sorted(result.written.keys)),
        from_ts=result.start,
        to_ts=result.until,
        dataset_id=config.dataset_id,
        engine_version=ENGINE_VERSION,
        config=json.loads(config.canonical),
        config_hash=config.hash,
        metrics=result.metrics.to_dict(),
        fingerprint=result.fingerprint,
        created_at=at,
        report_path=report_path,
        month=month,
    )
    return write_run(conn, run, trades=result.trades, equity=result.equity)

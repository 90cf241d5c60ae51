"""Events v1: what the platform publishes, as models whose JSON Schemas are files under `contracts/schemas/`.

Field names are those of the tables. Times are ISO 8601 with `Z`; candle prices and quantities are decimal strings,
statistics are JSON numbers, and a value that is not defined yet (warm-up) is null. A change that a reader of v1
could notice makes a v2 beside it; `python -m contracts.events` rewrites the files after a compatible one.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from contracts.timeframe import Timeframe

SCHEMA_FOLDER = Path(__file__).parent / "schemas"


def _utc(value: datetime) -> datetime:
    offset = value.utcoffset()
    if offset is None or offset.total_seconds() != 0:
        msg = f"a UTC instant is needed, received {value.isoformat()}"
        raise ValueError(msg)
    return value


def _iso_z(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _plain(value: Decimal) -> str:
    return format(value, "f")


Instant = Annotated[AwareDatetime, AfterValidator(_utc), PlainSerializer(_iso_z, return_type=str, when_used="json")]
Exact = Annotated[
    Decimal,
    Field(ge=0, allow_inf_nan=False),
    PlainSerializer(_plain, return_type=str, when_used="json"),
]
Statistic = Annotated[float, Field(allow_inf_nan=False)] | None


class Event(BaseModel):
    """What every event carries: its own name and the series it speaks of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue: str
    symbol: str
    tf: Timeframe


class CandleV1(Event):
    """One closed candle, as the exchange gave it."""

    event: Literal["candles.v1"] = "candles.v1"
    open_time: Instant
    close_time: Instant
    open: Exact
    high: Exact
    low: Exact
    close: Exact
    volume: Exact
    trades: int = Field(ge=0)
    taker_buy_vol: Exact
    quote_vol: Exact
    source: Literal["archive", "rest", "ws"]


class FeaturesV1(Event):
    """The indicators of one bar (engine-spec section 1), known at `ts`."""

    event: Literal["features.v1"] = "features.v1"
    ts: Instant
    ema20: Statistic = None
    ema50: Statistic = None
    ema200: Statistic = None
    rsi14: Statistic = None
    macd: Statistic = None
    macd_signal: Statistic = None
    macd_hist: Statistic = None
    atr14: Statistic = None
    adx14: Statistic = None
    bb_mid: Statistic = None
    bb_upper: Statistic = None
    bb_lower: Statistic = None
    vwap: Statistic = None
    vwma20: Statistic = None
    natr: Statistic = None
    natr_rank: Statistic = None
    bbw_rank: Statistic = None


class RegimeV1(Event):
    """The regime of one bar (engine-spec section 2), known at `ts`."""

    event: Literal["regime.v1"] = "regime.v1"
    ts: Instant
    regime: Literal["SHOCK", "TREND", "RANGE"]
    vol_state: Literal["SHOCK", "CHOP", "OK"]


EVENTS: dict[str, type[Event]] = {"candles.v1": CandleV1, "features.v1": FeaturesV1, "regime.v1": RegimeV1}


def schema_text(name: str) -> str:
    """The JSON Schema of one event as it stands in its file."""
    schema = EVENTS[name].model_json_schema(mode="serialization")
    return json.dumps({"$id": f"tidemark:{name}", **schema}, indent=2, sort_keys=True) + "\n"


def export_schemas(folder: Path = SCHEMA_FOLDER) -> None:
    """Write `<event>.json` for every event."""
    for name in EVENTS:
        (folder / f"{name}.json").write_text(schema_text(name), encoding="utf-8")


if __name__ == "__main__":
    export_schemas()

"""Events v1: what the platform publishes, as models whose JSON Schemas are files under `contracts/schemas/`.

Field names are those of the tables. Times are ISO 8601 with `Z`; prices, levels and quantities that come from candles
or are meant for orders are decimal strings, statistics and hints are JSON numbers, and what is not defined is null. A
change that a reader of v1 could notice makes a v2 beside it; `python -m contracts.events` rewrites the files after a
compatible one.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

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
Price = Annotated[Exact, Field(gt=0)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Statistic = Real | None
Name = Annotated[str, Field(pattern="^[0-9a-f]{24}$")]

BreakKind = Literal["CHOCH_UP", "CHOCH_DN", "BOS_UP", "BOS_DN"]


class _Part(BaseModel):
    """What is published: it does not change, and holds nothing that has no name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Part):
    """What every event carries: its own name and the instrument it speaks of."""

    venue: str
    symbol: str


class SeriesEvent(Event):
    """What every event of a series carries."""

    tf: Timeframe


class CandleV1(SeriesEvent):
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


class FeaturesV1(SeriesEvent):
    """The indicators of one bar (engine-spec sections 1 and 4), known at `ts`."""

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
    trend: Literal[-1, 0, 1]
    range_pos: Statistic = None


class RegimeV1(SeriesEvent):
    """The regime of one bar (engine-spec section 2), known at `ts`."""

    event: Literal["regime.v1"] = "regime.v1"
    ts: Instant
    regime: Literal["SHOCK", "TREND", "RANGE"]
    vol_state: Literal["SHOCK", "CHOP", "OK"]


class SwingV1(SeriesEvent):
    """One swing (engine-spec section 3), confirmed at `ts`, drawn at `pivot_ts`.

    `label` is null for the first of its kind; `left_n` and `right_n` are null in zigzag mode.
    """

    event: Literal["swings.v1"] = "swings.v1"
    ts: Instant
    pivot_ts: Instant
    kind: Literal["HIGH", "LOW"]
    price: Price
    label: Literal["HH", "LH", "LL", "HL"] | None = None
    left_n: int | None = Field(default=None, ge=1)
    right_n: int | None = Field(default=None, ge=1)


class SmcEventV1(SeriesEvent):
    """One structure break (engine-spec section 4); `ref_ts` is the pivot bar of the swing at `level`."""

    event: Literal["smc_events.v1"] = "smc_events.v1"
    ts: Instant
    kind: BreakKind
    ref_ts: Instant
    level: Price


class LiquidityEventV1(SeriesEvent):
    """Equal swings, or a swing that was swept (engine-spec section 4b)."""

    event: Literal["liquidity_events.v1"] = "liquidity_events.v1"
    ts: Instant
    kind: Literal["EQH", "EQL", "SWEEP_HIGH", "SWEEP_LOW"]
    ref_ts: Instant
    level: Price


class ZoneV1(SeriesEvent):
    """A zone or inversion (engine-spec section 5) as its last change left it: the latest event of a key stands.

    The key is series, kind and `created_ts`, of an inversion series, kind and `parent_created_ts`. An inversion
    (`BREAKER`, `IFVG`) has a parent and no origin, a zone an origin and no parent; only an order block has an
    `origin_event`.
    """

    event: Literal["zones.v1"] = "zones.v1"
    kind: Literal["OB", "FVG", "BREAKER", "IFVG"]
    side: Literal["DEMAND", "SUPPLY"]
    price_lo: Price
    price_hi: Price
    created_ts: Instant
    origin_ts: Instant | None = None
    origin_event: BreakKind | None = None
    parent_created_ts: Instant | None = None
    strength: int = Field(ge=0, le=10)
    expiry_bars: int = Field(ge=1)
    touches: int = Field(ge=0)
    first_touch_ts: Instant | None = None
    status: Literal["ACTIVE", "MITIGATED", "EXPIRED", "EVICTED"]
    ended_ts: Instant | None = None

    @model_validator(mode="after")
    def _contradicts_nothing(self) -> Self:
        inverted = self.kind in ("BREAKER", "IFVG")
        agreed = {
            "price_lo lies below price_hi": self.price_lo < self.price_hi,
            "an inversion, and nothing else, has a parent": inverted == (self.parent_created_ts is not None),
            "a zone, and nothing else, has an origin": inverted == (self.origin_ts is None),
            "an order block, and nothing else, has an origin_event": (self.kind == "OB")
            == (self.origin_event is not None),
            "a zone that is not active has an end": (self.status == "ACTIVE") == (self.ended_ts is None),
            "a touched zone has a first touch": (self.touches == 0) == (self.first_touch_ts is None),
        }
        broken = [rule for rule, kept in agreed.items() if not kept]
        if broken:
            msg = f"{self.kind} created at {self.created_ts.isoformat()} contradicts itself: {'; '.join(broken)}"
            raise ValueError(msg)
        return self


class SignalRawV1(SeriesEvent):
    """One signal of an agent (engine-spec section 6), before any guard has seen it.

    Prices are hints in quote units. `tpR` are the targets as multiples of |entry_hint − sl_hint|.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    event: Literal["signals_raw.v1"] = "signals_raw.v1"
    signal_id: Name
    agent: str = Field(min_length=1)
    ts: Instant
    side_hint: Literal["LONG", "SHORT"]
    entry_hint: Real
    sl_hint: Real
    tp_r: tuple[Real, ...] = Field(validation_alias=AliasChoices("tpR", "tp_r"), serialization_alias="tpR")
    features: dict[str, bool | int | Real | str | None]
    score: Real
    ttl_bars: int = Field(ge=1)
    zone_kind: Literal["OB", "FVG"] | None = None
    zone_created_ts: Instant | None = None
    retest_ok: bool
    structure_ok: bool


class RungV1(_Part):
    """One target of a bracket: price in quote units, quantity in base units."""

    price: Price
    qty: Price


class RiskV1(_Part):
    """What a bracket puts at risk: money in quote units, the whole ladder in R; zeros for a HOLD."""

    position_value: Exact
    risk_amount: Exact
    risk_reward: Real


class GateV1(_Part):
    """What one gate said (engine-spec section 7)."""

    gate: str = Field(min_length=1)
    passed: bool
    value: Statistic
    limit: Statistic


class DecisionV1(Event):
    """One evaluation of one signal at the bar `ts` (engine-spec section 7), with the bracket that is to be sent.

    After `valid_until` nobody sends it any more; an entry that is not filled by `entry_expires_at` is cancelled. A HOLD
    names the gate that failed first as its `reason`, has size 0 and no targets, and the prices that were looked at.
    `margin_mode` is null on spot. `context` is all that the evaluation was given.
    """

    event: Literal["decision.v1"] = "decision.v1"
    decision_id: Name
    bracket_id: Name
    ts: Instant
    evaluated_at: Instant
    valid_until: Instant
    book: Literal["live", "paper", "shadow"]
    account: str = Field(min_length=1)
    profile: str = Field(min_length=1)
    param_set: str = Field(min_length=1)
    signal_id: Name
    side: Literal["BUY", "SELL", "HOLD"]
    size: Exact
    entry_type: Literal["LIMIT"]
    entry: Price | None
    entry_expires_at: Instant
    sl: Price | None
    tp_ladder: tuple[RungV1, ...]
    leverage: int = Field(ge=1)
    margin_mode: Literal["ISOLATED"] | None
    risk: RiskV1
    gates: tuple[GateV1, ...]
    reason: str | None
    rule_id: str = Field(min_length=1)
    confidence: Real
    context: dict[str, Any]
    dataset_id: str | None = None
    trace_id: str | None = None

    @model_validator(mode="after")
    def _contradicts_nothing(self) -> Self:
        acted = self.side != "HOLD"
        failed = next((said.gate for said in self.gates if not said.passed), None)
        agreed = {
            "the reason is the first gate that failed": self.reason == failed,
            "what passed every gate is acted on, and nothing else": acted == (failed is None),
            "the targets share the whole size": self.size == sum((rung.qty for rung in self.tp_ladder), Decimal(0)),
            "a HOLD has no size, anything else has one": acted == (self.size > 0),
            "it is valid no longer than its entry may wait": self.ts <= self.valid_until <= self.entry_expires_at,
        }
        if acted:
            agreed["stop, entry and targets stand in this order"] = self._in_order()
        broken = [rule for rule, kept in agreed.items() if not kept]
        if broken:
            msg = f"decision {self.decision_id} of {self.symbol} contradicts itself: {'; '.join(broken)}"
            raise ValueError(msg)
        return self

    def _in_order(self) -> bool:
        """Whether stop, entry and targets ascend for a BUY, descend for a SELL."""
        prices = [self.sl, self.entry, *(rung.price for rung in self.tp_ladder)]
        known = [price for price in prices if price is not None]
        way = 1 if self.side == "BUY" else -1
        return len(known) == len(prices) and all(way * (b - a) > 0 for a, b in pairwise(known))


EVENTS: dict[str, type[Event]] = {
    "candles.v1": CandleV1,
    "features.v1": FeaturesV1,
    "swings.v1": SwingV1,
    "smc_events.v1": SmcEventV1,
    "liquidity_events.v1": LiquidityEventV1,
    "zones.v1": ZoneV1,
    "regime.v1": RegimeV1,
    "signals_raw.v1": SignalRawV1,
    "decision.v1": DecisionV1,
}


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

"""A signal as a decision takes it: what an agent made of one bar (engine-spec section 6), with that bar's atr14.

Prices are float64, for that is what the engine computed; they become exact at the bracket.

Invariant: the stop lies behind the entry; nothing of a signal changes while it lives.

    Signal.from_event(event, atr14=412.5)
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts import InstrumentKey, Timeframe
from contracts.events import Instant, Real, SignalRawV1

Side = Literal["LONG", "SHORT"]
FinitePrice = Annotated[float, Field(gt=0, allow_inf_nan=False)]

# Names of the flags in `signals_raw.features`, seen from the signal's side (engine-spec section 6).
FLAGS = {
    "LONG": {"ema200": "ema200_up", "macd": "macd_hist_up", "rsi": "rsi_mid_rebound"},
    "SHORT": {"ema200": "ema200_down", "macd": "macd_hist_down", "rsi": "rsi_mid_rebound"},
}


class Value(BaseModel):
    """A plain value: what it holds does not change, and nothing else is taken for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Signal(Value):
    """A signal as it was made; nothing of it changes while it lives.

    Attributes:
        signal_id: Its name, 24 hex characters.
        agent: Who made it.
        venue: Of its series, as `symbol` and `tf`.
        ts: When it became known.
        side_hint: Which way.
        entry_hint: Entry in quote units.
        sl_hint: Stop; below the entry of a LONG, above that of a SHORT.
        atr14: Of the signal's bar; None = not defined, which refuses the signal at gate `stop_distance`.
        ttl_bars: For how many bars it may be acted on.
        score: 0 to 1.
        structure_ok: See engine-spec section 6, as the flags `ema200`, `macd`, `rsi`.
        zone_kind: The zone it is about; None = about none.
        zone_created_ts: The zone's key.
    """

    signal_id: str = Field(pattern="^[0-9a-f]{24}$")
    agent: str = Field(min_length=1)
    venue: str
    symbol: str
    tf: Timeframe
    ts: Instant
    side_hint: Side
    entry_hint: FinitePrice
    sl_hint: Real
    atr14: FinitePrice | None
    ttl_bars: int = Field(ge=1)
    score: Real
    structure_ok: bool
    ema200: bool
    macd: bool
    rsi: bool
    zone_kind: Literal["OB", "FVG"] | None = None
    zone_created_ts: Instant | None = None

    @model_validator(mode="after")
    def _stop_is_behind_the_entry(self) -> Self:
        InstrumentKey(self.venue, self.symbol)
        if (self.side_hint == "LONG") != (self.sl_hint < self.entry_hint) or self.sl_hint == self.entry_hint:
            where = "below" if self.side_hint == "LONG" else "above"
            msg = (
                f"the stop of a {self.side_hint} lies {where} its entry, received entry {self.entry_hint} and stop "
                f"{self.sl_hint} of signal {self.signal_id}: correct the agent {self.agent}"
            )
            raise ValueError(msg)
        return self

    @classmethod
    def from_event(cls, event: SignalRawV1, *, atr14: float | None) -> Self:
        """The signal that an event tells of, with the atr14 of its bar (`indicators`)."""
        names = FLAGS[event.side_hint]
        return cls(
            **event.model_dump(
                include={"signal_id", "agent", "venue", "symbol", "tf", "ts", "side_hint", "entry_hint", "sl_hint"}
            ),
            **event.model_dump(include={"ttl_bars", "score", "structure_ok", "zone_kind", "zone_created_ts"}),
            **{flag: event.features.get(name) is True for flag, name in names.items()},
            atr14=atr14,
        )

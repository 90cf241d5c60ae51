"""What a decision is given beside the signal, as plain values: the account, the market's guards, the venue's rules.

Everything here can be written as JSON and read back to equal values, so a recorded context replays to the same
decision. Money and prices of orders are exact decimals; what the engine computed (entry, stop, atr14) is float64.

Invariant: nothing in a context is younger than its clock `now`: a bar, an exit or a settled rate from the future is
refused, not ignored. Only the calendar may tell of what is to come, from its `known_from` on.

    RiskContext(now=now, ts=ts, close=27150.0, vol_state="OK", equity=Decimal(10_000), …, rules=rules)
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from contracts import VENUES, InstrumentRules
from contracts.events import Exact, Instant, Real
from risk.account import ClosedTrade, OpenBracket, Position
from risk.signals import FinitePrice, Value

# Coins that are dollars by another name: news of the dollar are theirs.
DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "TUSD", "USDP", "DAI", "BUSD", "USD"})
EVERY_MARKET = "ALL"


class CalendarWindow(Value):
    """An event of the economic calendar.

    Attributes:
        ts_start: When it begins.
        ts_end: When it ends; not before it begins.
        severity: How wide a window it asks for.
        currency: Whom it concerns; `ALL` = every market.
        known_from: From when on it was known.
    """

    ts_start: Instant
    ts_end: Instant
    severity: Literal["HIGH", "MED"]
    currency: str
    known_from: Instant

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.ts_end < self.ts_start:
            begin, end = self.ts_start.isoformat(), self.ts_end.isoformat()
            msg = f"an event of the calendar ends at {end}, before its start {begin}: exchange them"
            raise ValueError(msg)
        return self

    def concerns(self, rules: InstrumentRules) -> bool:
        """Whether it is about one of the instrument's currencies. News of the dollar concern every coin that is one."""
        coins = {rules.base, rules.quote}
        return self.currency in {EVERY_MARKET, *coins} or (self.currency == "USD" and bool(coins & DOLLARS))


class Funding(Value):
    """Funding of a perpetual.

    Attributes:
        next_time: When it is paid next; None = not known.
        last_time: When it was last settled; None = never yet.
        last_rate: The last *settled* rate, a fraction a long pays; None = none yet.
    """

    next_time: Instant | None = None
    last_time: Instant | None = None
    last_rate: Real | None = None


class RiskContext(Value):
    """Everything a decision is given beside the signal and the profile.

    Attributes:
        book: Where it is traded.
        account: Whose money.
        now: The clock; in a backtest the bar's `ts`.
        ts: Of the bar being evaluated: when it was closed.
        close: Its close.
        vol_state: Its volatility (engine-spec section 2); None = no regime yet.
        zone_status: Of the signal's zone at `ts`; None = the signal has none.
        trading_state: The strictest of all scopes.
        equity: Of the account in quote units, unrealised result included.
        day_start_equity: The same at 00:00 UTC of the day.
        peak_equity: The greatest it ever was.
        positions: All of the account.
        brackets: All open ones of the account.
        trades: Those of this profile that ended, back to `RiskProfile.look_back` at least.
        calendar: Events of the calendar; those not known at `ts` are not seen.
        funding: Of the instrument; None on spot.
        rules: Of the instrument, as of the bar.
    """

    book: Literal["live", "paper", "shadow", "backtest"]
    account: str = Field(min_length=1)
    now: Instant
    ts: Instant
    close: FinitePrice
    vol_state: Literal["OK", "CHOP", "SHOCK"] | None
    zone_status: Literal["ACTIVE", "MITIGATED", "EXPIRED", "EVICTED"] | None
    trading_state: Literal["ACTIVE", "REDUCING", "HALTED"] = "ACTIVE"
    equity: Exact
    day_start_equity: Exact
    peak_equity: Exact
    positions: tuple[Position, ...] = ()
    brackets: tuple[OpenBracket, ...] = ()
    trades: tuple[ClosedTrade, ...] = ()
    calendar: tuple[CalendarWindow, ...] = ()
    funding: Funding | None = None
    rules: InstrumentRules

    @field_validator("equity", "day_start_equity", "peak_equity")
    @classmethod
    def _there_is_money(cls, value: Decimal) -> Decimal:
        if value <= 0:
            msg = f"equity must be above 0 to be risked, received {value}: fund the account or leave it out"
            raise ValueError(msg)
        return value

    @field_validator("rules", mode="before")
    @classmethod
    def _rules_are_known(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was given
        if value is None:
            msg = "no trading rules of the instrument are known as of the bar: record exchange rules first"
            raise ValueError(msg)
        return value

    @field_validator("rules")
    @classmethod
    def _venue_exists(cls, value: InstrumentRules) -> InstrumentRules:
        if value.venue not in VENUES or value.tick_size <= 0 or value.step_size <= 0:
            msg = f"rules of {value.venue}:{value.symbol} with tick {value.tick_size} and step {value.step_size}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _nothing_is_younger_than_the_clock(self) -> Self:
        instants = {"the bar": self.ts}
        instants |= {f"an exit of {trade.symbol}": trade.exit_ts for trade in self.trades if trade.exit_ts > self.now}
        if self.funding and self.funding.last_time:
            instants["the settled funding rate"] = self.funding.last_time
        for what, instant in instants.items():
            if instant > self.now:
                msg = (
                    f"{what} is of {instant.isoformat()}, after the clock {self.now.isoformat()}: "
                    "a decision sees nothing from the future"
                )
                raise ValueError(msg)
        return self

    def seen_at(self, at: datetime) -> tuple[CalendarWindow, ...]:
        """The calendar's events that concern the instrument and were known at `at`, by start."""
        seen = [event for event in self.calendar if event.known_from <= at and event.concerns(self.rules)]
        return tuple(sorted(seen, key=lambda event: (event.ts_start, event.ts_end, event.severity)))

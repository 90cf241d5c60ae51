"""What a backtest is asked: profile, parameters, capital, and all that the bars do not say.

BacktestConfig(profile=shipped_profile("conservative"), capital=Decimal(25_000), rules={key: [(since, rules)]})
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from contracts import InstrumentKey, InstrumentRules, Rejected, Timeframe
from contracts.instrument import CONSERVATIVE_FEES
from engine import EngineParams
from risk import CalendarWindow, RiskProfile, shipped_profile

Versions = Sequence[tuple[datetime, InstrumentRules]]

FUNDING_SCHEMA = pl.Schema({"funding_time": pl.Datetime("us", "UTC"), "rate": pl.Float64(), "mark_price": pl.Float64()})

_DIGITS = 8


class BacktestRefused(Rejected):
    """A backtest that makes no sense as it was asked; the message says what would do."""


@dataclass(frozen=True, kw_only=True)
class BacktestConfig:
    """Everything beside the bars.

    Attributes:
        profile: What one may risk.
        params: Of the engine, for every series.
        capital: Quote units at the start; all instruments must have the same quote.
        trade: Timeframes whose signals are traded; None = all that are given. The others answer finer questions.
        sub: For each timeframe that has one, the sub-timeframe its `micro_bos` comes from.
        rules: For each instrument its trading rules and since when they held, oldest first; before the first record it
            stands in. None for an instrument = `assumed_rules`.
        calendar: Events that the news guard heeds.
        funding: For each perpetual its settlements (`FUNDING_SCHEMA`); none = no funding is paid and the guard sees a
            rate of 0.
        ambiguity: What is taken for true where no bar can tell whether stop or target came first.
        maintenance_margin: See `venues.fills.FillTerms`.
        sample: Time between two points of the equity curve.
        dataset_id: Of the dataset the bars came from; None = they are named by their content alone.

    Raises:
        BacktestRefused: A value is out of its range.
    """

    profile: RiskProfile = field(default_factory=lambda: shipped_profile("default"))
    params: EngineParams = field(default_factory=EngineParams)
    capital: Decimal = Decimal(10_000)
    trade: tuple[str, ...] | None = None
    sub: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[InstrumentKey, Versions] = field(default_factory=dict)
    calendar: Sequence[CalendarWindow] = ()
    funding: Mapping[InstrumentKey, pl.DataFrame] = field(default_factory=dict)
    ambiguity: Literal["stop", "target"] = "stop"
    maintenance_margin: Decimal = Decimal("0.05")
    sample: timedelta = timedelta(hours=1)
    dataset_id: str | None = None

    def __post_init__(self) -> None:
        if not (self.capital.is_finite() and self.capital > 0):
            msg = f"a backtest needs capital above 0 to risk a part of it, received {self.capital}"
            raise BacktestRefused(msg)
        if self.sample <= timedelta(0):
            msg = f"the equity curve needs a time between two points, received {self.sample}"
            raise BacktestRefused(msg)
        for tf in (*(self.trade or ()), *self.sub, *self.sub.values()):
            Timeframe(tf)
        for key, versions in self.rules.items():
            _check_versions(key, versions)
        for key, settled in self.funding.items():
            missing = set(FUNDING_SCHEMA) - set(settled.columns)
            if missing or not settled["funding_time"].is_sorted() or settled["funding_time"].is_duplicated().any():
                msg = f"funding of {key}: {', '.join(FUNDING_SCHEMA)} in the order of time, each time once, is needed"
                raise BacktestRefused(msg)

    @property
    def canonical(self) -> str:
        """Canonical JSON of every value that decides the result."""
        value: dict[str, Any] = {
            "profile": self.profile.model_dump(mode="json"),
            "params": self.params.model_dump(mode="json"),
            "capital": str(self.capital),
            "trade": self.trade,
            "sub": dict(self.sub),
            "rules": {
                str(key): [[since.isoformat(), rules.model_dump(mode="json")] for since, rules in versions]
                for key, versions in self.rules.items()
            },
            "calendar": [event.model_dump(mode="json") for event in self.calendar],
            "funding": {
                str(key): hashlib.sha256(frame.select(FUNDING_SCHEMA.names()).write_csv().encode()).hexdigest()
                for key, frame in self.funding.items()
            },
            "ambiguity": self.ambiguity,
            "maintenance_margin": str(self.maintenance_margin),
            "sample_us": self.sample // timedelta(microseconds=1),
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """sha256 of `canonical`."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()


def _check_versions(key: InstrumentKey, versions: Versions) -> None:
    if not versions:
        msg = f"no version of the rules of {key}: leave the instrument out, and rules are assumed"
        raise BacktestRefused(msg)
    times = [since for since, _ in versions]
    if times != sorted(times) or any((rules.venue, rules.symbol) != (key.venue, key.symbol) for _, rules in versions):
        msg = f"the rules of {key} must be its own and stand in the order of time"
        raise BacktestRefused(msg)


def assumed_rules(key: InstrumentKey, prices: pl.Series) -> InstrumentRules:
    """Rules for an instrument of which none are recorded, on the careful side where it matters.

    The tick is the finest step that its prices show, the lot about a hundredth of a quote unit, an order at least 10
    quote units, fees those of the worst tier.

    Args:
        key: The instrument.
        prices: Some of its closes, quote units.
    """
    digits = next(
        (n for n in range(_DIGITS) if ((prices * 10**n).round() / 10**n - prices).abs().max() < 10.0 ** -(_DIGITS + 2)),
        _DIGITS,
    )
    middle = float(prices.median() or 1.0)  # type: ignore[arg-type] # of floats
    lot = 0
    while 10.0**-lot * middle > 0.1 and lot < _DIGITS:
        lot += 1
    step = Decimal(1).scaleb(-lot)
    maker, taker = CONSERVATIVE_FEES[key.venue]
    is_spot = key.venue == "binance_spot"
    return InstrumentRules(
        venue=key.venue,
        symbol=key.symbol,
        status="TRADING",
        contract_type="SPOT" if is_spot else "PERPETUAL",
        base=key.symbol.removesuffix("USDT") or key.symbol,
        quote="USDT",
        tick_size=Decimal(1).scaleb(-digits),
        min_price=None,
        max_price=None,
        step_size=step,
        min_qty=step,
        max_qty=None,
        market_step_size=None,
        market_min_qty=None,
        market_max_qty=None,
        min_notional=Decimal(10),
        max_notional=None,
        order_types=(),
        filters=(),
        maker_fee=maker,
        taker_fee=taker,
        max_leverage=Decimal(1 if is_spot else 3),
        fees_source="conservative",
    )


# Since always: the first version of assumed rules.
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)

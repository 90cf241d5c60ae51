"""What a backtest is asked: profile, parameters, capital, and all that the bars do not say.

Invariant: a configuration that was made can be run; what cannot is refused as it is made, with what would do.

    BacktestConfig(profile=shipped_profile("conservative"), capital=25_000, rules={key: [(since, rules)]})
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

import polars as pl

from contracts import InstrumentKey, InstrumentRules, Rejected, Timeframe
from engine import EngineParams
from risk import CalendarWindow, RiskProfile, shipped_profile

Versions = Sequence[tuple[datetime, InstrumentRules]]
Ambiguity = Literal["stop", "target"]

FUNDING_SCHEMA = pl.Schema({"funding_time": pl.Datetime("us", "UTC"), "rate": pl.Float64(), "mark_price": pl.Float64()})

# Since always: the first version of assumed rules.
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class BacktestRefused(Rejected):
    """A backtest that makes no sense as it was asked; the message says what would do."""


@dataclass(frozen=True, kw_only=True, repr=False)
class BacktestConfig:
    """Everything beside the bars.

    Amounts may be given as whole numbers, floats or texts too: they are kept as the decimals that these are written as.

    Attributes:
        profile: What one may risk.
        params: Of the engine, for every series.
        capital: Quote units at the start; all instruments must have the same quote.
        trade: Timeframes whose signals are traded; None = all that are given. The others answer finer questions.
        sub: For each timeframe that has one, the sub-timeframe its `micro_bos` comes from.
        rules: For each instrument its trading rules and since when they held, oldest first; before the first record it
            stands in. None for an instrument = `backtest.assumed.assumed_rules`.
        calendar: Events that the news guard heeds.
        funding: For each perpetual its settlements (`FUNDING_SCHEMA`), each time once and in their order: rates as
            fractions, marks in quote units, null = not known. None = no funding is paid and the guard sees a rate of 0.
        ambiguity: What is taken for true where no bar can tell whether stop or target came first.
        maintenance_margin: See `venues.fills.FillTerms`.
        sample: Time between two points of the equity curve.
        start: The first instant at which signals are traded, where the account, its days and its curve begin. Earlier
            bars only warm the engine up: what it knows by then it keeps, and the signals before it are never traded,
            not even those that live on. None, or no bar before it = from the first bar.
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
    ambiguity: Ambiguity = "stop"
    maintenance_margin: Decimal = Decimal("0.05")
    sample: timedelta = timedelta(hours=1)
    start: datetime | None = None
    dataset_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("capital", "maintenance_margin"):
            object.__setattr__(self, name, _amount(name, getattr(self, name)))
        _check_models(self.profile, self.params)
        if self.capital <= 0:
            msg = f"a backtest needs capital above 0 to risk a part of it, received {self.capital}"
            raise BacktestRefused(msg)
        _check_sample(self.sample)
        if self.ambiguity not in get_args(Ambiguity):
            msg = f"ambiguity is {self.ambiguity!r}: {' or '.join(map(repr, get_args(Ambiguity)))} would do"
            raise BacktestRefused(msg)
        _check_timeframes(self.trade, self.sub)
        _check_start(self.start)
        for key, versions in self.rules.items():
            _check_instrument("rules", key)
            _check_versions(key, versions)
        for key, settled in self.funding.items():
            _check_instrument("funding", key)
            _check_settlements(key, settled)

    def __repr__(self) -> str:
        trade = "every timeframe" if self.trade is None else ", ".join(self.trade)
        return (
            f"BacktestConfig(profile {self.profile.name} {self.profile.hash[:12]}, engine {self.params.hash[:12]}, "
            f"capital {_plain(self.capital)}, trades {trade}, rules of {len(self.rules)}, {self.hash[:12]})"
        )

    @property
    def canonical(self) -> str:
        """Canonical JSON of every value that decides the result."""
        value: dict[str, Any] = {
            "profile": self.profile.model_dump(mode="json"),
            "params": self.params.model_dump(mode="json"),
            "capital": _plain(self.capital),
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
            "maintenance_margin": _plain(self.maintenance_margin),
            "sample_us": self.sample // timedelta(microseconds=1),
        }
        if self.start is not None:  # so that what was asked before there was one keeps its hash
            value["start"] = self.start.astimezone(UTC).isoformat()
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """sha256 of `canonical`."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()


def _plain(value: Decimal) -> str:
    """Digits alone: one text for one value."""
    return format(value.normalize(), "f")


def _amount(name: str, value: object) -> Decimal:
    """The decimal that a value is written as, a float by its shortest text."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite():
        msg = f"{name} is {value!r}: a finite number would do, as a Decimal, an int, a float or its text"
        raise BacktestRefused(msg)
    return found


def _check_models(profile: object, params: object) -> None:
    if isinstance(profile, str):
        msg = f"profile is the text {profile!r}: hand on the profile itself, risk.shipped_profile({profile!r})"
        raise BacktestRefused(msg)
    for name, value, model in (("profile", profile, RiskProfile), ("params", params, EngineParams)):
        if not isinstance(value, model):
            msg = f"{name} is a {type(value).__name__}: hand on a {model.__name__}"
            raise BacktestRefused(msg)


def _check_sample(sample: object) -> None:
    if not isinstance(sample, timedelta) or sample <= timedelta(0):
        msg = f"sample is {sample!r}: the equity curve needs a time between two points, a timedelta above 0"
        raise BacktestRefused(msg)


def _check_start(start: object) -> None:
    if start is not None and (not isinstance(start, datetime) or start.tzinfo is None):
        msg = f"start is {start!r}: an instant of UTC would do, datetime(2024, 1, 1, tzinfo=UTC)"
        raise BacktestRefused(msg)


def _check_timeframes(trade: object, sub: Mapping[str, str]) -> None:
    if isinstance(trade, str):
        msg = f"trade is the text {trade!r}: hand on a tuple of timeframes, ({trade!r},)"
        raise BacktestRefused(msg)
    try:
        for tf in (*(trade or ()), *sub, *sub.values()):  # type: ignore[misc] # what is none is refused
            Timeframe(tf)
    except (TypeError, ValueError) as error:
        msg = f"trade and sub are made of timeframes: {error}"
        raise BacktestRefused(msg) from error


def _check_instrument(what: str, key: object) -> None:
    if not isinstance(key, InstrumentKey):
        msg = (
            f"{what} are told by instrument, as InstrumentKey.parse('binance_spot:BTCUSDT') names one; {key!r} is none"
        )
        raise BacktestRefused(msg)


def _check_versions(key: InstrumentKey, versions: Versions) -> None:
    if not versions:
        msg = f"no version of the rules of {key}: leave the instrument out, and rules are assumed"
        raise BacktestRefused(msg)
    times = [since for since, _ in versions]
    if times != sorted(times) or any((rules.venue, rules.symbol) != (key.venue, key.symbol) for _, rules in versions):
        msg = f"the rules of {key} must be its own and stand in the order of time"
        raise BacktestRefused(msg)


def _check_settlements(key: InstrumentKey, settled: object) -> None:
    """Refuse funding that would not say what is paid when; the message names the row."""
    if not isinstance(settled, pl.DataFrame):
        msg = f"funding of {key} is a {type(settled).__name__}: hand on a polars DataFrame"
        raise BacktestRefused(msg)
    faults = [name for name, dtype in FUNDING_SCHEMA.items() if settled.schema.get(name) != dtype]
    if faults:
        needed = ", ".join(f"{name} as {dtype}" for name, dtype in FUNDING_SCHEMA.items())
        msg = (
            f"funding of {key}: needed are {needed}; look at {', '.join(faults)} in {_shown(settled)}; "
            "what has another type may be cast, instants to UTC"
        )
        raise BacktestRefused(msg)
    time, rate, mark = (pl.col(name) for name in FUNDING_SCHEMA)
    for fault, sound in (
        ("has no funding_time", time.is_not_null()),
        ("does not come after the row before it", time.diff().fill_null(timedelta(1)) > timedelta(0)),
        ("has a rate that is no finite fraction", rate.is_not_null() & rate.is_finite()),
        ("has a mark_price that is neither null nor positive", mark.is_null() | (mark.is_finite() & (mark > 0))),
    ):
        rows = settled.select((~sound).arg_true()).to_series()
        if rows.len():
            msg = f"funding of {key}: row {rows[0]} {fault}: {settled.select(FUNDING_SCHEMA.names()).row(rows[0])}"
            raise BacktestRefused(msg)


def _shown(frame: pl.DataFrame) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in frame.schema.items()) or "no columns"

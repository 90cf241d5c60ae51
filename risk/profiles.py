r"""Risk profiles: every number of the decision (engine-spec section 7), validated once, hashed, read from YAML.

Invariant: equal hashes mean equal values of every number; the name is no part of it. A profile that was accepted can
be met: what contradicts itself is refused with the field, the value and what would do. The defaults are the table's.

    shipped_profile("default").hash
    parse_profile("name: mine\nrisk_fraction: 0.002", "mine.yaml")
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contracts import Rejected, Timeframe
from contracts.complaints import complaints_of

SHIPPED = ("conservative", "default", "aggressive")

# Records have room for so many targets and guarded stops (risk.records).
MAX_TARGETS = 8
MAX_STOPS = 16

Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Multiple = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Minutes = Annotated[int, Field(ge=-1440, le=1440)]
Hours = Annotated[int, Field(ge=0, le=24 * 31)]
Window = tuple[Minutes, Minutes]


class ProfileRefused(Rejected):
    """A risk profile that cannot be read or cannot be met."""


class RiskProfile(BaseModel):
    """What one may risk. Fractions are of equity unless said; windows are minutes around an instant, both ends in.

    Attributes:
        name: What decisions are booked under; no part of the hash.
        risk_fraction: Most a bracket may lose at its stop, costs included; a fraction of equity × capital_share.
        capital_share: Which share of the account's equity is this profile's.
        slippage: By how much of its price a fill may be worse, a fraction in whole parts per million.
        targets: (r, share of the quantity) of each target, nearest first; r in units of |entry − stop|.
        after_first: What becomes of the stop at the first target.
        trail_atr: Distance of a trailing stop in atr14; used by `trail` alone.
        max_bars: Time stop in bars after the entry; None = none.
        fresh_share: How old an evaluated bar may be, a share of its timeframe; the lesser of this and `fresh_seconds`.
        fresh_seconds: The same in seconds.
        news_high: Minutes around a HIGH event of the calendar, the first before it (negative), the second after it.
        news_med: Minutes around a MED event.
        funding: Minutes around the instants of funding.
        funding_rate: The last settled rate against the side must be below this fraction.
        triggers: How many of `ema200`, `macd`, `rsi` a signal needs.
        cooldown_bars: Whole bars of the signal's timeframe to wait after a stop of the symbol; 0 = none.
        stop_guard_stops: So many stops of the whole profile within `stop_guard_hours` lock it.
        stop_guard_hours: How long a stop counts for `stop_guard_stops`.
        stop_guard_lock_hours: How long such stops lock the profile; 0 = never.
        low_profit_r: A symbol that has made no more than this many R (negative) within `low_profit_hours` is locked.
        low_profit_hours: How long an exit counts for `low_profit_r`.
        low_profit_lock_hours: How long a low profit locks its symbol; 0 = never.
        daily_drawdown: Loss since the UTC day's start, unrealised included, at which there are no entries.
        total_drawdown: Loss since the peak, unrealised included, at which there are no entries.
        max_positions: How many positions and unfilled brackets there may be.
        stop_atr: Least and greatest |entry − stop| in atr14.
        symbol_exposure: Most notional of one symbol.
        direction_exposure: Most notional of one direction.
        portfolio_heat: Most that may be lost if every stop is hit.
        leverage: Most notional ÷ equity on futures, and the leverage set at the venue. Spot is 1.
        reward: Least first target ÷ (fees and slippage both ways).

    Raises:
        pydantic.ValidationError: A value is no number, out of its bounds, contradicts another, or has an unknown name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")] = "default"
    risk_fraction: Annotated[float, Field(gt=0, le=0.05, allow_inf_nan=False)] = 0.005
    capital_share: Fraction = 1.0
    slippage: Annotated[float, Field(ge=0, le=0.01, allow_inf_nan=False)] = 0.0002
    targets: Annotated[tuple[tuple[Multiple, Fraction], ...], Field(min_length=1, max_length=MAX_TARGETS)] = (
        (1.5, 0.33),
        (2.0, 0.33),
        (3.0, 0.34),
    )
    after_first: Literal["keep", "breakeven", "trail"] = "keep"
    trail_atr: Multiple = 2.0
    max_bars: Annotated[int, Field(ge=1, le=100_000)] | None = None
    fresh_share: Fraction = 0.5
    fresh_seconds: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 60.0
    news_high: Window = (-30, 30)
    news_med: Window = (-10, 10)
    funding: Window = (-10, 10)
    funding_rate: Annotated[float, Field(gt=0, le=0.05, allow_inf_nan=False)] = 0.0005
    triggers: Annotated[int, Field(ge=0, le=3)] = 2
    cooldown_bars: Annotated[int, Field(ge=0, le=1000)] = 4
    stop_guard_stops: Annotated[int, Field(ge=1, le=MAX_STOPS)] = 3
    stop_guard_hours: Hours = 24
    stop_guard_lock_hours: Hours = 12
    low_profit_r: Annotated[float, Field(ge=-100, lt=0, allow_inf_nan=False)] = -2.0
    low_profit_hours: Hours = 24 * 7
    low_profit_lock_hours: Hours = 24
    daily_drawdown: Fraction = 0.03
    total_drawdown: Fraction = 0.10
    max_positions: Annotated[int, Field(ge=1, le=1000)] = 4
    stop_atr: tuple[Multiple, Multiple] = (0.5, 3.0)
    symbol_exposure: Multiple = 1.0
    direction_exposure: Multiple = 2.0
    portfolio_heat: Fraction = 0.02
    leverage: Annotated[int, Field(ge=1, le=3)] = 3
    reward: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 3.0

    @field_validator("*")
    @classmethod
    def _zero_has_no_sign(cls, value: object) -> object:
        """−0.0 is 0.0, and must not have a hash of its own."""
        return value + 0.0 if isinstance(value, float) else value

    @field_validator("slippage")
    @classmethod
    def _slippage_counts_parts_per_million(cls, value: float) -> float:
        if abs(value * 1e6 - round(value * 1e6)) > 1e-6:
            msg = f"slippage counts whole parts per million, received {value}: {round(value * 1e6) / 1e6} would do"
            raise ValueError(msg)
        return value

    @field_validator("targets")
    @classmethod
    def _targets_ascend_and_share_the_whole(cls, targets: tuple[tuple[float, float], ...]) -> Any:  # noqa: ANN401
        if any(later[0] <= earlier[0] for earlier, later in pairwise(targets)):
            msg = f"targets must ascend, received {[r for r, _ in targets]}: put the nearest first"
            raise ValueError(msg)
        whole = sum(share for _, share in targets)
        if abs(whole - 1) > 1e-9:
            msg = (
                f"the shares of the targets must sum to 1, received {[s for _, s in targets]}, which sum to {whole:.6g}"
            )
            raise ValueError(msg)
        return targets

    @field_validator("news_high", "news_med", "funding")
    @classmethod
    def _windows_surround_their_instant(cls, window: tuple[int, int]) -> tuple[int, int]:
        if not window[0] <= 0 <= window[1]:
            msg = f"a window goes from minutes before (0 or less) to minutes after (0 or more), received {list(window)}"
            raise ValueError(msg)
        return window

    @field_validator("stop_atr")
    @classmethod
    def _least_stop_is_nearer_than_the_greatest(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] >= bounds[1]:
            msg = f"the least distance of the stop must be below the greatest, received {list(bounds)}"
            raise ValueError(msg)
        return bounds

    @model_validator(mode="after")
    def _limits_can_be_met(self) -> Self:
        for inner, outer in (
            ("risk_fraction", "portfolio_heat"),
            ("daily_drawdown", "total_drawdown"),
            ("symbol_exposure", "direction_exposure"),
        ):
            if getattr(self, inner) > getattr(self, outer):
                msg = (
                    f"{inner} must not exceed {outer}, received {getattr(self, inner)} and {getattr(self, outer)}: "
                    f"lower {inner} or raise {outer}"
                )
                raise ValueError(msg)
        return self

    @property
    def canonical(self) -> str:
        """JSON of all numbers, without the name: keys sorted, no spaces, floats in their shortest form."""
        return json.dumps(self.model_dump(exclude={"name"}), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """sha256 of `canonical`, 64 hex characters."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    def look_back(self, tf: Timeframe) -> timedelta:
        """How far back the closed trades of a context must reach for the protections to be exact."""
        guard = self.stop_guard_hours + self.stop_guard_lock_hours
        lock = self.low_profit_hours + self.low_profit_lock_hours
        return max(timedelta(hours=max(guard, lock)), tf.duration * self.cooldown_bars)


def parse_profile(text: str, origin: str) -> RiskProfile:
    """A profile written as YAML: a mapping of the fields that differ from the defaults.

    Args:
        text: The YAML.
        origin: Where it comes from, for messages; a file's name.

    Raises:
        ProfileRefused: It is no YAML mapping, states a field twice, or states limits that cannot be met.
    """
    try:
        fields = yaml.load(text, Loader=_OnceEach)  # noqa: S506 - a SafeLoader that also refuses duplicate keys
    except yaml.YAMLError as error:
        msg = f"the risk profile {origin} cannot be read as YAML: {error}"
        raise ProfileRefused(msg) from error
    if not isinstance(fields, dict):
        msg = f"the risk profile {origin} must map names of fields to values, received {type(fields).__name__}"
        raise ProfileRefused(msg)
    try:
        return RiskProfile.model_validate({name: _tuples(value) for name, value in fields.items()})
    except ValidationError as error:
        msg = f"the risk profile {origin} was refused: {complaints_of(error, RiskProfile)}"
        raise ProfileRefused(msg) from error


@cache
def shipped_profile(name: str) -> RiskProfile:
    """One of `SHIPPED`.

    Raises:
        ProfileRefused: There is none of that name.
    """
    if name not in SHIPPED:
        msg = f"no risk profile {name!r} is shipped: use one of {', '.join(SHIPPED)}, or a file of your own"
        raise ProfileRefused(msg)
    file = resources.files("risk") / "shipped" / f"{name}.yaml"
    return parse_profile(file.read_text(encoding="utf-8"), f"{name}.yaml")


def _tuples(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Sequences as tuples, which is what a strict model takes for them."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


class _OnceEach(yaml.SafeLoader):
    """YAML without a second value for a key, of which the loader would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"stated twice: {', '.join(twice)}; keep one of each", node.start_mark
            )
        return super().construct_mapping(node, deep)

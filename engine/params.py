"""The parameters of the engine (engine-spec section 8), validated once and hashed into every snapshot and result.

Invariant: equal hashes mean equal values of every parameter. Lengths of indicators are no parameters: their columns
carry them in their names. What bounds the state has an upper bound here (law 4).

    EngineParams(swing_mode="zigzag", trend_adx=30).hash
"""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Multiple = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveMultiple = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LookBack = Annotated[int, Field(ge=0, le=199)]
Limit = Annotated[int, Field(ge=1, le=256)]


class EngineParams(BaseModel):
    """What may differ between two engines of one version.

    Attributes:
        shock_tr: SHOCK where the true range exceeds this multiple of the previous bar's atr14 (section 2).
        shock_rank: SHOCK where natr_rank is at or above this share, 0 to 1.
        trend_adx: TREND at or above this adx14, 0 to 100.
        range_adx: RANGE below this adx14; not above `trend_adx`.
        chop_rank: CHOP where a RANGE has a bbw_rank at or below this share, 0 to 1.
        swing_mode: How swings are found (section 3).
        pivot_n: Bars on either side that must not reach beyond a pivot.
        zigzag_k: How many atr14 a close must come back from an extreme, in mode `zigzag`.
        eq_tol: Two levels are equal within this multiple of atr14 (section 4b).
        fvg_min_atr: Least height of a fair value gap, in atr14 (section 5).
        ob_lookback: How many bars before a break its order block may lie.
        confluence_bars: How many bars a gap and a break may lie apart to be confluent.
        expiry_bars: Age in bars at which a zone expires.
        max_zones: How many zones may be active; a further one evicts the oldest.
        max_inversions: How many inversions may be active; a further one evicts the oldest.
        retest_window: How many bars after its break a setup lives (section 6).
        retest_tol: How near a zone counts as entered, in atr14.
        rsi_long: Bounds, both included, of the previous rsi14 of a rebound of a LONG.
        rsi_short: Bounds, both included, of the previous rsi14 of a rebound of a SHORT.
        tp_r: Targets that a signal suggests, in units of its risk, ascending; the profile's `targets` are traded.
        ttl_bars: How many bars a signal may be acted on.

    Raises:
        pydantic.ValidationError: A value is no number, out of its bounds, or of an unknown name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    shock_tr: PositiveMultiple = 3.0
    shock_rank: Share = 0.99
    trend_adx: Percent = 25.0
    range_adx: Percent = 20.0
    chop_rank: Share = 0.20
    swing_mode: Literal["pivot", "zigzag"] = "pivot"
    pivot_n: Annotated[int, Field(ge=2, le=10)] = 3
    zigzag_k: PositiveMultiple = 2.0
    eq_tol: Multiple = 0.1
    fvg_min_atr: Multiple = 0.3
    ob_lookback: Annotated[int, Field(ge=1, le=199)] = 50
    confluence_bars: LookBack = 3
    expiry_bars: Annotated[int, Field(ge=1, le=100_000)] = 200
    max_zones: Limit = 64
    max_inversions: Limit = 64
    retest_window: Annotated[int, Field(ge=1, le=1_000)] = 8
    retest_tol: Multiple = 0.25
    rsi_long: tuple[Percent, Percent] = (40.0, 55.0)
    rsi_short: tuple[Percent, Percent] = (45.0, 60.0)
    tp_r: Annotated[tuple[PositiveMultiple, ...], Field(min_length=1, max_length=8)] = (1.5, 2.0, 3.0)
    ttl_bars: Annotated[int, Field(ge=1, le=1_000)] = 6

    @field_validator("*")
    @classmethod
    def _zero_has_no_sign(cls, value: object) -> object:
        """−0.0 is 0.0, and must not have a hash of its own."""
        return value + 0.0 if isinstance(value, float) else value

    @model_validator(mode="after")
    def _range_lies_below_trend(self) -> Self:
        if self.range_adx > self.trend_adx:
            msg = f"range_adx must not exceed trend_adx, received {self.range_adx} and {self.trend_adx}"
            raise ValueError(msg)
        return self

    @field_validator("rsi_long", "rsi_short")
    @classmethod
    def _bounds_are_ordered(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] > bounds[1]:
            msg = f"the lower bound comes first, received {bounds}"
            raise ValueError(msg)
        return bounds

    @field_validator("tp_r")
    @classmethod
    def _targets_ascend(cls, targets: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(targets)):
            msg = f"targets must ascend, received {targets}"
            raise ValueError(msg)
        return targets

    @property
    def canonical(self) -> str:
        """JSON of all parameters: names sorted, no spaces, floats in their shortest form."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """sha256 of `canonical`, 64 hex characters."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

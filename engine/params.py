"""The parameters of the engine (engine-spec section 8), validated once and hashed into every snapshot and result.

Invariant: equal hashes mean equal values of every parameter. Lengths of indicators are no parameters: their columns
carry them in their names. Parameters appear here together with the section that uses them.

    EngineParams(trend_adx=30).hash
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Adx = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class EngineParams(BaseModel):
    """What may differ between two engines of one version.

    Attributes:
        shock_tr: SHOCK where the true range exceeds this multiple of the previous bar's atr14 (section 2).
        shock_rank: SHOCK where natr_rank is at or above this share, 0 to 1.
        trend_adx: TREND at or above this adx14, 0 to 100.
        range_adx: RANGE below this adx14; not above `trend_adx`.
        chop_rank: CHOP where a RANGE has a bbw_rank at or below this share, 0 to 1.

    Raises:
        pydantic.ValidationError: A value is no number, out of its bounds, or of an unknown name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    shock_tr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    shock_rank: Share = 0.99
    trend_adx: Adx = 25.0
    range_adx: Adx = 20.0
    chop_rank: Share = 0.20

    @model_validator(mode="after")
    def _range_lies_below_trend(self) -> Self:
        if self.range_adx > self.trend_adx:
            msg = f"range_adx must not exceed trend_adx, received {self.range_adx} and {self.trend_adx}"
            raise ValueError(msg)
        return self

    @property
    def canonical(self) -> str:
        """JSON of all parameters: names sorted, no spaces, floats in their shortest form."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """sha256 of `canonical`, 64 hex characters."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

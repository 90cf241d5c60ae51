"""What a benchmark found: a named value beside the figure it was promised to reach.

Invariant: a measurement judges itself once, when it is made; nothing here knows how it is printed. In a smoke run
(small sizes, shared machines) the promise is relaxed by `SMOKE_TOLERANCE`.

    at_least("engine throughput", 10.6e6, unit="bars/s", target=6e6, smoke=False).passed
"""

from __future__ import annotations

from dataclasses import dataclass, field

SMOKE_TOLERANCE = 2.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured figure.

    Attributes:
        name: What was measured, unique within a run.
        value: What was found, in `unit`.
        unit: Unit of value and target; "×" for a ratio to a peer measured in the same run.
        target: The stated figure, tolerance of a smoke run included; None = printed for information.
        passed: Whether the value reaches the target; always true without one.
        detail: Figures behind the value, for a reader who asks why.
    """

    name: str
    value: float
    unit: str
    target: float | None
    passed: bool
    detail: dict[str, float | int | str] = field(default_factory=dict)


def at_least(
    name: str,
    value: float,
    *,
    unit: str,
    target: float | None,
    smoke: bool,
    detail: dict[str, float | int | str] | None = None,
) -> Measurement:
    """A measurement where more is better; a smoke run has to reach half the target."""
    bound = None if target is None else target / SMOKE_TOLERANCE if smoke else target
    return Measurement(name, value, unit, bound, bound is None or value >= bound, detail or {})


def at_most(
    name: str,
    value: float,
    *,
    unit: str,
    target: float,
    smoke: bool,
    detail: dict[str, float | int | str] | None = None,
) -> Measurement:
    """A measurement where less is better; a smoke run may take twice the target."""
    bound = target * SMOKE_TOLERANCE if smoke else target
    return Measurement(name, value, unit, bound, value <= bound, detail or {})

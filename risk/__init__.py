"""Decisions: one pure function used by backtest, paper and live, which explains every yes and every no.

No I/O and no clock: time comes in with the bar. Names are imported when they are first used: who reads a profile or
renders a text must not wait for a compiler.

    decision = decide(signal, context, shipped_profile("default"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from risk.account import ClosedTrade, OpenBracket, Position
    from risk.context import CalendarWindow, Funding, RiskContext
    from risk.decision import Decision, GateResult, Risk, Target, Undecidable, decide, replay
    from risk.gates import GATES
    from risk.profiles import SHIPPED, ProfileRefused, RiskProfile, parse_profile, shipped_profile
    from risk.publishing import event_of
    from risk.signals import Signal
    from risk.texts import rendered

__all__ = [
    "GATES",
    "SHIPPED",
    "CalendarWindow",
    "ClosedTrade",
    "Decision",
    "Funding",
    "GateResult",
    "OpenBracket",
    "Position",
    "ProfileRefused",
    "Risk",
    "RiskContext",
    "RiskProfile",
    "Signal",
    "Target",
    "Undecidable",
    "decide",
    "event_of",
    "parse_profile",
    "rendered",
    "replay",
    "shipped_profile",
]

_HOMES = {
    "risk.account": ("ClosedTrade", "OpenBracket", "Position"),
    "risk.context": ("CalendarWindow", "Funding", "RiskContext"),
    "risk.decision": ("Decision", "GateResult", "Risk", "Target", "Undecidable", "decide", "replay"),
    "risk.gates": ("GATES",),
    "risk.profiles": ("SHIPPED", "ProfileRefused", "RiskProfile", "parse_profile", "shipped_profile"),
    "risk.publishing": ("event_of",),
    "risk.signals": ("Signal",),
    "risk.texts": ("rendered",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)

"""From a decision to the event that tells of it: `decision.v1`, which whoever sends orders is handed.

How long a decision may still be sent is the sender's to say, and the trace it belongs to is known to him alone: both
are added here. Texts of gates are not sent; a reader makes them of the numbers (risk.texts).

Invariant: the event says what the decision says, to the last digit.

    event = event_of(decision, valid_until=decision.ts + timedelta(seconds=60), trace_id=trace_id)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.events import DecisionV1, GateV1, RiskV1, RungV1

if TYPE_CHECKING:
    from datetime import datetime

    from risk.decision import Decision

# Fields that the event has under the same name.
_SAME = (
    *("decision_id", "bracket_id", "ts", "evaluated_at", "book", "account", "profile", "param_set", "signal_id"),
    *("venue", "symbol", "side", "size", "entry_type", "entry", "entry_expires_at", "sl", "leverage", "margin_mode"),
    *("reason", "rule_id", "confidence", "context"),
)


def event_of(
    decision: Decision, *, valid_until: datetime, trace_id: str | None, dataset_id: str | None = None
) -> DecisionV1:
    """The event of a decision.

    Args:
        decision: Of the book `live`, `paper` or `shadow`.
        valid_until: After which nobody may send it; from its bar until its entry expires.
        trace_id: Of the trace it was made in; None = none is kept.
        dataset_id: Of the dataset its bars are from; None = they are not of one.

    Raises:
        pydantic.ValidationError: It is a decision of a backtest, or `valid_until` lies outside its life.
    """
    risk = decision.risk
    return DecisionV1(
        **{name: getattr(decision, name) for name in _SAME},
        tp_ladder=tuple(RungV1(price=rung.price, qty=rung.qty) for rung in decision.tp_ladder),
        risk=RiskV1(position_value=risk.position_value, risk_amount=risk.risk_amount, risk_reward=risk.risk_reward),
        gates=tuple(
            GateV1(gate=said.gate, passed=said.passed, value=said.value, limit=said.limit) for said in decision.gates
        ),
        valid_until=valid_until,
        trace_id=trace_id,
        dataset_id=dataset_id,
    )

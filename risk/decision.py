"""The decision: one signal at one bar, yes or no, with every reason; for a live bar, a replay and a test alike.

`decide` fills the records, makes the compiled call that a backtest's loop makes, and turns counts back into money.

Invariant: a decision is a function of what it was given, and carries all of it as its `context`: `replay` of that gives
an equal decision. No clock is read.

    decision = decide(signal, context, shipped_profile("default"))
    decision.side, decision.reason            # "HOLD", "news_guard"
    replay(decision.context) == decision
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from contracts import DataRejected, Rejected
from contracts.kernel import warm_up
from risk.context import RiskContext
from risk.evaluation import evaluate
from risk.gates import GATES
from risk.profiles import RiskProfile
from risk.records import VERDICT, limits_of, rules_of
from risk.signals import Signal
from risk.situation import situation_of
from risk.texts import rendered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from contracts import InstrumentRules

_HEX = 24
_NOTHING = Decimal(0)


class Undecidable(Rejected):
    """A signal, a context and a profile that do not belong together."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate said. `value` and `limit` are None where there is none; see risk.gates for their units."""

    gate: str
    passed: bool
    value: float | None
    limit: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Target:
    """One rung of the ladder: price in quote units, quantity in base units."""

    price: Decimal
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Risk:
    """What the bracket puts at risk; zeros for a HOLD.

    Attributes:
        position_value: Quantity × entry, quote units.
        risk_amount: Loss at the stop, fees and slippage included, quote units: never above the budget.
        risk_reward: What the whole ladder makes over what the stop costs, both before fees: in R.
    """

    position_value: Decimal
    risk_amount: Decimal
    risk_reward: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A row of `trading.decisions`.

    Attributes:
        decision_id: sha256 of bracket_id and ts, 24 hex characters.
        bracket_id: sha256 of signal, profile and book: one bracket at most comes of a signal.
        ts: Of the evaluated bar.
        evaluated_at: The clock it was given.
        side: BUY or SELL where every gate passed, else HOLD.
        size: Base units; 0 for a HOLD.
        entry_type: How it enters.
        entry: Limit price; for a HOLD the one that was looked at, None where there was none.
        sl: Stop price, likewise.
        tp_ladder: Rungs, nearest first; empty for a HOLD.
        leverage: To be set at the venue.
        margin_mode: Likewise; None on spot.
        entry_expires_at: When the signal has lived: an entry not filled by then is cancelled.
        risk: What it puts at risk.
        gates: Every gate, in order.
        reason: The first gate that failed; None where none did.
        rule_id: The agent of the signal.
        confidence: The signal's score.
        context: Everything the evaluation was given, as JSON: `signal`, `context`, `profile`.
    """

    decision_id: str
    bracket_id: str
    ts: datetime
    evaluated_at: datetime
    book: str
    account: str
    profile: str
    param_set: str
    signal_id: str
    venue: str
    symbol: str
    side: Literal["BUY", "SELL", "HOLD"]
    size: Decimal
    entry_type: Literal["LIMIT"]
    entry: Decimal | None
    sl: Decimal | None
    tp_ladder: tuple[Target, ...]
    leverage: int
    margin_mode: Literal["ISOLATED"] | None
    entry_expires_at: datetime
    risk: Risk
    gates: tuple[GateResult, ...]
    reason: str | None
    rule_id: str
    confidence: float
    context: dict[str, Any]


def decide(signal: Signal, context: RiskContext, profile: RiskProfile) -> Decision:
    """Decide on a signal at the bar of the context.

    Raises:
        Undecidable: The rules are of another instrument, the bar is none at which the signal lives, or the signal has
            a zone whose status the context does not tell.
    """
    _check(signal, context)
    warm_up()
    limits, rules = limits_of(profile), rules_of(context.rules)
    situation, verdict = situation_of(signal, context, profile), np.zeros(1, VERDICT)
    evaluate(situation[0], limits[0], rules[0], verdict[0])
    return _decision(signal, context, profile, verdict[0])


def replay(context: Mapping[str, Any]) -> Decision:
    """The decision whose recorded context this is, made again.

    Raises:
        contracts.errors.DataRejected: It is no context that `decide` recorded.
    """
    try:
        text = {name: json.dumps(context[name]) for name in ("signal", "context", "profile")}
        given = (
            Signal.model_validate_json(text["signal"]),
            RiskContext.model_validate_json(text["context"]),
            RiskProfile.model_validate_json(text["profile"]),
        )
    except (KeyError, TypeError, ValidationError) as error:
        msg = f"a recorded context holds signal, context and profile as decide() wrote them: {error}"
        raise DataRejected(msg) from error
    return decide(*given)


def bracket_id(signal_id: str, profile: str, book: str) -> str:
    """The name of the one bracket that may come of a signal: sha256 of the three, 24 hex characters."""
    return _name(signal_id, profile, book)


def decision_id(bracket: str, ts: datetime) -> str:
    """The name of a decision: sha256 of its bracket's and the bar's ts as ISO 8601 with Z, 24 hex characters."""
    return _name(bracket, ts.isoformat().replace("+00:00", "Z"))


def _name(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:_HEX]


def _check(signal: Signal, context: RiskContext) -> None:
    of = f"signal {signal.signal_id} of {signal.venue}:{signal.symbol}:{signal.tf} at {signal.ts.isoformat()}"
    rules = context.rules
    if (rules.venue, rules.symbol) != (signal.venue, signal.symbol):
        msg = f"{of} was given the rules of {rules.venue}:{rules.symbol}: hand on those of its own instrument"
        raise Undecidable(msg)
    ends = signal.ts + signal.ttl_bars * signal.tf.duration
    if not signal.ts <= context.ts < ends:
        msg = f"{of} lives until {ends.isoformat()} and was given the bar of {context.ts.isoformat()}: drop one of them"
        raise Undecidable(msg)
    if (signal.zone_kind is None) != (context.zone_status is None):
        msg = f"{of} has the zone {signal.zone_kind}, the context tells the status {context.zone_status} of one"
        raise Undecidable(msg)


def _decision(signal: Signal, context: RiskContext, profile: RiskProfile, verdict: np.void) -> Decision:
    rules = context.rules
    first = int(verdict["first"])
    acted = first < 0
    tick, step = rules.tick_size, rules.lot_size
    entry, stop = (int(verdict[name]) * tick or None for name in ("entry", "stop"))
    count = int(verdict["targets"])
    rungs = zip(verdict["target"][:count], verdict["rung"][:count], strict=True)
    ladder = tuple(Target(int(price) * tick, int(steps) * step) for price, steps in rungs) if acted else ()
    size = int(verdict["steps"]) * step if acted else _NOTHING
    risk = Risk(_NOTHING, _NOTHING, 0.0)
    if acted and entry is not None and stop is not None:
        risk = _risk(entry, stop, ladder, context=context, slippage=profile.slippage)
    bracket = bracket_id(signal.signal_id, profile.name, context.book)
    order = "BUY" if signal.side_hint == "LONG" else "SELL"
    return Decision(
        decision_id=decision_id(bracket, context.ts),
        bracket_id=bracket,
        ts=context.ts,
        evaluated_at=context.now,
        book=context.book,
        account=context.account,
        profile=profile.name,
        param_set=profile.hash,
        signal_id=signal.signal_id,
        venue=signal.venue,
        symbol=signal.symbol,
        side=order if acted else "HOLD",  # type: ignore[arg-type] # one of the two above
        size=size,
        entry_type="LIMIT",
        entry=entry,
        sl=stop,
        tp_ladder=ladder,
        leverage=min(profile.leverage, rules.most_leverage),
        margin_mode="ISOLATED" if rules.is_futures else None,
        entry_expires_at=signal.ts + signal.ttl_bars * signal.tf.duration,
        risk=risk,
        gates=_gates(verdict),
        reason=None if acted else GATES[first],
        rule_id=signal.agent,
        confidence=signal.score,
        context={
            "signal": signal.model_dump(mode="json"),
            "context": context.model_dump(mode="json"),
            "profile": profile.model_dump(mode="json"),
        },
    )


def _gates(verdict: np.void) -> tuple[GateResult, ...]:
    results = []
    for place, gate in enumerate(GATES):
        passed = bool(int(verdict["passed"]) >> place & 1)
        value, limit = (_number(float(verdict[name][place])) for name in ("value", "limit"))
        text = rendered(gate, passed=passed, value=value, limit=limit)
        results.append(GateResult(gate, passed, value, limit, text))
    return tuple(results)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _risk(entry: Decimal, stop: Decimal, ladder: tuple[Target, ...], *, context: RiskContext, slippage: float) -> Risk:
    """The bracket in exact decimals: what risk.sizing reckoned in float64."""
    size = sum((rung.qty for rung in ladder), _NOTHING)
    made = sum((abs(rung.price - entry) * rung.qty for rung in ladder), _NOTHING)
    loss = loss_at_stop(context.rules, entry=entry, stop=stop, quantity=size, slippage=slippage)
    return Risk(size * entry, loss, float(made / (abs(entry - stop) * size)))


def loss_at_stop(
    rules: InstrumentRules, *, entry: Decimal, stop: Decimal, quantity: Decimal, slippage: float
) -> Decimal:
    """What a bracket loses from its entry to its stop, exactly: both fills slip and pay the dearer fee.

    Args:
        rules: Tick and fees.
        entry: Quote units.
        stop: Quote units; below the entry of a long, above that of a short.
        quantity: Base units.
        slippage: Fraction of a fill's price.
    """
    slip, fee = Decimal(str(slippage)), max(rules.maker_fee, rules.taker_fee)
    if stop < entry:
        bought, sold = rules.price_above(entry * (1 + slip)), rules.price_below(stop * (1 - slip))
    else:
        bought, sold = rules.price_above(stop * (1 + slip)), rules.price_below(entry * (1 - slip))
    return quantity * (bought - sold + fee * (bought + sold))

"""What is sent for a decision: its prices and quantities on the grid of the rules as they are now, cut into rungs.

Each rung is left by itself: on spot it is an entry of its own with its stop and its target, armed at the exchange; on
USD-M the rungs share one entry and one stop. A rung that the filters would refuse, at entry, stop or target, is left
together with the next nearer one, the nearest with the one behind it.

Invariant: all that is rounded is rounded toward less risk. The quantity never exceeds what was decided, the entry is
never worse, the stop triggers no later, a target is reached no later; what cannot be sent so is refused, with the
filter.

    bracket = plan_of(decision, rules)
    bracket.quantity, [rung.quantity for rung in bracket.rungs]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from contracts import Rejected
from router.ids import MAX_RUNGS

if TYPE_CHECKING:
    from datetime import datetime

    from contracts import InstrumentRules
    from contracts.events import DecisionV1

Side = Literal["BUY", "SELL"]


class PlanRefused(Rejected):
    """A decision that cannot be sent by the rules as they are now; nothing was."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A part of the position that is left at one target.

    Attributes:
        target: Price it is left at.
        quantity: Base units.
    """

    target: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Bracket:
    """The orders of a decision, as numbers.

    Attributes:
        bracket_id: Of the decision.
        side: Of the entry.
        entry: Limit price.
        stop: Price that triggers the stop.
        rungs: Nearest target first.
        expires_at: When what is left of the entry is cancelled.
    """

    bracket_id: str
    venue: str
    symbol: str
    side: Side
    entry: Decimal
    stop: Decimal
    rungs: tuple[Rung, ...]
    expires_at: datetime

    @property
    def quantity(self) -> Decimal:
        """Of all rungs, base units."""
        return sum((rung.quantity for rung in self.rungs), Decimal(0))


def plan_of(decision: DecisionV1, rules: InstrumentRules) -> Bracket:
    """The bracket of a decision.

    Args:
        decision: Any but a HOLD.
        rules: Of its instrument, as of now.

    Raises:
        PlanRefused: It is a HOLD, of another instrument, has too many targets, or a filter refuses what is left of it.
    """
    of = f"decision {decision.decision_id} of {decision.venue}:{decision.symbol}"
    if decision.side == "HOLD" or decision.entry is None or decision.sl is None:
        msg = f"{of} is a HOLD: there is nothing to send"
        raise PlanRefused(msg)
    if (rules.venue, rules.symbol) != (decision.venue, decision.symbol):
        msg = f"{of} was given the rules of {rules.venue}:{rules.symbol}: hand on those of its own instrument"
        raise PlanRefused(msg)
    long = decision.side == "BUY"
    nearer, further = (rules.price_below, rules.price_above) if long else (rules.price_above, rules.price_below)
    entry, stop = nearer(decision.entry), further(decision.sl)
    targets = [(nearer(rung.price), rules.quantity_below(rung.qty, market=True)) for rung in decision.tp_ladder]
    if not (stop < entry if long else stop > entry):
        msg = f"{of}: entry {decision.entry} and stop {decision.sl} are one on the tick {rules.tick_size} of now"
        raise PlanRefused(msg)
    rungs = _merged(_joined(targets), entry=entry, stop=stop, rules=rules)
    refusal = None if rungs else "its quantity rounds to nothing"
    if len(rungs) > MAX_RUNGS:
        refusal = f"it has {len(rungs)} targets, of which {MAX_RUNGS} can be named"
    refusal = refusal or next((why for rung in rungs if (why := _refusal(rung, entry, stop, rules))), None)
    beyond = [rung.target for rung in rungs if not (rung.target > entry if long else rung.target < entry)]
    if beyond and refusal is None:
        refusal = f"its target {beyond[0]} is not beyond its entry {entry} on the tick {rules.tick_size} of now"
    if refusal is not None:
        msg = f"{of} cannot be sent by the rules of now: {refusal}"
        raise PlanRefused(msg)
    return Bracket(
        decision.bracket_id,
        decision.venue,
        decision.symbol,
        decision.side,
        entry,
        stop,
        tuple(rungs),
        decision.entry_expires_at,
    )


def _joined(targets: Sequence[tuple[Decimal, Decimal]]) -> list[Rung]:
    """Rungs of targets, those that came to one price as one; without those of nothing."""
    rungs: list[Rung] = []
    for price, quantity in targets:
        if rungs and rungs[-1].target == price:
            rungs[-1] = Rung(price, rungs[-1].quantity + quantity)
        elif quantity:
            rungs.append(Rung(price, quantity))
    return rungs


def _merged(rungs: Sequence[Rung], *, entry: Decimal, stop: Decimal, rules: InstrumentRules) -> list[Rung]:
    """Rungs that the filters take; the last one standing as it is, whether they take it or not."""
    left = list(rungs)
    place = len(left) - 1
    while len(left) > 1 and place >= 0:
        if _refusal(left[place], entry, stop, rules) is None:
            place -= 1
            continue
        # To the nearer one; the nearest takes in the one behind it, and keeps its own target: it is left sooner so.
        near = max(place - 1, 0)
        together = Rung(left[near].target, left[near].quantity + left[near + 1].quantity)
        left[near : near + 2] = [together]
        place = near if near == 0 else place - 1
    return left


def _refusal(rung: Rung, entry: Decimal, stop: Decimal, rules: InstrumentRules) -> str | None:
    """The filter that refuses a rung at its entry, its target or its stop; None = none does."""
    return (
        rules.refusal(rung.quantity, entry)
        or rules.refusal(rung.quantity, rung.target)
        or rules.refusal(rung.quantity, stop)
        or rules.refusal(rung.quantity, stop, market=True)
    )

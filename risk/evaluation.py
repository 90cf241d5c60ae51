"""One evaluation of one signal at one bar: every gate of engine-spec section 7 and the bracket, compiled.

Every gate is evaluated, whatever the others said; the first that fails names the reason. The same call serves a live
bar (`risk.decision`) and, thousands a second, the loop of a backtest. It takes no memory and touches no object.

Invariant: the verdict is a function of the three records it is given, bit for bit.

    evaluate(situation[0], limits[0], rules[0], verdict[0])
    if verdict[0]["first"] < 0: ...
"""

from __future__ import annotations

from numba import types

from contracts import rounding
from contracts.kernel import Record, formula, kernel
from risk import gates, guards, protections, records, sizing
from risk import limits as limits_module
from risk.gates import GATES
from risk.guards import judge_funding, judge_moment, judge_news, judge_signal, judge_validity
from risk.limits import judge_account, judge_exposures
from risk.protections import judge_protections
from risk.records import limits_type, rules_type, situation_type, verdict_type
from risk.sizing import affordable, judge_reward, judge_size, least_steps, loss_of_step, place, split

_GATE_COUNT = len(GATES)

# What a kernel that calls formulas of this room, or `evaluate` itself, must name beside its own modules.
SOURCES = (gates, guards, limits_module, protections, records, rounding, sizing)


@formula
def _first_failing(passed: int) -> int:
    for gate in range(_GATE_COUNT):
        if passed & (1 << gate) == 0:
            return gate
    return -1


@kernel(types.void(situation_type, limits_type, rules_type, verdict_type), also=SOURCES)
def evaluate(situation: Record, limits: Record, rules: Record, verdict: Record) -> None:
    """Judge a signal.

    Args:
        situation: What is known at the bar (records.SITUATION).
        limits: The profile (records.LIMITS).
        rules: Of the instrument as of the bar (records.RULES).
        verdict: Written, all of it but the places beyond the last target (records.VERDICT).
    """
    verdict.passed = 0
    place(situation, limits, rules, verdict)
    judge_moment(situation, limits, rules, verdict)
    judge_validity(situation, rules, verdict)
    judge_news(situation, verdict)
    judge_funding(situation, limits, rules, verdict)
    judge_signal(situation, limits, verdict)
    judge_protections(situation, limits, verdict)
    judge_account(situation, limits, verdict)

    loss = loss_of_step(verdict, limits, rules, situation.side)
    notional = verdict.entry * rules.tick * rules.step
    least = least_steps(verdict, rules)
    wanted = affordable(situation, limits, rules, verdict, loss) if least > 0 else 0
    judge_size(rules, verdict, wanted, least)
    steps = judge_exposures(situation, limits, rules, verdict, notional, loss, max(least, 1), wanted)
    judge_reward(limits, rules, verdict, situation.side)

    verdict.first = _first_failing(verdict.passed)
    verdict.steps = steps
    verdict.loss = steps * loss
    split(verdict, steps)

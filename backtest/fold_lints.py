"""What speaks against a walk-forward: findings, each with a number, its limit and what to do about it.

As `lints` does for one result: the limits are rules of thumb and stand beside the number. That a walk-forward is not
passed stands first, whatever else was found.

    for finding in lint_folds(found): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from backtest.lints import FEW_TRADES, FEWEST_TRADES, Finding, Severity

if TYPE_CHECKING:
    from backtest.walked import Fold, WalkForward

# Test windows that must have earned something, of all, for a walk-forward to count as passed.
PASSING_SHARE = 0.5
# Of fewer folds than the first nothing can be said, of fewer than the second little.
FEWEST_FOLDS, FEW_FOLDS = 3, 6
# Of the net result, how much a single test window may have made.
ONE_FOLD_SHARE, FEWEST_PARTS = 0.5, 3
# A search that keeps less of its Sharpe ratio than this fits the past (Pardo 2008).
EFFICIENCY = 0.5
# One that does so much better on what it has not seen was lucky there.
LUCKY = 1.5
# From fold to fold, how often a choice may change: of two values, noise changes it half of the time.
CHANGE_SHARE, FEWEST_STEPS = 0.5, 3


def lint_folds(found: WalkForward) -> list[Finding]:
    """Look for everything this module knows.

    Args:
        found: The walk-forward.

    Returns:
        Severe ones first, within a severity in the order in which this module lists them.
    """
    findings = [
        *_not_passed(found),
        *_few_folds(found),
        *_one_fold(found),
        *_fits_the_past(found),
        *_jumps(found),
        *_few_trades(found),
        *_idle(found),
    ]
    return sorted(findings, key=lambda finding: finding.severity != "severe")


def _not_passed(found: WalkForward) -> Iterator[Finding]:
    if found.passed:
        return
    share = found.earned / len(found.folds)
    value, limit = (share, PASSING_SHARE) if share < PASSING_SHARE else (found.total_return, 0.0)
    yield Finding(
        code="not_passed",
        severity="severe",
        text=f"Not passed: {found.earned} of {_counted(len(found.folds), 'test window')} earned, and all of them "
        f"together made {found.total_return:+.2%}. At least half of them, and above 0 together, is needed. Do not "
        "trade what this chooses. Change the rules or the markets, not the windows: to cut them anew until it passes "
        "is to choose by what is to be the test.",
        value=value,
        limit=limit,
    )


def _few_folds(found: WalkForward) -> Iterator[Finding]:
    count = len(found.folds)
    if count >= FEW_FOLDS:
        return
    is_severe = count < FEWEST_FOLDS
    limit = FEWEST_FOLDS if is_severe else FEW_FOLDS
    yield Finding(
        code="few_folds",
        severity="severe" if is_severe else "warning",
        text=f"{_counted(count, 'fold')}, fewer than {limit}: what so few came to says little about the next one. "
        "Load a longer history, or cut shorter windows.",
        value=float(count),
        limit=float(limit),
    )


def _one_fold(found: WalkForward) -> Iterator[Finding]:
    net, count = found.net_pnl, len(found.folds)
    if net <= 0 or count < 2:
        return
    best = max(found.folds, key=lambda fold: fold.tested.metrics.net_pnl)
    made = best.tested.metrics.net_pnl
    if net - made <= 0:
        yield Finding(
            code="carried_by_one_fold",
            severity="severe",
            text=f"Without the best test window, {_window(best)}, the others together earned nothing: it made "
            f"{made:,.2f} of {net:,.2f}. Find out what was special about that time; if nothing makes it come again, "
            "count the result without it.",
            value=made / net,
            limit=ONE_FOLD_SHARE,
        )
    elif count >= FEWEST_PARTS and made > ONE_FOLD_SHARE * net:
        yield Finding(
            code="one_fold",
            severity="warning",
            text=f"One test window, {_window(best)}, made {made / net:.0%} of the net result of {count}. Find out what "
            "was special about that time, and whether the rest is worth its risk.",
            value=made / net,
            limit=ONE_FOLD_SHARE,
        )


def _fits_the_past(found: WalkForward) -> Iterator[Finding]:
    inside, outside, efficiency = found.sharpe_trained, found.sharpe_tested, found.efficiency
    if inside is not None and inside <= 0:
        yield Finding(
            code="lost_in_training",
            severity="severe",
            text=f"What was chosen has a mean Sharpe ratio of {inside:.2f} in training: nothing that was tried earned "
            "even there, where the end was known. Search other values, or change the rules."
            if found.choices
            else f"The mean Sharpe ratio in training is {inside:.2f}: it did not earn before the windows, either.",
            value=inside,
            limit=0.0,
        )
    if inside is None or outside is None or efficiency is None:
        return
    both = f"The mean Sharpe ratio is {inside:.2f} in training and {outside:.2f} in the test windows"
    if efficiency < EFFICIENCY:
        text = f"{both}, {efficiency:.0%} of it where at least {EFFICIENCY:.0%} is wanted: "
        # Where nothing was chosen, nothing can have been fitted.
        text += (
            "the choice fits the past. Search fewer values, train on longer windows, and expect what the tests show, "
            "not what training does."
            if found.choices
            else "what worked before each window worked less in it. Test a longer history; expect what the tests show."
        )
        severity: Severity = "severe" if efficiency <= 0 else "warning"
        yield Finding(code="low_efficiency", severity=severity, text=text, value=efficiency, limit=EFFICIENCY)
    elif efficiency > LUCKY and found.choices:
        text = (
            f"{both}, though in training the best was taken and the end was known: the tests were lucky. Expect no "
            "more than what training shows."
        )
        yield Finding(code="better_than_training", severity="warning", text=text, value=efficiency, limit=LUCKY)


def _jumps(found: WalkForward) -> Iterator[Finding]:
    steps = len(found.folds) - 1
    jumping = {choice.parameter: choice.changes for choice in found.choices if choice.changes > CHANGE_SHARE * steps}
    if steps < FEWEST_STEPS or not jumping:
        return
    yield Finding(
        code="choice_jumps",
        severity="warning",
        text=f"From fold to fold the choice changed {_listed(jumping, steps)}: where the best value is another one "
        "each time, training finds noise. Search fewer values that lie further apart, train on longer windows, or keep "
        "one value and test that.",
        value=max(jumping.values()) / steps,
        limit=CHANGE_SHARE,
    )


def _few_trades(found: WalkForward) -> Iterator[Finding]:
    if found.trades >= FEW_TRADES:
        return
    is_severe = found.trades < FEWEST_TRADES
    limit = FEWEST_TRADES if is_severe else FEW_TRADES
    if found.trades == 0:
        text = (
            "No trade was opened in any test window: nothing was tested. Look at the decisions of a backtest over the "
            "same time for the gate that refuses everything, or search values that let more through."
        )
    else:
        text = (
            f"{_counted(found.trades, 'trade')} in all test windows, fewer than {limit}: what so few came to is mostly "
            "luck. Load a longer history, add symbols, or cut longer test windows."
        )
    yield Finding(
        code="too_few_trades",
        severity="severe" if is_severe else "warning",
        text=text,
        value=float(found.trades),
        limit=float(limit),
    )


def _idle(found: WalkForward) -> Iterator[Finding]:
    count = sum(fold.tested.metrics.trades == 0 for fold in found.folds)
    if found.trades and count:
        yield Finding(
            code="idle_folds",
            severity="warning",
            text=f"In {count} of {_counted(len(found.folds), 'test window')} no trade was opened: they count as not "
            "earned and have no Sharpe ratio. Cut longer test windows, or find out what stopped trading there.",
            value=float(count),
            limit=0.0,
        )


def _window(fold: Fold) -> str:
    return f"{fold.window.test_from:%Y-%m-%d} to {fold.window.test_to:%Y-%m-%d}"


def _listed(jumping: Mapping[str, int], steps: int) -> str:
    return ", ".join(f"{changes} of {steps} times for {name}" for name, changes in jumping.items())


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

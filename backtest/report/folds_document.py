"""The numbers of a walk-forward as one JSON document, in the order in which its page shows them.

Invariant: the same walk-forward gives the same document, byte for byte, whether its trials were made or known: nothing
tells when or where it was made. Numbers are unrounded; instants are ISO 8601 in UTC; what does not exist is null.

    document_of(found, run_id=run_id)["metrics"]["efficiency"]
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from backtest.fold_lints import lint_folds
from backtest.report.made_from import UNNAMED, instant, iso, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backtest.walked import Fold, WalkForward

# Of the document's fields: raised when a reader of the last one would misread it.
DOCUMENT_VERSION = 1

# What holds for every walk-forward, before what its backtests took for granted.
ASSUMPTIONS = (
    "In training, the set with the greatest Sharpe ratio of daily returns is chosen; of equals, the first of the "
    "space. One without a Sharpe ratio is chosen where no set has one.",
    "What is searched was not chosen by the past: whoever named the parameters and their values may have known the "
    "test windows. The result is worth less the more of them were tried before.",
    "The engine is causal and reads the bars from the first one on: a window begins with what a live engine would have "
    "known then, and nothing of a test window is seen before it is traded.",
    "Each window is an account of its own that begins with the capital and without positions; the curve chains their "
    "returns, as if what one window left had been put into the next.",
)


def document_of(
    found: WalkForward, *, run_id: str | None = None, versions: Mapping[str, str] = UNNAMED
) -> dict[str, Any]:
    """Gather all numbers.

    Args:
        found: The walk-forward.
        run_id: The name under which it is on record; None = it is not.
        versions: What parameters that are kept are called, by their hash.
    """
    curve, last = found.curve, found.folds[-1].tested
    space = {name: list(values) for name, values in found.space.items()}
    sets = prod(map(len, space.values()))
    return {
        "version": DOCUMENT_VERSION,
        "warnings": [finding.to_dict() for finding in lint_folds(found)],
        "passed": found.passed,
        "verdict": found.verdict,
        "metrics": {"capital": float(found.config.capital), **found.metrics},
        "equity": {
            "ts": iso(curve["ts"]),
            **{name: curve[name].to_list() for name in ("equity", "drawdown", "fold")},
        },
        "folds": [_fold(number, fold) for number, fold in enumerate(found.folds)],
        "choices": [
            {
                "parameter": choice.parameter,
                "values": list(choice.values),
                "chosen": list(choice.chosen),
                "changes": choice.changes,
            }
            for choice in found.choices
        ],
        "scheme": found.scheme.to_dict(),
        "space": space,
        "sets": sets,
        "trials": sets * len(found.folds),
        "assumptions": [*ASSUMPTIONS, *last.assumptions],
        "run": {
            **run_of(
                found.config,
                series=last.written.keys,
                start=found.start,
                until=found.until,
                fingerprint=found.fingerprint,
                versions=versions,
            ),
            "run_id": run_id,
            "study": found.study,
        },
    }


def _fold(number: int, fold: Fold) -> dict[str, Any]:
    window = fold.window
    return {
        "fold": number,
        "train_from": instant(window.train_from),
        "train_to": instant(window.train_to),
        "test_from": instant(window.test_from),
        "test_to": instant(window.test_to),
        "chosen": dict(fold.chosen),
        "trial_id": fold.trained.trial_id,
        "in_sample": dict(fold.trained.metrics),
        "out_of_sample": fold.tested.metrics.to_dict(),
        "earned": fold.earned,
        "fingerprint": fold.tested.fingerprint,
    }

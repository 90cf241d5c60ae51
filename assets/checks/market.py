"""Checks of what the exchange said: candles, and what funding cost.

Each is one step, and a blocking failure stops whatever is computed from the asset within the run. What rows must look
like stands in the suites; what the ledgers know better (which holes are explained, which digest a month was loaded
with) is asked of `store.quality` in the same step.
"""

from assets.checks.candle_suite import CANDLE_SUITE
from assets.checks.funding_suite import FUNDING_SUITE
from assets.checks.steps import Question, step
from store import quality

LEDGER_QUESTIONS = {
    "no_unexplained_hole": Question(
        "candles", "Every missing candle has a row in the hole ledger.", quality.unexplained_holes
    ),
    "digest_matches": Question(
        "candles",
        "What is stored has the digest that was written when it was loaded.",
        quality.digest_mismatches,
    ),
}

candle_checks = step("candle_checks", CANDLE_SUITE, questions=LEDGER_QUESTIONS)
funding_checks = step("funding_checks", FUNDING_SUITE)

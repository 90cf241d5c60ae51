"""The suites as data: what every expectation must have, whichever table it looks at."""

import pytest

from assets.checks.candle_suite import CANDLE_SUITE
from assets.checks.expectations import great_expectations
from assets.checks.funding_suite import FUNDING_SUITE
from assets.checks.indicator_suite import INDICATOR_SUITE
from assets.checks.signal_suite import SIGNAL_SUITE
from assets.checks.suites import UNEXPECTED_ROWS, Suite
from assets.checks.zone_suite import ZONE_SUITE

SUITES = (CANDLE_SUITE, FUNDING_SUITE, INDICATOR_SUITE, ZONE_SUITE, SIGNAL_SUITE)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_expectation_is_one_the_library_has_and_says_what_holds(suite: Suite) -> None:
    library = great_expectations().expectations
    for name, expectation in suite.expectations.items():
        assert hasattr(library, expectation.kind), name
        assert expectation.text.endswith("."), name
        assert expectation.rows.table.split(".")[0] in {"market", "analysis"}, name


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_query_looks_at_the_batch(suite: Suite) -> None:
    for name, expectation in suite.expectations.items():
        if expectation.kind == UNEXPECTED_ROWS:
            assert "{batch}" in expectation.kwargs["unexpected_rows_query"], name


def test_what_only_tells_of_the_exchange_warns_and_what_would_mislead_blocks() -> None:
    warns = {name for suite in SUITES for name, one in suite.expectations.items() if not one.blocking}
    assert warns == {
        "quote_volume_bounds",
        "timeframes_agree",
        "price_jumps",
        "nothing_quarantined",
        "atr_positive",
        "no_missing_settlement",
        "rate_plausible",
    }

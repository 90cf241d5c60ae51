"""Every expectation of signals is green on what the engine writes and red on the one defect it is there for."""

import pytest

from assets.checks.signal_suite import SIGNAL_SUITE
from tests.assets.checks.filled import answers, plant, red
from tests.databases import Database

_ONE = "ctid = (SELECT ctid FROM analysis.signals_raw ORDER BY tf, ts LIMIT 1)"
_SET = "UPDATE analysis.signals_raw SET"
DEFECTS = {
    "zone_before_signal": f"{_SET} zone_created_ts = ts + interval '1 hour' WHERE {_ONE}",
    "signal_at_its_bar": f"{_SET} entry_hint = entry_hint + (entry_hint - sl_hint) / 100 WHERE {_ONE}",
    "stop_on_its_side": f"{_SET} sl_hint = 2 * entry_hint - sl_hint WHERE {_ONE}",
    "targets_ascending": f"{_SET} tp_r = ARRAY[1.5, 3, 2] WHERE {_ONE}",
    "score_in_range": f"{_SET} score = 1.2 WHERE {_ONE}",
    # Two signals of one bar and agent, say: the key would let them stand at two bars.
    "signal_once": f"{_SET} signal_id = (SELECT max(signal_id) FROM analysis.signals_raw) WHERE {_ONE}",  # noqa: S608
}


def test_every_expectation_has_a_defect_to_find() -> None:
    assert set(DEFECTS) == set(SIGNAL_SUITE.expectations)


def test_what_the_engine_writes_is_green(sound: Database) -> None:
    found = answers(sound, SIGNAL_SUITE)
    assert set(found) == set(SIGNAL_SUITE.expectations)
    assert {answer.error for answer in found.values()} == {None}
    assert red(found) == set()


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_turns_its_check_red_and_no_other(sound: Database, check: str) -> None:
    plant(sound, [DEFECTS[check]])
    found = answers(sound, SIGNAL_SUITE)
    assert found[check].error is None
    assert found[check].count in {1, 2}, found[check]
    assert red(found) == {check}
    assert found[check].rows[0]["symbol"] == "BTCUSDT"


def test_a_retest_may_not_name_a_zone_that_had_ended(sound: Database) -> None:
    ended = (
        "UPDATE analysis.zones z SET status = 'MITIGATED', ended_ts = s.ts FROM (SELECT * FROM analysis.signals_raw "
        "ORDER BY tf, ts LIMIT 1) s WHERE (z.tf, z.kind, z.created_ts) = (s.tf, s.zone_kind, s.zone_created_ts)"
    )
    plant(sound, [ended])
    assert red(answers(sound, SIGNAL_SUITE)) == {"zone_before_signal"}

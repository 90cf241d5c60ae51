"""What is asked of a walk-forward: its name, and the sets that are tried by default."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from assets.backtests import Inputs
from assets.partitions import Month
from assets.report_inputs import ReportConfig, read_report_inputs
from assets.walk_forwards import Asked, default_space
from backtest.config import ALWAYS, BacktestConfig
from backtest.trials import configured
from backtest.walk_forward import Scheme
from risk import SHIPPED, shipped_profile
from tests.assets.desk import LATER, fill
from tests.assets.fakes import INSTRUMENT

DAY = timedelta(days=1)
SCHEME = Scheme(train=30 * DAY, test=20 * DAY)
SPACE = {"profile.reward": [2.0, 3.0]}


def asked(inputs: Inputs, *, space: Mapping[str, Any] = SPACE, scheme: Scheme = SCHEME) -> Asked:
    config = inputs.config(shipped_profile("default"), capital=Decimal(10_000))
    return Asked.of(inputs, config, space, scheme=scheme)


def test_it_is_named_by_everything_that_was_asked_and_by_the_data(conn: psycopg.Connection) -> None:
    fill(conn)
    inputs = read_report_inputs(conn, Month(2022, 3), ReportConfig(), at=LATER)
    one = asked(inputs)
    others = [
        asked(inputs, space={"profile.reward": [2.0, 3.5]}),
        asked(inputs, scheme=replace(SCHEME, anchored=True)),
        asked(inputs, scheme=replace(SCHEME, embargo=timedelta(hours=1))),
        asked(replace(inputs, dataset_id="ab" * 32)),
        replace(one, config=replace(one.config, capital=Decimal(20_000))),
    ]
    assert asked(inputs).run_id == one.run_id
    assert len({one.run_id, *(other.run_id for other in others)}) == 6
    assert one.study == f"walk-forward {one.run_id}"
    # The dataset names the data, the hash what was asked of it.
    assert [other.hash == one.hash for other in others] == [False, False, False, True, False]


def test_rules_that_nobody_recorded_are_assumed_and_stand_in_what_is_kept(conn: psycopg.Connection) -> None:
    fill(conn)
    one = asked(read_report_inputs(conn, Month(2022, 3), ReportConfig(), at=LATER))
    [(since, rules)] = one.config.rules[INSTRUMENT]
    assert (since, rules.fees_source) == (ALWAYS, "conservative")
    assert list(one.document["backtest"]["rules"]) == [str(INSTRUMENT)]
    assert one.document["scheme"] == {
        "train": 30 * 86_400,
        "test": 20 * 86_400,
        "anchored": False,
        "purge": 0,
        "embargo": 0,
    }


def test_around_a_profile_that_asks_for_no_reward_the_default_space_has_one_that_does() -> None:
    asked = shipped_profile("default").model_copy(update={"reward": 0.0})
    assert default_space(asked)["profile.reward"] == [0.0, 1.0]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_default_space_begins_with_the_profile_itself_and_every_set_of_it_can_be(name: str) -> None:
    config = BacktestConfig(profile=shipped_profile(name))
    space = default_space(config.profile)
    first = {parameter: values[0] for parameter, values in space.items()}
    assert configured(config, first).profile.hash == config.profile.hash
    for parameter, values in space.items():
        assert len({configured(config, {parameter: value}).profile.hash for value in values}) == len(values)

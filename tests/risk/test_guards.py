"""The calendar's nearest event, against the plain reading of the table; the other guards in test_evaluation."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.kernel import warm_up
from risk import RiskProfile
from risk.guards import find_event
from risk.records import MINUTE, NEVER, NEWS, limits_of

TS = 1_772_445_600_000_000
PROFILE = RiskProfile(news_high=(-60, 20), news_med=(-15, 0))


def news(*events: tuple[float, float, float, bool]) -> Any:  # noqa: ANN401 - records
    """Events as minutes (start, end, known from) after TS, and whether HIGH."""
    records = np.zeros(len(events), NEWS)
    for record, (start, end, known, high) in zip(records, sorted(events), strict=True):
        record["start"], record["end"], record["known_from"] = (TS + int(m * MINUTE) for m in (start, end, known))
        record["high"] = high
    return records


def nearest(*events: tuple[float, float, float, bool]) -> tuple[float, float]:
    warm_up()
    away, limit = find_event(news(*events), limits_of(PROFILE)[0], TS)
    return away / MINUTE, limit / MINUTE


def test_each_side_of_each_severity_has_its_own_window() -> None:
    assert nearest((5, 6, -99, True)) == (-5, 60)
    assert nearest((5, 6, -99, False)) == (-5, 15)
    assert nearest((-6, -5, -99, True)) == (5, 20)
    assert nearest((-6, -5, -99, False)) == (5, 0)


def test_during_an_event_it_is_no_time_away() -> None:
    assert nearest((-5, 5, -99, True)) == (0, 20)
    assert nearest((0, 0, -99, True)) == (0, 20)


def test_the_event_that_matters_is_the_one_nearest_to_its_own_limit() -> None:
    # 50 of 60 minutes before a HIGH one is inside; 20 of 15 before a MED one is not, though it comes sooner.
    assert nearest((50, 50, -99, True), (20, 20, -99, False)) == (-50, 60)


def test_an_event_not_known_or_more_than_a_day_away_is_none() -> None:
    none = (NEVER / MINUTE, 0)
    assert nearest() == none
    assert nearest((5, 5, 1, True)) == none
    assert nearest((1441, 1441, -99, True)) == none
    assert nearest((-2000, -1441, -9999, True)) == none
    assert nearest((5, 5, 0, True)) == (-5, 60)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1500, 1500), st.integers(0, 90), st.integers(-100, 30), st.booleans()), max_size=12)
)
def test_the_verdict_is_that_of_every_window_alone(drawn: list[tuple[int, int, int, bool]]) -> None:
    events = [(start, start + lasts, known, high) for start, lasts, known, high in drawn]
    blocked = any(
        start - (60 if high else 15) <= 0 <= end + (20 if high else 0)
        for start, end, known, high in events
        if known <= 0
    )
    away, limit = nearest(*events)
    assert (away != NEVER / MINUTE and abs(away) <= limit) == blocked

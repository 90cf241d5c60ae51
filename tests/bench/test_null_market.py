from bench.first_touch import Estimate
from bench.null_market import judged, run


def test_a_smoke_run_measures_ours_by_kind_and_the_popular_library_on_the_same_walks() -> None:
    measured = {one.name: one for one in run(smoke=True)}
    assert list(measured) == [
        *(f"null market: {name}" for name in ("signals", "zones", "OB", "FVG", "inversions", "BREAKER", "IFVG")),
        "null market: blocks smartmoneyconcepts has left",
        "the same, 30 bars later",
    ]
    assert {one.unit for one in measured.values()} == {"R"}
    assert {one.detail["walks"] for one in measured.values()} == {10}
    assert all(one.passed and one.target is None for one in measured.values())


def estimate(mean: float, half_width: float) -> Estimate:
    return Estimate(mean=mean, half_width=half_width, wins=0.33, trades=10_000, walks=200)


def test_a_full_run_states_that_the_interval_contains_0_and_is_narrow_enough_to_notice_an_edge() -> None:
    found = judged({"signals": estimate(-0.03, 0.04), "zones": estimate(0.01, 0.015), "OB": estimate(0.0, 0.5)})
    assert [(one.name, one.value, one.target) for one in found] == [
        ("null market: signals, distance of the mean from 0", 0.03, 0.04),
        ("null market: zones, distance of the mean from 0", 0.01, 0.015),
        ("null market: OB, distance of the mean from 0", 0.0, 0.5),
        ("null market: zones, half width at 99 %", 0.015, 0.02),
        ("null market: signals, half width at 99 %", 0.04, 0.05),
    ]
    assert all(one.passed for one in found)


def test_an_edge_on_either_side_of_0_and_an_interval_too_wide_are_missed() -> None:
    found = judged({"signals": estimate(0.02, 0.06), "zones": estimate(-0.02, 0.01), "FVG": estimate(0.3, 0.1)})
    assert [one.name for one in found if not one.passed] == [
        "null market: zones, distance of the mean from 0",
        "null market: FVG, distance of the mean from 0",
        "null market: signals, half width at 99 %",
    ]

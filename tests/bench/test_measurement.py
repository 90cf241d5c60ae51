from bench.measurement import at_least, at_most


def test_a_rate_passes_at_its_target_and_fails_below() -> None:
    assert at_least("rate", 6.0, unit="M/s", target=6.0, smoke=False).passed
    assert not at_least("rate", 5.99, unit="M/s", target=6.0, smoke=False).passed


def test_a_duration_passes_at_its_target_and_fails_above() -> None:
    assert at_most("time", 0.3, unit="ms", target=0.3, smoke=False).passed
    assert not at_most("time", 0.31, unit="ms", target=0.3, smoke=False).passed


def test_a_smoke_run_has_twice_the_tolerance_and_says_so_in_its_target() -> None:
    rate = at_least("rate", 3.0, unit="M/s", target=6.0, smoke=True)
    assert (rate.passed, rate.target) == (True, 3.0)
    duration = at_most("time", 0.61, unit="ms", target=0.3, smoke=True)
    assert (duration.passed, duration.target) == (False, 0.6)


def test_a_figure_nobody_promised_passes_and_has_no_target() -> None:
    ratio = at_least("ratio", 0.1, unit="×", target=None, smoke=False, detail={"peer": 3})
    assert (ratio.passed, ratio.target, ratio.detail) == (True, None, {"peer": 3})

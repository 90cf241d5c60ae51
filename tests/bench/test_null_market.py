from bench.null_market import run


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

"""What the commands of research print: numbers as a person reads them."""

from __future__ import annotations

import pytest

from tidemark.cli.findings import number, percent


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0.00"), (-0.0, "0.00"), (-0.004, "0.00"), (-0.006, "-0.01"), (-1234.5, "-1,234.50")],
)
def test_a_number_that_is_shown_as_zero_has_no_sign(value: float | None, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (-0.0001, "0.0%"), (-0.0006, "-0.1%"), (0.0, "0.0%")])
def test_a_percentage_that_is_shown_as_zero_has_no_sign(value: float | None, shown: str) -> None:
    assert percent(value) == shown

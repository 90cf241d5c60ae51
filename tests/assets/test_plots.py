import base64
import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.plots import HEIGHT, MARGIN, POINTS, WIDTH, rhythm, sparkline

BEGIN = datetime(2022, 1, 1, tzinfo=UTC)
FINITE = st.floats(-1e12, 1e12, allow_nan=False)


def points(markdown: str) -> list[tuple[float, float]]:
    """The points of the line, as the picture itself says them."""
    source = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert source is not None
    drawn = re.search(r'points="([^"]+)"', base64.b64decode(source[1]).decode())
    assert drawn is not None
    return [(float(x), float(y)) for x, _, y in (pair.partition(",") for pair in drawn[1].split())]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    assert points(sparkline([1.0, 2.0, 3.0], title="close")) == [
        (MARGIN, HEIGHT - MARGIN),
        (WIDTH / 2, HEIGHT / 2),
        (WIDTH - MARGIN, MARGIN),
    ]


def test_equal_values_are_a_level_line() -> None:
    assert {y for _, y in points(sparkline([5.0] * 9, title="flat"))} == {HEIGHT - MARGIN}


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_are_a_sentence(values: list[float]) -> None:
    assert sparkline(values, title="close of X") == "close of X: nothing to draw"


def test_the_title_is_the_alternative_text() -> None:
    assert sparkline([1.0, 2.0], title="rsi14 of X").startswith("![rsi14 of X](data:")


@pytest.mark.parametrize("count", [POINTS + 1, 2 * POINTS - 1, 10_000])
def test_many_values_are_thinned_and_the_last_one_is_kept(count: int) -> None:
    drawn = points(sparkline([0.0] * (count - 1) + [1.0], title="jump"))
    assert len(drawn) == POINTS
    across, up = drawn[-1]
    assert (across, up) == (WIDTH - MARGIN, MARGIN)
    assert {y for _, y in drawn[:-1]} == {HEIGHT - MARGIN}


@given(st.lists(FINITE, min_size=2, max_size=600))
def test_every_point_lies_inside_the_picture_from_left_to_right(values: list[float]) -> None:
    drawn = points(sparkline(values, title="any"))
    across = [x for x, _ in drawn]
    assert across == sorted(across)
    assert (across[0], across[-1]) == (MARGIN, WIDTH - MARGIN)
    assert all(MARGIN - 0.1 <= y <= HEIGHT - MARGIN + 0.1 for _, y in drawn)


def days(*offsets: float) -> pl.Series:
    return pl.Series([BEGIN + timedelta(days=offset) for offset in offsets], dtype=pl.Datetime("us", "UTC"))


def test_a_rhythm_counts_what_fell_into_each_part_of_the_window_the_end_included() -> None:
    window = {"start": BEGIN, "end": BEGIN + timedelta(days=POINTS)}
    drawn = points(rhythm(days(0, 0.5, 0.999, 3, POINTS - 0.1, POINTS), **window, title="zones"))
    heights = [HEIGHT - MARGIN - y for _, y in drawn]
    full = HEIGHT - 2 * MARGIN
    expected = {0: full, 3: round(full / 3), POINTS - 1: round(full * 2 / 3)}
    assert len(heights) == POINTS
    assert {place: height for place, height in enumerate(heights) if height} == pytest.approx(expected, abs=1)


def test_what_lies_outside_the_window_is_not_in_a_rhythm() -> None:
    window = {"start": BEGIN, "end": BEGIN + timedelta(days=10)}
    assert rhythm(days(-1, 1, 11), **window, title="x") == rhythm(days(1), **window, title="x")


def test_a_rhythm_of_nothing_is_a_sentence() -> None:
    assert rhythm(days(), start=BEGIN, end=BEGIN + timedelta(1), title="zones") == "zones: nothing to draw"
    assert rhythm(days(0), start=BEGIN, end=BEGIN, title="zones") == "zones: nothing to draw"


def test_dagster_shows_a_rhythm_in_place() -> None:
    """It renders Markdown below 1,000 characters where it stands."""
    many = days(*(offset / 7 for offset in range(400)))
    title = "liquidity_events of binance_usdm:1000SHIBUSDT:15m over time"
    assert len(rhythm(many, start=BEGIN, end=BEGIN + timedelta(days=57), title=title)) < 1_000

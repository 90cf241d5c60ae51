import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import warm_up
from engine.digests import HEX, hex_digests

warm_up()

INSTANTS = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)


def expected(before: bytes, number: int, after: bytes) -> str:
    return hashlib.sha256(b"%b%d%b" % (before, number, after)).hexdigest()[:HEX]


def found(before: bytes, numbers: list[int], after: bytes) -> list[str]:
    return [row.tobytes().decode() for row in hex_digests(before, np.array(numbers, np.int64), after)]


@given(st.binary(max_size=150), st.lists(INSTANTS, max_size=100).map(sorted), st.binary(max_size=150))
def test_a_digest_is_the_library_s(before: bytes, numbers: list[int], after: bytes) -> None:
    assert found(before, numbers, after) == [expected(before, number, after) for number in numbers]


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1_000])
def test_how_many_there_are_makes_no_difference(size: int) -> None:
    numbers = list(range(1_640_995_200_000_000, 1_640_995_200_000_000 + size))
    assert found(b"a|", numbers, b"|b") == [expected(b"a|", number, b"|b") for number in numbers]


@pytest.mark.parametrize("edge", [0, *(sign * 10**k for k in range(19) for sign in (-1, 1))])
def test_numbers_change_their_width_where_the_decimals_do(edge: int) -> None:
    numbers = sorted({edge - 1, edge, edge + 1})
    assert found(b"", numbers, b"") == [expected(b"", number, b"") for number in numbers]


@pytest.mark.parametrize("length", range(40, 130))
def test_every_length_is_padded_as_the_standard_says(length: int) -> None:
    assert found(b"", [7], b"x" * (length - 1)) == [expected(b"", 7, b"x" * (length - 1))]


@pytest.mark.parametrize("numbers", [[5, 100, 7], [-(2**63), 1]])
def test_numbers_that_do_not_ascend_or_have_no_magnitude_are_refused(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="must ascend and lie above"):
        hex_digests(b"", np.array(numbers, np.int64), b"")

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import FrameRejected
from store.write_once import document

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_document_reads_back_as_what_it_was(value: dict[str, object]) -> None:
    assert json.loads(document(value, of="it")) == value


def test_names_are_sorted_and_no_room_is_wasted() -> None:
    assert document({"b": 1, "a": {"é": [0.1, None]}}, of="it") == '{"a":{"é":[0.1,null]},"b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), object(), {1, 2}])
def test_what_is_no_json_is_refused_by_name(value: object) -> None:
    with pytest.raises(FrameRejected, match="metrics of run 7 cannot be stored as JSON"):
        document({"deep": [{"er": value}]}, of="metrics of run 7")

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.states import EMPTY, MAX_STATE_BYTES, BotStates, BotStatesRefused, SavedState, state_bytes
from contracts import DataRejected

STATES = BotStates({"sweep": SavedState("v1", b'{"n":1}'), "fade": SavedState("v2", b"{}")})
BLOB = STATES.encode()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("abcü€"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abcdef"), JSON))
def test_a_state_of_json_values_is_what_its_bytes_say(state: dict[str, Any]) -> None:
    data = state_bytes(state)
    again = json.loads(data)
    assert again == state
    assert state_bytes(again) == data


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ([1], "must stay a dict, it became a list"),
        (None, "must stay a dict"),
        ({"a": {1, 2}}, "set is not JSON serializable"),
        ({"a": float("nan")}, "not JSON compliant"),
        ({"a": "\ud800"}, "surrogates not allowed"),
        ({1: "a"}, "the name 1: names must be text, write '1'"),
        ({"a": [{"b": {2.5: 0}}]}, "the name 2.5"),
        ({"a": 1, 2: 3}, "the name 2: names must be text, write '2'"),
        ({"a": "x" * MAX_STATE_BYTES}, "at most 65,536 are kept"),
        ({"a": 10**5000}, "JSON cannot"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused_with_the_reason(state: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        state_bytes(state)


def test_a_state_that_contains_itself_is_refused() -> None:
    state: dict[str, Any] = {}
    state["a"] = state
    with pytest.raises(ValueError, match="JSON cannot"):
        state_bytes(state)


def test_a_state_too_deep_for_json_is_refused() -> None:
    state: dict[str, Any] = {}
    for _ in range(100_000):
        state = {"a": state}
    with pytest.raises(ValueError, match="JSON cannot"):
        state_bytes(state)
    while state:  # taken apart here: its destructor would not survive the depth either
        state = state["a"]


def test_a_tuple_may_be_kept_and_comes_back_as_a_list() -> None:
    assert state_bytes({"a": (1, 2)}) == b'{"a":[1,2]}'


def test_a_state_of_exactly_the_limit_is_kept() -> None:
    room = MAX_STATE_BYTES - len(b'{"a":""}')
    assert len(state_bytes({"a": "x" * room})) == MAX_STATE_BYTES


def test_states_come_back_from_their_section() -> None:
    assert BotStates.decode(BLOB) == STATES
    assert BotStates.decode(BotStates().encode()) == BotStates()


def test_the_order_in_which_bots_were_added_does_not_show() -> None:
    assert BotStates(dict(reversed([*STATES.saved.items()]))).encode() == BLOB


def test_a_state_belongs_to_one_version_of_a_bot() -> None:
    assert STATES.of("sweep", version="v1") == b'{"n":1}'
    assert STATES.of("sweep", version="v2") == EMPTY
    assert STATES.of("other", version="v1") == EMPTY
    assert STATES.missing({"sweep": "v1", "fade": "v3", "other": "v1"}) == ("fade", "other")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 17, 18, 40, len(BLOB) - 33, len(BLOB) - 1])
def test_a_truncated_section_is_refused_as_truncated(length: int) -> None:
    with pytest.raises(BotStatesRefused, match="truncated states of bots"):
        BotStates.decode(BLOB[:length])


@given(st.integers(18, len(BLOB) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_is_refused_as_tampered_with(at: int, flip: int) -> None:
    changed = BLOB[:at] + bytes([BLOB[at] ^ flip]) + BLOB[at + 1 :]
    with pytest.raises(BotStatesRefused, match="tampered states of bots"):
        BotStates.decode(changed)


def resealed(old: bytes, new: bytes) -> bytes:
    assert old in BLOB
    assert len(old) == len(new)
    body = BLOB[:-32].replace(old, new, 1)
    return body + hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"TIDEBOTS\x01\x00", b"TIDEBOTS\x02\x00", "of format 2, this runner reads format 1"),
        (b'["sweep","v1",7]', b'["sweep","v1",6]', "tampered"),
        (b'{"n":1}', b'["n",1]', "the state of 'sweep' is no JSON object"),
        (b'["fade"', b'{"fade"', "tampered"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused_with_the_reason(old: bytes, new: bytes, told: str) -> None:
    with pytest.raises(BotStatesRefused, match=told):
        BotStates.decode(resealed(old, new))


def test_other_bytes_are_refused_as_no_states() -> None:
    with pytest.raises(DataRejected, match="no states of bots: they begin with b'TIDESNAP'"):
        BotStates.decode(b"TIDESNAP" + bytes(100))


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(BotStatesRefused, match="tampered"):
        BotStates.decode(BLOB + b"\0")

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from engine import EngineParams
from engine.rows import BREAK, LIQUIDITY, SIGNAL, SWING, ZONE, ZONE_EVENT
from engine.state import FEATURES, MICRO, POSITION, REGIME, RETEST, STRUCTURE, SWINGS, TAIL, ZONES, SeriesState

PARAMS = EngineParams(max_zones=5, max_inversions=3)


def _unpickled(state: SeriesState) -> SeriesState:
    same: SeriesState = pickle.loads(pickle.dumps(state))  # noqa: S301 - its own bytes
    return same


def test_a_state_survives_its_bytes() -> None:
    state = SeriesState.at_start(PARAMS)
    state.position["bars"] = 7
    state.tail["close"][0, 198] = 0.1
    state.regime["calm"] = 1
    state.zones[4]["price_lo"] = 0.3
    state.entered[4] = 11
    again = SeriesState.from_bytes(state.to_bytes(), PARAMS)
    assert again.to_bytes() == state.to_bytes()
    assert (again.position["bars"][0], again.tail["close"][0, 198], again.regime["calm"][0]) == (7, 0.1, 1)
    assert (again.zones[4]["price_lo"], again.entered[4]) == (0.3, 11)


def test_a_state_read_from_bytes_can_be_written_to() -> None:
    again = SeriesState.from_bytes(SeriesState.at_start(PARAMS).to_bytes(), PARAMS)
    again.tail["close"][0, 0] = 1.0
    assert again.tail["close"][0, 0] == 1.0


def test_a_copy_shares_nothing() -> None:
    state = SeriesState.at_start(PARAMS)
    before = state.to_bytes()
    other = state.copy()
    for record in (other.position, other.zones, other.micro):
        record.view(np.int64)[0] = 1
    assert state.to_bytes() == before


@pytest.mark.parametrize("copied", [copy.deepcopy, _unpickled])
def test_a_state_that_python_copies_is_whole(copied: Callable[[SeriesState], SeriesState]) -> None:
    state = SeriesState.at_start(EngineParams())
    twin = copied(state)
    twin.position["bars"] = 5
    assert twin.copy().position["bars"][0] == 5
    assert SeriesState.from_bytes(twin.to_bytes(), EngineParams()).position["bars"][0] == 5
    assert state.position["bars"][0] == 0


def test_the_limits_alone_decide_how_large_a_state_is() -> None:
    size = len(SeriesState.at_start(PARAMS).to_bytes())
    assert len(SeriesState.at_start(EngineParams(max_zones=6, max_inversions=3)).to_bytes()) == size + ZONE.itemsize + 8
    assert len(SeriesState.at_start(EngineParams(max_zones=5, max_inversions=4)).to_bytes()) == size + ZONE.itemsize


def test_bytes_of_another_size_are_refused() -> None:
    size = len(SeriesState.at_start(PARAMS).to_bytes())
    with pytest.raises(ValueError, match=f"{size} bytes, received 3"):
        SeriesState.from_bytes(b"abc", PARAMS)
    with pytest.raises(ValueError, match=f"received {size}"):
        SeriesState.from_bytes(SeriesState.at_start(PARAMS).to_bytes(), EngineParams())


def test_the_layout_is_stated_to_the_byte_and_the_same_on_every_machine() -> None:
    records = (POSITION, TAIL, FEATURES, REGIME, SWINGS, STRUCTURE, ZONES, RETEST, MICRO)
    for record in (*records, SWING, BREAK, LIQUIDITY, ZONE, ZONE_EVENT, SIGNAL):
        assert record.fields is not None
        kinds = [np.dtype(field[0].base).str for field in record.fields.values()]
        assert set(kinds) <= {"<i8", "<f8"}
        assert record.itemsize == sum(field[0].itemsize for field in record.fields.values())

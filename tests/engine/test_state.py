import numpy as np
import pytest

from engine.state import FEATURES, POSITION, REGIME, STATE_BYTES, SeriesState


def test_a_state_survives_its_bytes() -> None:
    state = SeriesState.at_start()
    state.position["bars"] = 7
    state.features["close"][0, 198] = 0.1
    state.regime["calm"] = 1
    again = SeriesState.from_bytes(state.to_bytes())
    assert again.to_bytes() == state.to_bytes()
    assert (again.position["bars"][0], again.features["close"][0, 198], again.regime["calm"][0]) == (7, 0.1, 1)


def test_a_state_read_from_bytes_can_be_written_to() -> None:
    again = SeriesState.from_bytes(SeriesState.at_start().to_bytes())
    again.features["close"][0, 0] = 1.0
    assert again.features["close"][0, 0] == 1.0


def test_bytes_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=f"{STATE_BYTES} bytes, received 3"):
        SeriesState.from_bytes(b"abc")


def test_the_layout_is_stated_to_the_byte_and_the_same_on_every_machine() -> None:
    for record in (POSITION, FEATURES, REGIME):
        assert record.fields is not None
        kinds = [np.dtype(field[0].base).str for field in record.fields.values()]
        assert set(kinds) <= {"<i8", "<f8"}
        assert record.itemsize == sum(field[0].itemsize for field in record.fields.values())

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.wire import MAX_REPLY, PREFIX, FrameRejected, Inbox, frame

HEADS = st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text() | st.none(), max_size=4)


@given(st.lists(st.tuples(HEADS, st.binary(max_size=40)), max_size=6), st.integers(1, 50))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    sent: list[tuple[dict[str, object], bytes]], piece: int
) -> None:
    data = b"".join(frame(head, blob) for head, blob in sent)
    inbox = Inbox()
    received = [one for at in range(0, len(data), piece) for one in inbox.take(data[at : at + piece])]
    assert received == sent


@pytest.mark.parametrize("text", [b"hello", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(FrameRejected, match="no frame"):
        list(Inbox().take(PREFIX.pack(len(text), 0) + text))


def test_a_frame_that_announces_too_much_is_refused_before_it_is_awaited() -> None:
    with pytest.raises(FrameRejected, match=f"announces {MAX_REPLY + 1} bytes"):
        list(Inbox().take(PREFIX.pack(2, MAX_REPLY - 1) + b"{}"))


def test_half_a_frame_is_waited_for() -> None:
    inbox = Inbox()
    data = frame({"a": 1}, b"blob")
    assert list(inbox.take(data[:-1])) == []
    assert list(inbox.take(data[-1:])) == [({"a": 1}, b"blob")]

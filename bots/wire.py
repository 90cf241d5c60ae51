"""How the runner and a worker talk: frames of two lengths, a JSON object and bytes.

    length of the JSON u32 · length of the blob u32 | JSON object | blob

Integers are little endian; floats travel in their shortest text, which reads back to the same bits. No pickle:
reading a frame can run nothing.

Invariant: a reader never waits for more than `MAX_REPLY` bytes of a frame that a bot's process announced.

    os.write(fd, frame({"op": "bars", "bars": [...]}))
    for head, blob in inbox.take(os.read(fd, 65_536)): ...
"""

from __future__ import annotations

import json
import signal
import struct
from typing import TYPE_CHECKING, Any

from contracts import DataRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = struct.Struct("<II")
MAX_REPLY = 1 << 20
WHERE = signal.SIGUSR1  # asks a worker that does not answer to print its stack to standard error
_JSON = json.JSONEncoder(separators=(",", ":"))


class FrameRejected(DataRejected):
    """What arrived is no frame; the other side cannot be understood any more."""


def frame(head: dict[str, Any], blob: bytes = b"") -> bytes:
    """One frame as bytes."""
    text = _JSON.encode(head).encode()
    return PREFIX.pack(len(text), len(blob)) + text + blob


def read_head(text: bytes) -> dict[str, Any]:
    """The JSON object of a frame.

    Raises:
        FrameRejected: It is none.
    """
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"no frame: {text[:80]!r} is no JSON ({error})"
        raise FrameRejected(msg) from error
    if not isinstance(head, dict):
        msg = f"no frame: {text[:80]!r} is no JSON object"
        raise FrameRejected(msg)
    return head


class Inbox:
    """Frames out of bytes that arrive in any pieces."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def take(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The frames that are whole with `data`.

        Raises:
            FrameRejected: The bytes are no frame, or one larger than `MAX_REPLY`.
        """
        pending = self._pending
        pending += data
        at = 0
        try:
            while len(pending) - at >= PREFIX.size:
                text, blob = PREFIX.unpack_from(pending, at)
                if text + blob > MAX_REPLY:
                    msg = f"no frame: {bytes(pending[at : at + 40])!r} announces {text + blob} bytes"
                    raise FrameRejected(msg)
                start, middle, end = at + PREFIX.size, at + PREFIX.size + text, at + PREFIX.size + text + blob
                if len(pending) < end:
                    break
                at = end
                yield read_head(bytes(pending[start:middle])), bytes(pending[middle:end])
        finally:
            del pending[:at]

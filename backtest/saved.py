"""A session as bytes: everything that decides what follows, and everything that was written so far.

One archive of plain arrays; frames are stored as Arrow, engines as their own snapshots. The configuration is no part
of it: whoever restores hands it in, and another one is refused.

    data = session.saved()
    same = Session.restored(data, keys, config, start=start)
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from backtest.config import BacktestRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays by name, as bytes."""
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    return sink.getvalue()


def unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    """What `packed` was given.

    Raises:
        BacktestRefused: The bytes are none of its.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        msg = f"the saved session cannot be read ({error}): begin it anew"
        raise BacktestRefused(msg) from error


def of_text(text: str) -> NDArray[np.uint8]:
    """A text as an array."""
    return of_bytes(text.encode())


def of_bytes(data: bytes) -> NDArray[np.uint8]:
    """Bytes as an array."""
    return np.frombuffer(data, np.uint8)


def of_frame(frame: pl.DataFrame) -> NDArray[np.uint8]:
    """A frame as an array."""
    sink = io.BytesIO()
    frame.write_ipc(sink)
    return of_bytes(sink.getvalue())


def frame_of(array: NDArray[Any]) -> pl.DataFrame:
    """The frame that `of_frame` was given."""
    return pl.read_ipc(io.BytesIO(array.tobytes()))

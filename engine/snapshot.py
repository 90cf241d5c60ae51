"""The bytes a series is saved as, and the refusal of every other bytes.

    magic 8 · format u16 · total length u64 | header length u32 · header (JSON) · state · bots | sha256 of all before

Integers are little endian. The part before the first bar and the checksum are the same in every format to come, so
that truncation, damage and age are told apart. The header names engine version, series, sub-timeframe and parameters
(values and hash), and how long the state is; what follows it is what the bots of the series remember, which the room
`bots` reads. No pickle: reading a snapshot can run nothing.

    blob = encode(Saved(key, params, None, state_bytes, b""), engine_version=2)
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from contracts import DataRejected, SeriesKey, Timeframe
from engine.params import EngineParams

MAGIC = b"TIDESNAP"
FORMAT = 2

_PREFIX = struct.Struct("<8sHQ")
_LENGTH = struct.Struct("<I")
_CHECKSUM_BYTES = 32


class SnapshotRefused(DataRejected):
    """These bytes are not a snapshot that this engine may continue from; recompute the series from its candles."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a snapshot holds.

    Attributes:
        key: The series.
        params: The parameters it was computed with.
        sub: The sub-timeframe whose breaks it was given; None = none.
        state: `SeriesState.to_bytes`.
        bots: What its plug-in bots remember; empty = nothing.
    """

    key: SeriesKey
    params: EngineParams
    sub: str | None
    state: bytes
    bots: bytes


def encode(saved: Saved, *, engine_version: int) -> bytes:
    """The snapshot of a series, as bytes."""
    header = {
        "engine_version": engine_version,
        "params": saved.params.model_dump(),
        "params_hash": saved.params.hash,
        "series": str(saved.key),
        "state_bytes": len(saved.state),
        "sub": saved.sub,
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    content = text + saved.state + saved.bots
    total = _PREFIX.size + _LENGTH.size + len(content) + _CHECKSUM_BYTES
    body = _PREFIX.pack(MAGIC, FORMAT, total) + _LENGTH.pack(len(text)) + content
    return body + hashlib.sha256(body).digest()


def decode(blob: bytes, *, engine_version: int) -> Saved:
    """Read a snapshot made by `encode`.

    Args:
        blob: The bytes.
        engine_version: The only version accepted.

    Raises:
        SnapshotRefused: The bytes are no snapshot, truncated, altered, of another format or of another engine version.
    """
    _check_envelope(blob)
    start = _PREFIX.size + _LENGTH.size
    (length,) = _LENGTH.unpack_from(blob, _PREFIX.size)
    header = _read_header(blob[start : start + length])
    if header.engine_version != engine_version:
        msg = (
            f"snapshot of {header.key}: made by engine version {header.engine_version}, this is version "
            f"{engine_version}; recompute the series from its candles"
        )
        raise SnapshotRefused(msg)
    # Read after the version: another version may have other parameters.
    params = _read_params(header)
    content = blob[start + length : -_CHECKSUM_BYTES]
    if len(content) < header.state_bytes:
        msg = f"tampered snapshot of {header.key}: {len(content)} bytes of a state of {header.state_bytes}"
        raise SnapshotRefused(msg)
    return Saved(header.key, params, header.sub, content[: header.state_bytes], content[header.state_bytes :])


def _check_envelope(blob: bytes) -> None:
    if len(blob) < _PREFIX.size or not blob.startswith(MAGIC):
        if blob[: len(MAGIC)] == MAGIC[: len(blob)]:
            msg = f"truncated snapshot: {len(blob)} bytes do not even hold its length"
        else:
            msg = f"no engine snapshot: it begins with {blob[: len(MAGIC)]!r}, not with {MAGIC!r}"
        raise SnapshotRefused(msg)
    _, form, total = _PREFIX.unpack_from(blob)
    if len(blob) < total:
        msg = f"truncated snapshot: {len(blob)} of {total} bytes"
        raise SnapshotRefused(msg)
    if len(blob) > total or hashlib.sha256(blob[:-_CHECKSUM_BYTES]).digest() != blob[-_CHECKSUM_BYTES:]:
        msg = f"tampered snapshot: its {len(blob)} bytes do not match their checksum"
        raise SnapshotRefused(msg)
    if form != FORMAT:
        msg = f"snapshot of format {form}, this engine reads format {FORMAT}; recompute the series from its candles"
        raise SnapshotRefused(msg)


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    engine_version: int
    series: str
    params: dict[str, Any]
    params_hash: str
    sub: str | None
    state_bytes: NonNegativeInt

    @cached_property
    def key(self) -> SeriesKey:
        """The series; `_read_header` has made sure that there is such a one."""
        return SeriesKey.parse(self.series)


def _read_header(text: bytes) -> _Header:
    try:
        header = _Header.model_validate_json(text)
        SeriesKey.parse(header.series)
        if header.sub is not None:
            Timeframe(header.sub)
    except ValueError as error:
        msg = f"tampered snapshot: its header cannot be read ({error!r})"
        raise SnapshotRefused(msg) from error
    return header


def _read_params(header: _Header) -> EngineParams:
    try:
        params = EngineParams.model_validate_json(json.dumps(header.params))
    except ValueError as error:
        msg = f"tampered snapshot of {header.key}: its header holds impossible parameters ({error})"
        raise SnapshotRefused(msg) from error
    if params.hash != header.params_hash:
        msg = f"tampered snapshot of {header.key}: its parameters hash to {params.hash}, not to {header.params_hash}"
        raise SnapshotRefused(msg)
    return params

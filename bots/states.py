"""What bots remember, as bytes: of one bot after one bar, and of all bots of a series in a snapshot.

A state is a JSON object of at most 64 KiB. A section of all states is

    magic 8 · format u16 · total length u64 | header length u32 · header (JSON) · states | sha256 of all before, 32

Invariant: what a bot is given at a bar is what the bytes after the bar before say, so that a restart between them
changes nothing. No pickle: reading a section can run nothing. Left out: whose series it is; the engine's snapshot,
to which the section is appended, says so.

    blob = BotStates({"sweep": SavedState("sha256…", b"{}")}).encode()
    BotStates.decode(blob).of("sweep", version="sha256…")
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from contracts import DataRejected
from engine.plugins import canonical_json

MAX_STATE_BYTES = 65_536
EMPTY = b"{}"

MAGIC = b"TIDEBOTS"
FORMAT = 1
_PREFIX = struct.Struct("<8sHQ")
_LENGTH = struct.Struct("<I")
_CHECKSUM_BYTES = 32


class BotStatesRefused(DataRejected):
    """These bytes are no states of bots; recompute the bots of the series from its first bar."""


def state_bytes(state: object) -> bytes:
    """The bytes a bot's state is kept as.

    Raises:
        ValueError: It is no dict of JSON values with names of text, or larger than 64 KiB.
    """
    if not isinstance(state, dict):
        msg = f"state must stay a dict, it became a {type(state).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - for the caller it is one more value that cannot be kept
    try:
        text = canonical_json(state)
        data = text.encode()
        again = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, TypeError):  # names of several types cannot be sorted
            with suppress(RecursionError):
                _check_names(state)
        msg = f"state holds what JSON cannot: {error}"
        raise ValueError(msg) from error
    if len(data) > MAX_STATE_BYTES:
        msg = f"state is {len(data):,} bytes as JSON, at most {MAX_STATE_BYTES:,} are kept: drop what is old"
        raise ValueError(msg)
    if again != state:
        _check_names(state)
    return data


def _check_names(value: object) -> None:
    """JSON writes the name 1 as "1": the next bar would look for it in vain."""
    if isinstance(value, dict):
        for name, one in value.items():
            if not isinstance(name, str):
                msg = f"state has the name {name!r}: names must be text, write {str(name)!r}"
                raise ValueError(msg)  # noqa: TRY004 - as above
            _check_names(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _check_names(one)


@dataclass(frozen=True, slots=True)
class SavedState:
    """The state of one bot.

    Attributes:
        version: Version of the bot that made it.
        data: `state_bytes`.
    """

    version: str
    data: bytes


@dataclass(frozen=True, slots=True)
class BotStates:
    """The states of all bots of one series, by the bot's name."""

    saved: Mapping[str, SavedState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "saved", MappingProxyType(dict(self.saved)))

    def of(self, name: str, *, version: str) -> bytes:
        """The state of a bot; an empty one where there is none or another version made it."""
        kept = self.saved.get(name)
        return kept.data if kept is not None and kept.version == version else EMPTY

    def missing(self, versions: Mapping[str, str]) -> tuple[str, ...]:
        """Which of these bots (name → version) would start anew here, for lack of a state of their version."""
        kept = {name: one.version for name, one in self.saved.items()}
        return tuple(sorted(name for name, version in versions.items() if kept.get(name) != version))

    def encode(self) -> bytes:
        """All states as one section of bytes; equal states give equal bytes."""
        names = sorted(self.saved)
        header = [[name, self.saved[name].version, len(self.saved[name].data)] for name in names]
        text = canonical_json(header).encode()
        states = b"".join(self.saved[name].data for name in names)
        total = _PREFIX.size + _LENGTH.size + len(text) + len(states) + _CHECKSUM_BYTES
        body = _PREFIX.pack(MAGIC, FORMAT, total) + _LENGTH.pack(len(text)) + text + states
        return body + hashlib.sha256(body).digest()

    @classmethod
    def decode(cls, blob: bytes) -> Self:
        """The states that `encode` wrote.

        Raises:
            BotStatesRefused: The bytes are no such section, truncated, tampered with or of another format; the
                message says which.
        """
        _check_whole(blob)
        try:
            return cls(_read(blob[_PREFIX.size : -_CHECKSUM_BYTES]))
        except (ValueError, TypeError, RecursionError, struct.error) as error:
            msg = f"tampered states of bots: their header cannot be read ({error})"
            raise BotStatesRefused(msg) from error


def _read(body: bytes) -> dict[str, SavedState]:
    (length,) = _LENGTH.unpack_from(body)
    at = _LENGTH.size + length
    header: list[Any] = json.loads(body[_LENGTH.size : at])
    saved: dict[str, SavedState] = {}
    for name, version, size in header:
        data = body[at : at + size]
        at += size
        if not isinstance(json.loads(data), dict):
            msg = f"the state of {name!r} is no JSON object"
            raise ValueError(msg)  # noqa: TRY004 - translated by the caller
        saved[name] = SavedState(version, data)
    if at != len(body):
        msg = f"{len(body) - at} bytes belong to no bot"
        raise ValueError(msg)
    return saved


def _check_whole(blob: bytes) -> None:
    if len(blob) < _PREFIX.size or not blob.startswith(MAGIC):
        if blob[: len(MAGIC)] == MAGIC[: len(blob)]:
            msg = f"truncated states of bots: {len(blob)} bytes do not even hold their length"
        else:
            msg = f"no states of bots: they begin with {blob[: len(MAGIC)]!r}, not with {MAGIC!r}"
        raise BotStatesRefused(msg)
    _, form, total = _PREFIX.unpack_from(blob)
    if len(blob) < total:
        msg = f"truncated states of bots: {len(blob)} of {total} bytes"
        raise BotStatesRefused(msg)
    if len(blob) > total or hashlib.sha256(blob[:-_CHECKSUM_BYTES]).digest() != blob[-_CHECKSUM_BYTES:]:
        msg = f"tampered states of bots: {len(blob)} bytes do not match their checksum"
        raise BotStatesRefused(msg)
    if form != FORMAT:
        msg = f"states of bots of format {form}, this runner reads format {FORMAT}; recompute them"
        raise BotStatesRefused(msg)

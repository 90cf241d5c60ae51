"""SHA-256 of many short texts that differ in one number: the names of signals.

A library is called once a text, and what the call costs is more than the hash: on a twentieth of all bars it took a
seventh of the engine's time. Here 32 texts go side by side through the rounds of FIPS 180-4, as vector
instructions. Nothing is kept secret by it: these are names, not signatures.

Invariant: every digest is the one `hashlib.sha256` gives (tests/engine/test_digests.py).
Left out: −2⁶³, which has no magnitude in 64 bits.

    hex_digests(b"binance_spot|BTCUSDT|15m|", instants, b"|retest|LONG|…")     # shape (instants, 24), ASCII
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import types

from contracts.kernel import formula, instants, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEX: Final = 24  # characters kept of a digest's 64
_LANES: Final = 32
_BLOCK: Final = 64  # bytes
_WORDS, _ROUNDS = 16, 64
_ZERO, _LETTERS = 48, 87  # "0", and what 10 lacks to "a"
_LOWEST = np.iinfo(np.int64).min
_TENS = 10 ** np.arange(1, 19, dtype=np.int64)

# FIPS 180-4, sections 4.2.2 and 5.3.3.
_K: Final = np.array(
    [
        *(0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5),
        *(0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174),
        *(0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA),
        *(0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967),
        *(0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85),
        *(0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070),
        *(0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3),
        *(0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2),
    ],
    np.uint32,
)
_START: Final = np.array(
    [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19], np.uint32
)

_word = types.uint32
_texts = types.Array(types.uint8, 2, "C")


@formula
def _turn(x: np.uint32, bits: int) -> np.uint32:
    """A word rotated right."""
    return (x >> np.uint32(bits)) | (x << np.uint32(32 - bits))


@formula
def _repeat(lanes: NDArray[Any], words: NDArray[Any]) -> None:
    """The same words in every lane."""
    for i in range(words.size):
        for lane in range(_LANES):
            lanes[i, lane] = words[i]


@formula
def _write(words: NDArray[Any], lane: int, number: int, at: int, width: int) -> None:
    """Write a number in decimal over zero bytes of a lane, from byte `at` on."""
    for place in range(at + width - 1, at - 1, -1):
        digit = np.uint32(_ZERO + number % 10)
        words[place >> 2, lane] |= digit << np.uint32(24 - 8 * (place & 3))
        number //= 10


@formula
def _expand(w: NDArray[Any]) -> None:
    """The words of a block's rounds from its own sixteen."""
    for t in range(_WORDS, _ROUNDS):
        for lane in range(_LANES):
            x, y = w[t - 15, lane], w[t - 2, lane]
            small = _turn(x, 7) ^ _turn(x, 18) ^ (x >> np.uint32(3))
            large = _turn(y, 17) ^ _turn(y, 19) ^ (y >> np.uint32(10))
            w[t, lane] = np.uint32(w[t - 16, lane] + small + w[t - 7, lane] + large)


@formula
def _compress(w: NDArray[Any], v: NDArray[Any]) -> None:
    """The rounds of a block; instead of moving the eight variables on, their names move on."""
    for t in range(_ROUNDS):
        a, b, c, d = -t & 7, 1 - t & 7, 2 - t & 7, 3 - t & 7
        e, f, g, h = 4 - t & 7, 5 - t & 7, 6 - t & 7, 7 - t & 7
        for lane in range(_LANES):
            x, y = v[a, lane], v[e, lane]
            choice = (y & v[f, lane]) ^ (~y & v[g, lane])
            first = np.uint32(v[h, lane] + (_turn(y, 6) ^ _turn(y, 11) ^ _turn(y, 25)) + choice + _K[t] + w[t, lane])
            majority = (x & v[b, lane]) ^ (x & v[c, lane]) ^ (v[b, lane] & v[c, lane])
            v[d, lane] = np.uint32(v[d, lane] + first)
            v[h, lane] = np.uint32(first + (_turn(x, 2) ^ _turn(x, 13) ^ _turn(x, 22)) + majority)


@formula
def _spell(state: NDArray[Any], lane: int, text: NDArray[Any]) -> None:
    """The first digits of a lane's digest."""
    for place in range(HEX):
        digit = state[place >> 3, lane] >> np.uint32(28 - 4 * (place & 7)) & np.uint32(15)
        text[place] = digit + (_ZERO if digit < 10 else _LETTERS)


@kernel(types.void(types.Array(_word, 1, "C"), types.int64, types.int64, instants, _texts))
def digest(
    message: NDArray[np.uint32], at: int, width: int, numbers: NDArray[np.int64], texts: NDArray[np.uint8]
) -> None:
    """Hash one message for each number.

    Args:
        message: Padded as FIPS 180-4 says, as big-endian words; zero where the number goes.
        at: Byte of the message at which its number begins.
        width: Digits of every number.
        numbers: Not negative.
        texts: Written: the first `HEX` hex digits of each digest, in ASCII.
    """
    words = np.empty((message.size, _LANES), np.uint32)
    w = np.empty((_ROUNDS, _LANES), np.uint32)
    state = np.empty((8, _LANES), np.uint32)
    v = np.empty((8, _LANES), np.uint32)
    for start in range(0, numbers.size, _LANES):
        lanes = min(_LANES, numbers.size - start)
        _repeat(words, message)
        for lane in range(lanes):
            _write(words, lane, numbers[start + lane], at, width)
        _repeat(state, _START)
        for block in range(0, message.size, _WORDS):
            w[:_WORDS] = words[block : block + _WORDS]
            _expand(w)
            v[:] = state
            _compress(w, v)
            for i in range(8):
                for lane in range(_LANES):
                    state[i, lane] = np.uint32(state[i, lane] + v[i, lane])
        for lane in range(lanes):
            _spell(state, lane, texts[start + lane])


def hex_digests(before: bytes, numbers: NDArray[np.int64], after: bytes) -> NDArray[np.uint8]:
    """The first `HEX` hex digits of SHA-256 over `before`, a number in decimal and `after`, one row a number.

    Args:
        before: What comes before the number.
        numbers: Ascending, above −2⁶³.
        after: What comes after it.

    Raises:
        ValueError: The numbers are not ascending, or too low.
    """
    if numbers.size and (numbers[0] == _LOWEST or (numbers[1:] < numbers[:-1]).any()):
        msg = f"numbers to be hashed must ascend and lie above {_LOWEST}, received {numbers.size} from {numbers[0]}"
        raise ValueError(msg)
    texts = np.empty((numbers.size, HEX), np.uint8)
    # Ascending numbers of one sign and width stand together.
    edges = np.searchsorted(numbers, np.concatenate((1 - _TENS[::-1], [0], _TENS)))
    for start, end in zip((0, *edges.tolist()), (*edges.tolist(), numbers.size), strict=True):
        if start < end:
            written = str(numbers[start])
            sign = b"-" if written[0] == "-" else b""
            width = len(written) - len(sign)
            message = _padded(before + sign + bytes(width) + after)
            at = len(before) + len(sign)
            digest(message, at, width, np.abs(numbers[start:end]), texts[start:end])
    return texts


def _padded(text: bytes) -> NDArray[np.uint32]:
    """A message as FIPS 180-4, section 5.1.1, pads it."""
    zeros = -(len(text) + 9) % _BLOCK
    padded = b"%b\x80%b%b" % (text, bytes(zeros), (8 * len(text)).to_bytes(8, "big"))
    return np.frombuffer(padded, ">u4").astype(np.uint32)

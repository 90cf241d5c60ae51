"""Keys of an account at Binance, and what they sign (binance-api.md §7).

REST signs the text as it is sent: percent-encoded first, query and body behind each other, the signature last. The
WebSocket API signs its parameters sorted by name, not encoded, as UTF-8. HMAC-SHA256 gives hex, Ed25519 base64.

Invariant: a secret is in nothing that can be printed, logged, compared or pickled; what shows of a key is where its
public part begins.

    key = ed25519_key(api_key, Path("spot.pem").read_text())
    body = key.rest({"symbol": "BTCUSDT", "timestamp": 1499827319559})     # symbol=…&timestamp=…&signature=…
    params = key.websocket({"symbol": "BTCUSDT", "timestamp": 1645423376532})
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Literal, NoReturn, TypeAlias
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts import Rejected

Value: TypeAlias = str | int | Decimal | bool
Params: TypeAlias = Mapping[str, Value]
Kind = Literal["HMAC", "ED25519"]

SIGNATURE: Final = "signature"
# What Binance takes for a number; anything else, an exponent for one, is -1100 or -1111 there.
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_SHOWN: Final = 4


class KeyRefused(Rejected):
    """What should be a key is none; the message never quotes it."""


class SigningKey:
    """An API key with what signs in its name. Made by `hmac_key` and `ed25519_key`.

    Attributes:
        api_key: Its public part, for the header `X-MBX-APIKEY`.
        kind: How it signs; `session.logon` takes ED25519 alone.
    """

    __slots__ = ("_sign", "api_key", "kind")

    def __init__(self, api_key: str, kind: Kind, sign: Callable[[bytes], str]) -> None:
        self.api_key = api_key
        self.kind: Final = kind
        self._sign = sign

    def __repr__(self) -> str:
        return f"<{self.kind} key {self.api_key[:_SHOWN]}…>"

    def __reduce__(self) -> NoReturn:
        msg = "a signing key stays in the process that read it"
        raise TypeError(msg)

    def sign(self, payload: bytes) -> str:
        """The signature of these bytes: hex or base64, as Binance writes it."""
        return self._sign(payload)

    def rest(self, params: Params) -> str:
        """Parameters as they are sent, in their order, with the signature behind them.

        Raises:
            ValueError: A value is no number that Binance reads, or the parameters are signed already.
        """
        text = encoded(params)
        _refuse_signed(params)
        signature = quote(self.sign(text.encode("ascii")), safe="")
        return f"{text}&{SIGNATURE}={signature}" if text else f"{SIGNATURE}={signature}"

    def websocket(self, params: Params) -> dict[str, str | int]:
        """Parameters of a request of the WebSocket API, with `apiKey` and `signature`.

        Raises:
            ValueError: A value is no number that Binance reads, or the parameters are signed already.
        """
        _refuse_signed(params)
        sent: dict[str, str | int] = {"apiKey": self.api_key}
        sent |= {name: value if type(value) is int else written(value) for name, value in params.items()}
        payload = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
        return {**sent, SIGNATURE: self.sign(payload.encode("utf-8"))}


def hmac_key(api_key: str, secret: str) -> SigningKey:
    """A key that signs by HMAC-SHA256.

    Raises:
        KeyRefused: A part is missing, or holds spaces.
    """
    _check(api_key, "the API key")
    _check(secret, "the secret")
    raw = secret.encode("ascii")
    return SigningKey(api_key, "HMAC", lambda payload: hmac.new(raw, payload, hashlib.sha256).hexdigest())


def ed25519_key(api_key: str, pem: str, *, passphrase: str | None = None) -> SigningKey:
    """A key that signs by Ed25519.

    Args:
        api_key: Its public part.
        pem: The private key as PKCS #8 in PEM.
        passphrase: Opens an encrypted one.

    Raises:
        KeyRefused: The PEM is none, is encrypted otherwise, or holds a key of another kind.
    """
    _check(api_key, "the API key")
    word = None if passphrase is None else passphrase.encode()
    try:
        private = serialization.load_pem_private_key(pem.encode(), password=word)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        msg = f"the private key of {api_key[:_SHOWN]}… cannot be read: PKCS #8 in PEM is needed, with its passphrase"
        raise KeyRefused(msg) from None  # the library's message may quote what it was given
    if not isinstance(private, Ed25519PrivateKey):
        msg = f"the private key of {api_key[:_SHOWN]}… is a {type(private).__name__}: an Ed25519 key is needed"
        raise KeyRefused(msg)
    return SigningKey(api_key, "ED25519", lambda payload: base64.b64encode(private.sign(payload)).decode("ascii"))


def encoded(params: Params) -> str:
    """Parameters percent-encoded in their order: what is sent, and what is signed.

    Raises:
        ValueError: A number is none that Binance reads.
    """
    return "&".join(f"{quote(name, safe='')}={quote(written(value), safe='')}" for name, value in params.items())


def written(value: Value) -> str:
    """A value as Binance reads it: numbers without sign and exponent, truth as `true`.

    Raises:
        ValueError: A number is none that Binance reads.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if not _NUMBER.fullmatch(text):
        msg = f"{value} is no number that Binance reads: at most 20 digits on each side of the point, no sign"
        raise ValueError(msg)
    return text


def _refuse_signed(params: Params) -> None:
    if SIGNATURE in params:
        msg = "these parameters are signed already: sign each request once, when it is sent"
        raise ValueError(msg)


def _check(text: str, what: str) -> None:
    if not text or not text.isascii() or any(map(str.isspace, text)):
        msg = f"{what} is empty or holds spaces: hand it over as Binance showed it, without a line's end"
        raise KeyRefused(msg)

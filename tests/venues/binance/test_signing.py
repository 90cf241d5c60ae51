"""Signatures against Binance's published vectors (binance-api.md §7.2), and what of a key can be seen."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from venues.binance.signing import KeyRefused, Params, ed25519_key, encoded, hmac_key, written

SPOT_API = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SPOT_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
USDM_API = "dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83"
USDM_SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u
-----END PRIVATE KEY-----
"""

ORDER: Params = {
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": Decimal(1),
    "price": Decimal("0.1"),
    "recvWindow": 5000,
    "timestamp": 1499827319559,
}
FULL_WIDTH = "１２３４５６"


@pytest.mark.parametrize(
    ("symbol", "sent", "signature"),
    [
        ("LTCBTC", "LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (
            FULL_WIDTH,
            "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96",
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
    ],
    ids=["V1", "V2"],
)
def test_a_rest_request_of_spot_is_encoded_and_then_signed(symbol: str, sent: str, signature: str) -> None:
    text = hmac_key(SPOT_API, SPOT_SECRET).rest({"symbol": symbol, **ORDER})
    assert text == (
        f"symbol={sent}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
        f"&timestamp=1499827319559&signature={signature}"
    )


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        (
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": Decimal("0.01000000"),
                "price": Decimal("52000.00"),
                "recvWindow": 100,
                "timestamp": 1645423376532,
            },
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
        ),
        (
            {
                "symbol": FULL_WIDTH,
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": Decimal("1.00000000"),
                "price": Decimal("0.10000000"),
                "recvWindow": 5000,
                "timestamp": 1645423376532,
            },
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
        ),
    ],
    ids=["V4", "V5"],
)
def test_a_websocket_request_is_sorted_and_signed_as_it_is(params: Params, signature: str) -> None:
    sent = hmac_key(SPOT_API, SPOT_SECRET).websocket(params)
    assert sent["signature"] == signature
    assert sent["apiKey"] == SPOT_API
    assert (sent["timestamp"], sent["price"]) == (params["timestamp"], written(params["price"]))


def test_a_rest_request_of_usdm_is_signed_the_same_way() -> None:  # V6
    params: Params = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": 1,
        "price": 9000,
        "timeInForce": "GTC",
        "recvWindow": 5000,
        "timestamp": 1591702613943,
    }
    signature = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    assert hmac_key(USDM_API, USDM_SECRET).rest(params) == f"{encoded(params)}&signature={signature}"


def test_ed25519_signs_what_binance_published() -> None:  # V7
    payload = "\x01".join(("A", "EXAMPLE", "SPOT", "1", "20240627-11:17:25.223"))
    assert ed25519_key(SPOT_API, PEM).sign(payload.encode()) == (
        "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA=="
    )


def test_a_base64_signature_is_encoded_where_it_is_sent() -> None:  # V8
    params: Params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": 1,
        "price": Decimal("0.2"),
        "timestamp": 1668481559918,
        "recvWindow": 5000,
    }
    key = ed25519_key(SPOT_API, PEM)
    signature = "inDT086KVIP8vgUfw5sV3VTkescWztiAGlf4x8FLKHM4NInsn0c1kYVLoGMO8cyjfR6vmTku2YQE0gtfVVlfCw=="
    assert key.sign(encoded(params).encode()) == signature
    assert key.rest(params).endswith("&signature=" + signature.replace("=", "%3D"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (5000, "5000"),
        ("GTC", "GTC"),
    ],
)
def test_values_are_written_as_binance_reads_them(value: str | Decimal | int, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize("value", [Decimal(-1), -1, Decimal("NaN"), Decimal("1E-21"), Decimal("1E+20")])
def test_a_number_that_binance_would_refuse_is_refused_before_it_is_sent(value: Decimal | int) -> None:
    with pytest.raises(ValueError, match="no number that Binance reads"):
        hmac_key(SPOT_API, SPOT_SECRET).rest({"quantity": value})


def test_nothing_is_signed_twice() -> None:
    key = hmac_key(SPOT_API, SPOT_SECRET)
    for sign in (key.rest, key.websocket):
        with pytest.raises(ValueError, match="signed already"):
            sign({"symbol": "BTCUSDT", "signature": "00"})


def test_a_request_without_parameters_is_a_signature_alone() -> None:
    text = hmac_key(SPOT_API, SPOT_SECRET).rest({})
    assert text.startswith("signature=")
    assert len(text) == len("signature=") + 64


def test_of_a_key_only_the_begin_of_its_public_part_is_seen() -> None:
    for key in (hmac_key(SPOT_API, SPOT_SECRET), ed25519_key(SPOT_API, PEM)):
        assert repr(key) == f"<{key.kind} key vmPU…>"
        assert not hasattr(key, "__dict__")
        with pytest.raises(TypeError, match="stays in the process"):
            pickle.dumps(key)


@pytest.mark.parametrize(("api_key", "secret"), [("", "s"), ("a", ""), ("a b", "s"), ("a", "s\n"), ("ä", "s")])
def test_a_key_with_spaces_or_nothing_is_refused_and_not_quoted(api_key: str, secret: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        hmac_key(api_key, secret)
    assert repr(secret) not in str(refused.value)


def _pem(private: Ed25519PrivateKey | rsa.RSAPrivateKey, passphrase: bytes | None = None) -> str:
    sealed: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        sealed = serialization.BestAvailableEncryption(passphrase)
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed).decode()


def test_an_encrypted_key_opens_with_its_passphrase_alone() -> None:
    sealed = _pem(Ed25519PrivateKey.generate(), b"word")
    assert ed25519_key("abc", sealed, passphrase="word").kind == "ED25519"
    for passphrase in (None, "other"):
        with pytest.raises(KeyRefused, match="cannot be read") as refused:
            ed25519_key("abc", sealed, passphrase=passphrase)
        assert "word" not in str(refused.value)


@pytest.mark.parametrize("pem", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "secret"])
def test_what_is_no_private_key_is_refused_and_not_quoted(pem: str) -> None:
    with pytest.raises(KeyRefused, match=r"of abc… cannot be read") as refused:
        ed25519_key("abc", pem)
    assert not pem or pem not in str(refused.value)


def test_a_key_of_another_kind_is_refused_with_its_kind() -> None:
    with pytest.raises(KeyRefused, match="RSAPrivateKey: an Ed25519 key is needed"):
        ed25519_key("abc", _pem(rsa.generate_private_key(65537, 2048)))

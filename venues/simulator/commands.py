"""Control messages of a WebSocket, text in and text out, with the exchange's exact answers (binance-api §2.2).

Pure: a `Subscriptions` is a set of stream names and the `combined` property; `handle` changes it and returns the
answer. Stream names are taken as they come: an unknown one is acknowledged and stays silent, as at the exchange.

    handle('{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}', subscriptions)   # '{"result":null,"id":1}'
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
# Letters and digits by the documentation; its own SDK sends UUIDs with hyphens.
_TEXT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_INT64 = 2**63
UNKNOWN_PROPERTY = 0


@dataclass(slots=True)
class Subscriptions:
    """What one connection asked for.

    Attributes:
        combined: Whether events come in the envelope `{"stream": …, "data": …}`.
        names: Stream names in the order of subscription.
    """

    combined: bool
    names: dict[str, None] = field(default_factory=dict)


class _Refused(Exception):
    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code, self.msg = code, msg


def handle(text: str, subscriptions: Subscriptions) -> str:
    """The answer to one control message."""
    identity: Any = None
    try:
        message = _parse(text)
        identity = _identity(message)
        result = _execute(message, text, subscriptions)
    except _Refused as refusal:
        answer: dict[str, Any] = {"code": refusal.code, "msg": refusal.msg}
        if refusal.code == UNKNOWN_PROPERTY:  # the only refusal that repeats the id
            answer["id"] = identity
        return _dump(answer)
    return _dump({"result": result, "id": identity})


def _parse(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except json.JSONDecodeError as error:
        msg = f"Invalid JSON: expected value at line {error.lineno} column {error.colno}"
        raise _Refused(3, msg) from None
    if not isinstance(message, dict):
        raise _Refused(2, "Invalid request: expected an object")
    return message


def _identity(message: dict[str, Any]) -> int | str | None:
    identity = message.get("id")
    if identity is None:
        return None
    if isinstance(identity, str) and _TEXT_ID.fullmatch(identity):
        return identity
    if isinstance(identity, int) and not isinstance(identity, bool) and -_INT64 <= identity < _INT64:
        return identity
    raise _Refused(2, "Invalid request: request ID must be an unsigned integer")


def _execute(message: dict[str, Any], text: str, subscriptions: Subscriptions) -> Any:  # noqa: ANN401 - a JSON result
    if "method" not in message:
        raise _Refused(2, f"Invalid request: missing field `method` at line 1 column {len(text)}")
    method = message["method"]
    if method not in METHODS:
        column = text.find(json.dumps(method)) + len(json.dumps(method))
        known = ", ".join(f"`{name}`" for name in METHODS)
        raise _Refused(
            2, f"Invalid request: unknown variant `{method}`, expected one of {known} at line 1 column {column}"
        )
    parameters = message.get("params", [])
    if not isinstance(parameters, list):
        raise _Refused(2, "Invalid request: params must be an array")
    actions: dict[str, Callable[[list[Any], Subscriptions], Any]] = {
        "SUBSCRIBE": _subscribe,
        "UNSUBSCRIBE": _unsubscribe,
        "LIST_SUBSCRIPTIONS": _list,
        "SET_PROPERTY": _set_property,
        "GET_PROPERTY": _get_property,
    }
    return actions[method](parameters, subscriptions)


def _names(parameters: list[Any]) -> list[str]:
    if not parameters:
        raise _Refused(2, "Invalid request: missing field `params`")
    if not all(isinstance(name, str) for name in parameters):
        raise _Refused(2, "Invalid request: stream name must be a string")
    return parameters


def _subscribe(parameters: list[Any], subscriptions: Subscriptions) -> None:
    subscriptions.names.update(dict.fromkeys(_names(parameters)))


def _unsubscribe(parameters: list[Any], subscriptions: Subscriptions) -> None:
    for name in _names(parameters):
        subscriptions.names.pop(name, None)


def _list(parameters: list[Any], subscriptions: Subscriptions) -> list[str]:
    if parameters:
        raise _Refused(2, "Invalid request: too many parameters")
    return list(subscriptions.names)


def _property(parameters: list[Any], count: int) -> None:
    if len(parameters) > count:
        raise _Refused(2, "Invalid request: too many parameters")
    if not parameters or not isinstance(parameters[0], str):
        raise _Refused(2, "Invalid request: property name must be a string")
    if parameters[0] != "combined":
        raise _Refused(UNKNOWN_PROPERTY, "Unknown property")


def _set_property(parameters: list[Any], subscriptions: Subscriptions) -> None:
    _property(parameters, 2)
    if len(parameters) != 2 or not isinstance(parameters[1], bool):
        raise _Refused(1, "Invalid value type: expected Boolean")
    subscriptions.combined = parameters[1]


def _get_property(parameters: list[Any], subscriptions: Subscriptions) -> bool:
    _property(parameters, 1)
    return subscriptions.combined


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))

"""The literal control messages of binance-api §2.2, text against text."""

from __future__ import annotations

import pytest

from venues.simulator.commands import Subscriptions, handle


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ('{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}', '{"result":null,"id":1}'),
        ('{"method":"UNSUBSCRIBE","params":["ethusdt@kline_1m"],"id":"a-1"}', '{"result":null,"id":"a-1"}'),
        ('{"method":"LIST_SUBSCRIPTIONS","id":null}', '{"result":["ethusdt@kline_1m"],"id":null}'),
        ('{"method":"SET_PROPERTY","params":["combined",true],"id":5}', '{"result":null,"id":5}'),
        ('{"method":"GET_PROPERTY","params":["combined"],"id":2}', '{"result":false,"id":2}'),
        ('{"method":"GET_PROPERTY","params":["colour"],"id":7}', '{"code":0,"msg":"Unknown property","id":7}'),
        (
            '{"method":"SET_PROPERTY","params":["combined","yes"],"id":7}',
            '{"code":1,"msg":"Invalid value type: expected Boolean"}',
        ),
        (
            '{"method":"GET_PROPERTY","params":[5],"id":7}',
            '{"code":2,"msg":"Invalid request: property name must be a string"}',
        ),
        (
            '{"method":"GET_PROPERTY","params":["combined","x"],"id":7}',
            '{"code":2,"msg":"Invalid request: too many parameters"}',
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","params":["x"],"id":7}',
            '{"code":2,"msg":"Invalid request: too many parameters"}',
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":1.5}',
            '{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}',
        ),
        (
            '{"method":"WATCH","id":1}',
            '{"code":2,"msg":"Invalid request: unknown variant `WATCH`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, '
            '`LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 17"}',
        ),
        ('{"id":1}', '{"code":2,"msg":"Invalid request: missing field `method` at line 1 column 8"}'),
        ("hello", '{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}'),
    ],
)
def test_each_message_has_the_exchanges_answer(sent: str, answer: str) -> None:
    subscriptions = Subscriptions(combined=False, names={"ethusdt@kline_1m": None})
    if "UNSUBSCRIBE" in sent:
        assert handle(sent, subscriptions) == answer
        assert list(subscriptions.names) == []
    else:
        assert handle(sent, subscriptions) == answer


@pytest.mark.parametrize(
    "identity", ["0", "-9223372036854775808", '"a1b2"', '"3f2b8c1e-8f5d-4a57-9d37-0e4c0a1b2c3d"', "null"]
)
def test_ids_are_echoed_as_they_came(identity: str) -> None:
    answer = handle(f'{{"method":"LIST_SUBSCRIPTIONS","id":{identity}}}', Subscriptions(combined=True))
    assert answer == f'{{"result":[],"id":{identity}}}'


@pytest.mark.parametrize("identity", ["true", "9223372036854775808", '"with space"', f'"{"a" * 37}"', "[]"])
def test_ids_of_another_kind_are_refused(identity: str) -> None:
    answer = handle(f'{{"method":"LIST_SUBSCRIPTIONS","id":{identity}}}', Subscriptions(combined=True))
    assert '"code":2' in answer


def test_subscribing_twice_is_once_and_the_order_is_kept() -> None:
    subscriptions = Subscriptions(combined=True)
    handle('{"method":"SUBSCRIBE","params":["b@kline_1m","a@kline_1m"],"id":1}', subscriptions)
    handle('{"method":"SUBSCRIBE","params":["b@kline_1m","c@kline_1m"],"id":2}', subscriptions)
    assert list(subscriptions.names) == ["b@kline_1m", "a@kline_1m", "c@kline_1m"]

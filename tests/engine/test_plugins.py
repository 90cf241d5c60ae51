import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plugins import MAX_FEATURES_BYTES, Bar, Signal, ZoneRef, canonical_json


def long(**changes: object) -> Signal:
    values: dict[str, Any] = {"side": "LONG", "entry": 100.0, "stop": 99.0} | changes
    return Signal(**values)


def test_a_signal_needs_only_a_side_an_entry_and_a_stop() -> None:
    signal = Signal("SHORT", entry=100, stop=101)
    assert (signal.entry, signal.stop) == (100.0, 101.0)
    assert isinstance(signal.entry, float)
    assert signal.tp_r == (1.5, 2.0, 3.0)
    assert (signal.ttl_bars, signal.score, signal.zone, signal.features_text) == (6, 0.5, None, "{}")
    assert (signal.retest_ok, signal.structure_ok) == (False, False)


def test_a_pair_becomes_the_key_of_a_zone() -> None:
    assert long(zone=["FVG", 5]).zone == ZoneRef("FVG", 5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"side": "BUY"}, "side must be LONG or SHORT, received 'BUY'"),
        ({"entry": 0.0}, "entry must be a finite positive number"),
        ({"entry": float("nan")}, "entry must be"),
        ({"entry": True}, "entry must be"),
        ({"entry": "100"}, "entry must be"),
        ({"entry": 10**400}, "entry must be a finite positive number, received 1000"),
        ({"entry": 10**5_000}, "entry must be a finite positive number, received a int too long to be written out"),
        ({"stop": -(10**400)}, "stop must be a finite positive number"),
        ({"score": 10**400}, "score must be a number from 0 to 1"),
        ({"tp_r": [10**309]}, "tp_r must be 1 to 10 positive ascending numbers"),
        ({"stop": float("inf")}, "stop must be a finite positive number"),
        ({"stop": -1.0}, "stop must be a finite positive number"),
        ({"stop": 100.0}, "stop must be below the entry 100.0 of a LONG, received 100.0"),
        ({"stop": 101.0}, "stop must be below"),
        ({"side": "SHORT"}, "stop must be above the entry 100.0 of a SHORT, received 99.0"),
        ({"tp_r": ()}, "tp_r must be 1 to 10 positive ascending numbers"),
        ({"tp_r": (0.0, 1.0)}, "tp_r"),
        ({"tp_r": (2.0, 2.0)}, "tp_r"),
        ({"tp_r": tuple(range(1, 12))}, "tp_r"),
        ({"tp_r": 2.0}, "tp_r"),
        ({"ttl_bars": 0}, "ttl_bars must be a whole number from 1 to 1000"),
        ({"ttl_bars": 1001}, "ttl_bars"),
        ({"ttl_bars": 2.0}, "ttl_bars"),
        ({"ttl_bars": True}, "ttl_bars"),
        ({"score": 1.01}, "score must be a number from 0 to 1"),
        ({"score": -0.01}, "score"),
        ({"features": [1]}, "features must be a mapping"),
        ({"features": {1: True}}, "features must be named by plain text, received 1"),
        ({"features": {"a\0": True}}, "features must be named by plain text"),
        ({"features": {"a": [1]}}, r"features\['a'\] must be text, a finite number"),
        ({"features": {"a": float("nan")}}, "features"),
        ({"features": {"a": "\ud800"}}, "features"),
        ({"features": {"a": "\0"}}, "features"),
        ({"features": {"a": 2**63}}, "features"),
        ({"features": {"a": "x" * MAX_FEATURES_BYTES}}, "features must be at most 4096 bytes"),
        ({"zone": ("BREAKER", 5)}, "zone must be None or a pair"),
        ({"zone": "OB"}, "zone must be None or a pair"),
        ({"zone": ("OB", 5.0)}, "zone.created_ts must be a whole number"),
        ({"retest_ok": 1}, "retest_ok must be True or False, received 1"),
        ({"structure_ok": None}, "structure_ok must be True or False"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        long(**changes)


def test_numpys_reals_are_numbers() -> None:
    signal = long(entry=np.float64(100.5), score=np.float64(0.25), features={"x": np.float64(2.0)})
    assert (type(signal.entry), type(signal.score)) == (float, float)
    assert signal.features_text == '{"x":2.0}'


def test_a_signal_cannot_be_changed_nor_through_the_features_it_was_given() -> None:
    features = {"a": True}
    signal = long(features=features)
    features["a"] = False
    assert signal.features["a"] is True
    with pytest.raises(AttributeError):
        signal.entry = 1.0  # type: ignore[misc]


def test_features_are_written_with_sorted_names_and_no_spaces() -> None:
    assert long(features={"b": 1, "a": "ü", "c": None}).features_text == '{"a":"ü","b":1,"c":null}'


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans()))
def test_equal_values_have_one_canonical_text_that_reads_back(value: dict[str, Any]) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items()))) == text


def test_a_bar_is_a_plain_record() -> None:
    bar = Bar(open_time=0, ts=60, open=1.0, high=3.0, low=0.5, close=2.0, volume=4.0)
    assert (bar.close, bar._replace(close=1.5).close) == (2.0, 1.5)

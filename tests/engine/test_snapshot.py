import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import DataRejected, SeriesKey
from engine import ENGINE_VERSION, EngineParams, SeriesEngine, SnapshotRefused
from engine.snapshot import decode, encode
from tests.engine.bits import assert_same_bits
from tests.engine.strategies import KEY, Stretch, make_bars

BARS = make_bars([Stretch("walk", 300, 3)])


def some_engine() -> SeriesEngine:
    engine = SeriesEngine(KEY, EngineParams(trend_adx=30))
    engine.advance(BARS.head(250))
    return engine


BLOB = some_engine().snapshot()
SIZE = str(len(some_engine().state.to_bytes())).encode()


def resealed(blob: bytes, old: bytes, new: bytes) -> bytes:
    """The snapshot with a piece replaced by one of the same length, and a checksum that fits again."""
    assert old in blob
    assert len(old) == len(new)
    body = blob[:-32].replace(old, new, 1)
    return body + hashlib.sha256(body).digest()


def test_a_restored_engine_knows_its_series_parameters_and_place() -> None:
    engine = SeriesEngine.restore(BLOB, key=KEY, params=EngineParams(trend_adx=30))
    assert engine.key == KEY
    assert engine.params.trend_adx == 30.0
    assert engine.bars_seen == 250
    assert engine.last_open_time == BARS["open_time"].to_physical()[249]
    assert engine.snapshot() == BLOB


def test_what_the_bots_of_a_series_remember_is_carried_along_unread() -> None:
    engine = some_engine()
    blob = engine.snapshot(bots=b"\0 anything")
    assert decode(blob, engine_version=ENGINE_VERSION).bots == b"\0 anything"
    assert decode(BLOB, engine_version=ENGINE_VERSION).bots == b""
    assert SeriesEngine.restore(blob).snapshot() == BLOB


def test_a_snapshot_tells_the_sub_timeframe_it_was_made_with() -> None:
    engine = SeriesEngine(KEY, EngineParams(), sub="1m")
    assert SeriesEngine.restore(engine.snapshot()).sub == "1m"
    assert SeriesEngine.restore(BLOB).sub is None


def test_every_parameter_comes_back_from_a_snapshot() -> None:
    params = EngineParams(
        swing_mode="zigzag", zigzag_k=1.5, max_zones=7, rsi_long=(30.0, 50.0), tp_r=(1.0, 4.0), ttl_bars=9
    )
    assert SeriesEngine.restore(SeriesEngine(KEY, params).snapshot()).params == params


def test_a_snapshot_is_a_copy_that_later_bars_do_not_touch() -> None:
    engine = some_engine()
    blob = engine.snapshot()
    expected = engine.advance(BARS.slice(250)).indicators
    again = SeriesEngine.restore(blob)
    assert_same_bits(again.advance(BARS.slice(250)).indicators, expected)
    assert blob == BLOB


def test_an_engine_before_its_first_bar_can_be_saved() -> None:
    engine = SeriesEngine.restore(SeriesEngine(KEY, EngineParams()).snapshot())
    assert engine.bars_seen == 0
    assert engine.last_open_time is None


@pytest.mark.parametrize("length", [0, 1, 7, 8, 17, 18, 40, 400, len(BLOB) - 33, len(BLOB) - 1])
def test_a_truncated_snapshot_is_refused_as_truncated(length: int) -> None:
    with pytest.raises(SnapshotRefused, match="truncated snapshot"):
        SeriesEngine.restore(BLOB[:length])


@given(st.integers(18, len(BLOB) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_is_refused_as_tampered_with(at: int, flip: int) -> None:
    changed = BLOB[:at] + bytes([BLOB[at] ^ flip]) + BLOB[at + 1 :]
    with pytest.raises(SnapshotRefused, match="tampered snapshot"):
        SeriesEngine.restore(changed)


def test_bytes_behind_the_end_are_refused_as_tampered_with() -> None:
    with pytest.raises(SnapshotRefused, match="tampered snapshot"):
        SeriesEngine.restore(BLOB + b"\0")


def test_other_bytes_are_refused_as_no_snapshot() -> None:
    with pytest.raises(SnapshotRefused, match="no engine snapshot: it begins with b'PK"):
        SeriesEngine.restore(b"PK\3\4" + bytes(100))


def test_another_format_is_refused_by_number() -> None:
    body = BLOB[:8] + struct.pack("<H", 3) + BLOB[10:-32]
    with pytest.raises(SnapshotRefused, match="format 3, this engine reads format 2"):
        SeriesEngine.restore(body + hashlib.sha256(body).digest())


def test_another_engine_version_is_refused_by_number() -> None:
    saved = decode(BLOB, engine_version=ENGINE_VERSION)
    other = encode(saved, engine_version=ENGINE_VERSION + 1)
    with pytest.raises(SnapshotRefused, match=f"engine version {ENGINE_VERSION + 1}, this is version {ENGINE_VERSION}"):
        SeriesEngine.restore(other)


def test_another_series_is_refused_with_both_names() -> None:
    with pytest.raises(SnapshotRefused, match="asked for binance_spot:ETHUSDT:15m, received binance_spot:BTCUSDT:15m"):
        SeriesEngine.restore(BLOB, key=SeriesKey("binance_spot", "ETHUSDT", "15m"))


def test_other_parameters_are_refused_with_both_values() -> None:
    with pytest.raises(SnapshotRefused, match=r'asked for .*"trend_adx":25.0.*received .*"trend_adx":30.0'):
        SeriesEngine.restore(BLOB, params=EngineParams())


def test_parameters_that_do_not_match_their_hash_are_refused() -> None:
    forged = resealed(BLOB, b'"trend_adx":30.0', b'"trend_adx":31.0')
    with pytest.raises(SnapshotRefused, match="its parameters hash to"):
        SeriesEngine.restore(forged)


def test_a_state_of_another_size_is_refused_even_under_a_fitting_checksum() -> None:
    saved = decode(BLOB, engine_version=ENGINE_VERSION)
    short = encode(replace(saved, state=saved.state[:-8]), engine_version=ENGINE_VERSION)
    with pytest.raises(SnapshotRefused, match="a series state has"):
        SeriesEngine.restore(short)


def test_a_state_cut_off_by_a_forged_length_is_refused_even_under_a_fitting_checksum() -> None:
    saved = decode(BLOB, engine_version=ENGINE_VERSION)
    claimed = str(len(saved.state)).encode()
    with pytest.raises(SnapshotRefused, match="bytes of a state of"):
        SeriesEngine.restore(resealed(BLOB, b'"state_bytes":' + claimed, b'"state_bytes":' + b"9" * len(claimed)))


def test_a_state_that_counts_more_than_it_has_room_for_is_refused_even_under_a_fitting_checksum() -> None:
    for name, field in (("retest", "entered"), ("zone_counts", "active"), ("micro", "pending")):
        engine = some_engine()
        getattr(engine.state, name)[field] = 10**9
        with pytest.raises(SnapshotRefused, match=r"with 1000000000 .*, there is room for 64"):
            SeriesEngine.restore(engine.snapshot())


def test_a_header_that_cannot_be_read_is_refused_even_under_a_fitting_checksum() -> None:
    for old, new in [
        (b'"series":"binance_spot', b'"series":"binance_sp:t'),
        (b'{"engine_version"', b'["engine_version"'),
        (b'"trend_adx":30.0', b'"trend_adx":-9.0'),
        (b'"params_hash"', b'"params_h4sh"'),
        (b'"sub":null', b'"sub":"7m"'),
        (b'"sub":null', b'"sub":5555'),
        (b'"engine_version":2', b'"engine_version":-'),
        (b'"state_bytes":' + SIZE, b'"state_bytes":' + b"1e400".ljust(len(SIZE))),
        (b'"series":"binance_spot:BTCUSDT:15m"', b'"series":5'.ljust(len(b'"series":"binance_spot:BTCUSDT:15m"'))),
    ]:
        with pytest.raises(SnapshotRefused, match="its header"):
            SeriesEngine.restore(resealed(BLOB, old, new))


def test_a_refusal_is_a_rejection_of_data() -> None:
    assert issubclass(SnapshotRefused, DataRejected)

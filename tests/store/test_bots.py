from dataclasses import replace

import psycopg
import pytest

from contracts import SeriesKey
from store.bots import Quarantine, quarantines, record_quarantine, release
from store.errors import FrameRejected
from tests.store.frames import KEY, SEEN, minutes, ts

HOURLY = KEY.instrument.series("1h")
LATE = Quarantine(
    agent="sweeper",
    key=KEY,
    from_ts=ts(0),
    reason="LATE",
    detail="no answer within 250 ms",
    bot_version="v1",
    origin="live",
    recorded_at=SEEN,
)


def span(**changes: object) -> Quarantine:
    return replace(LATE, **changes)  # type: ignore[arg-type]  # each test names fields of its own


def test_a_span_comes_back_as_it_was_recorded_and_the_first_record_stands(conn: psycopg.Connection) -> None:
    raised = span(
        from_ts=ts(9), to_ts=ts(12), reason="RAISED", detail='Traceback\n\tFile "bot.py", line 3\n', origin="batch"
    )
    assert record_quarantine(conn, LATE)
    assert record_quarantine(conn, raised)
    assert not record_quarantine(conn, span(reason="EXITED", recorded_at=SEEN + minutes(1)))
    assert quarantines(conn) == [LATE, raised]


def test_spans_are_listed_by_bot_and_series(conn: psycopg.Connection) -> None:
    spans = [
        span(agent="a", key=HOURLY),
        span(agent="a", key=HOURLY, from_ts=ts(5)),
        span(agent="b", key=SeriesKey("binance_spot", "BTCUSDT", "1m")),
        span(agent="b"),
        span(agent="b", key=HOURLY),
    ]
    for found in reversed(spans):
        record_quarantine(conn, found)
    assert quarantines(conn) == spans
    assert quarantines(conn, HOURLY) == [spans[0], spans[1], spans[4]]
    assert quarantines(conn, agent="b") == spans[2:]
    assert quarantines(conn, HOURLY, agent="b") == [spans[4]]
    assert quarantines(conn, KEY, agent="nobody") == []


def test_a_release_ends_the_open_spans_of_one_bot_from_then_on(conn: psycopg.Connection) -> None:
    ended, later, other, hourly = (
        span(to_ts=ts(1)),
        span(from_ts=ts(30)),
        span(agent="other"),
        span(key=HOURLY),
    )
    for found in (ended, span(from_ts=ts(2)), later, other, hourly):
        record_quarantine(conn, found)
    assert release(conn, "sweeper", at=ts(30), key=KEY) == 1
    assert quarantines(conn, KEY, agent="sweeper") == [ended, span(from_ts=ts(2), to_ts=ts(30)), later]
    assert release(conn, "sweeper", at=ts(31)) == 2
    assert release(conn, "sweeper", at=ts(32)) == 0
    assert quarantines(conn, agent="other") == [other]
    assert quarantines(conn, HOURLY) == [replace(hourly, to_ts=ts(31))]


def test_a_detail_that_no_text_can_hold_is_recorded_all_the_same(conn: psycopg.Connection) -> None:
    record_quarantine(conn, span(detail="garbage \x00 and \udcff"))
    assert [found.detail for found in quarantines(conn)] == ["garbage \N{REPLACEMENT CHARACTER} and ?"]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [({"to_ts": ts(0)}, "has_length"), ({"reason": "BORED"}, "reason_known"), ({"origin": "moon"}, "origin_known")],
)
def test_a_span_that_makes_no_sense_is_refused(conn: psycopg.Connection, wrong: dict[str, object], rule: str) -> None:
    with pytest.raises(FrameRejected, match=rule):
        record_quarantine(conn, span(**wrong))
    assert quarantines(conn) == []

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import InstrumentKey
from store.connections import connect
from store.errors import FrameRejected
from store.funding import (
    FUNDING_SCHEMA,
    STORED_FUNDING_SCHEMA,
    FundingCounts,
    FundingExtent,
    FundingSource,
    funding_extent,
    funding_version,
    merge_funding,
    read_funding,
)
from store.roles import BATCH
from tests.databases import Database

BTC = InstrumentKey("binance_usdm", "BTCUSDT")
T0 = datetime(2024, 1, 1, tzinfo=UTC)
SEEN = datetime(2024, 2, 1, 12, tzinfo=UTC)
LATER = SEEN + timedelta(minutes=5)
ALWAYS = (T0 - timedelta(days=99), T0 + timedelta(days=99))


def hour(count: int) -> datetime:
    return T0 + timedelta(hours=count)


def settled(*rows: tuple[int, str] | tuple[int, str, str | None] | tuple[int, str, str | None, str]) -> pl.DataFrame:
    """Settlements: hour after T0, rate, mark price (null), type (Regular)."""
    full = [
        (hour(row[0]), row[1], row[2] if len(row) > 2 else None, row[3] if len(row) > 3 else "Regular") for row in rows
    ]
    return pl.DataFrame(full, schema=FUNDING_SCHEMA, orient="row")


def standing(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT extract(epoch FROM funding_time - %s)::int / 3600, rate::text, mark_price::text, rate_type, source, "
        "ingested_at FROM market.funding_rates ORDER BY funding_time, rate_type",
        [T0],
    ).fetchall()


def filed(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT extract(epoch FROM funding_time - %s)::int / 3600, rate::text, mark_price::text, source, lost, "
        "seen_at, superseded_at FROM market.funding_revisions ORDER BY funding_time, seen_at, rate",
        [T0],
    ).fetchall()


def intervals(conn: psycopg.Connection) -> dict[tuple[int, str], int | None]:
    rows = conn.execute(
        "SELECT extract(epoch FROM funding_time - %s)::int / 3600, rate_type, interval_hours FROM market.funding_rates",
        [T0],
    ).fetchall()
    return {(row[0], row[1]): row[2] for row in rows}


def test_settlements_are_stored_with_every_digit_and_read_back_without_trailing_zeros(conn: psycopg.Connection) -> None:
    frame = settled((8, "-0.00003278", "42313.90000000"), (0, "0.00010000"))
    assert merge_funding(conn, BTC, frame, source="rest", at=SEEN) == FundingCounts(inserted=2)
    assert standing(conn) == [
        (0, "0.00010000", None, "Regular", "rest", SEEN),
        (8, "-0.00003278", "42313.90000000", "Regular", "rest", SEEN),
    ]
    read = read_funding(conn, BTC, *ALWAYS)
    assert read.schema == STORED_FUNDING_SCHEMA
    assert read.rows() == [
        (hour(0), "0.0001", None, "Regular", None, "rest", SEEN),
        (hour(8), "-0.00003278", "42313.9", "Regular", 8, "rest", SEEN),
    ]


def test_a_window_is_half_open_and_an_instrument_without_funding_reads_as_empty(conn: psycopg.Connection) -> None:
    merge_funding(conn, BTC, settled((0, "1"), (8, "2"), (16, "3")), source="rest", at=SEEN)
    assert read_funding(conn, BTC, hour(8), hour(16))["rate"].to_list() == ["2"]
    assert funding_extent(conn, BTC) == FundingExtent(hour(0), hour(16), 3)
    other = InstrumentKey("binance_usdm", "ETHUSDT")
    assert funding_extent(conn, other) is None
    assert read_funding(conn, other, *ALWAYS).equals(STORED_FUNDING_SCHEMA.to_frame())
    assert merge_funding(conn, other, settled(), source="rest", at=SEEN) == FundingCounts()


def test_the_same_settlements_again_touch_no_row(conn: psycopg.Connection) -> None:
    query = "SELECT ctid::text, xmin::text, xmax::text FROM market.funding_rates ORDER BY funding_time"
    merge_funding(conn, BTC, settled((0, "0.0001", "42000.5"), (8, "0.0002")), source="rest", at=SEEN)
    before = conn.execute(query).fetchall()
    again: list[FundingSource] = ["rest", "archive"]
    for source in again:
        frame = settled((8, "0.00020"), (0, "0.0001000", "42000.50"))
        assert merge_funding(conn, BTC, frame, source=source, at=LATER) == FundingCounts(unchanged=2)
    assert merge_funding(conn, BTC, settled((0, "0.0001")), source="archive", at=LATER) == FundingCounts(unchanged=1)
    assert conn.execute(query).fetchall() == before
    assert filed(conn) == []


@pytest.mark.parametrize(
    ("stored", "arriving", "stands"),
    [
        ("rest", "rest", "arriving"),
        ("rest", "archive", "arriving"),
        ("archive", "rest", "stored"),
        ("archive", "archive", "arriving"),
    ],
)
def test_the_archives_rate_stands_over_rest_and_the_other_version_is_filed(
    conn: psycopg.Connection, stored: FundingSource, arriving: FundingSource, stands: str
) -> None:
    merge_funding(conn, BTC, settled((0, "0.0001")), source=stored, at=SEEN)
    counts = merge_funding(conn, BTC, settled((0, "0.0003")), source=arriving, at=LATER)
    if stands == "arriving":
        assert counts == FundingCounts(revised=1)
        assert standing(conn) == [(0, "0.0003", None, "Regular", arriving, LATER)]
        assert filed(conn) == [(0, "0.0001", None, stored, False, SEEN, LATER)]
    else:
        assert counts == FundingCounts(lost=1)
        assert standing(conn) == [(0, "0.0001", None, "Regular", stored, SEEN)]
        assert filed(conn) == [(0, "0.0003", None, arriving, True, LATER, None)]


def test_a_losing_rate_is_filed_once_however_often_it_comes(conn: psycopg.Connection) -> None:
    merge_funding(conn, BTC, settled((0, "0.0001", "42000")), source="archive", at=SEEN)
    for again in range(3):
        at = LATER + timedelta(minutes=again)
        assert merge_funding(conn, BTC, settled((0, "0.0003")), source="rest", at=at) == FundingCounts(lost=1)
    assert filed(conn) == [(0, "0.0003", None, "rest", True, LATER, None)]


def test_the_archive_replaces_a_rate_and_keeps_the_mark_price_it_does_not_know(conn: psycopg.Connection) -> None:
    merge_funding(conn, BTC, settled((0, "0.0001", "42000.5")), source="rest", at=SEEN)
    counts = merge_funding(conn, BTC, settled((0, "0.0002")), source="archive", at=LATER)
    assert counts == FundingCounts(revised=1)
    assert standing(conn) == [(0, "0.0002", "42000.5", "Regular", "archive", LATER)]
    assert filed(conn) == [(0, "0.0001", "42000.5", "rest", False, SEEN, LATER)]


def test_a_mark_price_that_becomes_known_completes_the_archives_row_and_replaces_nothing(
    conn: psycopg.Connection,
) -> None:
    merge_funding(conn, BTC, settled((0, "0.0001")), source="archive", at=SEEN)
    counts = merge_funding(conn, BTC, settled((0, "0.0001", "42000.5")), source="rest", at=LATER)
    assert counts == FundingCounts(completed=1)
    assert standing(conn) == [(0, "0.0001", "42000.5", "Regular", "archive", SEEN)]
    assert filed(conn) == []


def test_another_mark_price_takes_the_place_of_the_first_which_is_filed(conn: psycopg.Connection) -> None:
    merge_funding(conn, BTC, settled((0, "0.0001")), source="archive", at=SEEN - timedelta(days=1))
    merge_funding(conn, BTC, settled((0, "0.0001", "42000.5")), source="rest", at=SEEN)
    counts = merge_funding(conn, BTC, settled((0, "0.0001", "42001")), source="rest", at=LATER)
    assert counts == FundingCounts(revised=1)
    assert standing(conn) == [(0, "0.0001", "42001", "Regular", "archive", LATER)]
    assert filed(conn) == [(0, "0.0001", "42000.5", "archive", False, SEEN - timedelta(days=1), LATER)]


def test_a_losing_rate_still_brings_its_mark_price(conn: psycopg.Connection) -> None:
    merge_funding(conn, BTC, settled((0, "0.0001")), source="archive", at=SEEN)
    counts = merge_funding(conn, BTC, settled((0, "0.0009", "42000.5")), source="rest", at=LATER)
    assert counts == FundingCounts(lost=1)
    assert standing(conn) == [(0, "0.0001", "42000.5", "Regular", "archive", SEEN)]
    assert filed(conn) == [(0, "0.0009", "42000.5", "rest", True, LATER, None)]


def test_a_merge_counts_each_kind_and_leaves_other_instruments_alone(conn: psycopg.Connection) -> None:
    others = [InstrumentKey("binance_usdm", "ETHUSDT"), InstrumentKey("binance_spot", "BTCUSDT")]
    for other in others:
        merge_funding(conn, other, settled((0, "0.5"), (8, "0.5")), source="rest", at=SEEN)
    merge_funding(conn, BTC, settled((0, "1"), (8, "2", "9"), (16, "3")), source="archive", at=SEEN)
    merge_funding(conn, BTC, settled((24, "4")), source="rest", at=SEEN)
    arriving = settled((0, "1.0"), (8, "7"), (16, "3", "50"), (24, "5"), (32, "6"))
    counts = merge_funding(conn, BTC, arriving, source="rest", at=LATER)
    assert counts == FundingCounts(inserted=1, revised=1, unchanged=1, lost=1, completed=1)
    for other in others:
        assert read_funding(conn, other, *ALWAYS)["rate"].to_list() == ["0.5", "0.5"]


def test_the_interval_is_the_one_that_was_realised(conn: psycopg.Connection) -> None:
    """Every 8 h up to hour 16, every 4 h from then on."""
    merge_funding(conn, BTC, settled(*[(h, "0") for h in (0, 8, 16, 20, 24)]), source="archive", at=SEEN)
    regular = {h: hours for (h, _), hours in intervals(conn).items()}
    assert regular == {0: None, 8: 8, 16: 8, 20: 4, 24: 4}


def test_a_settlement_that_arrives_between_two_others_shortens_the_interval_behind_it(conn: psycopg.Connection) -> None:
    merge_funding(conn, BTC, settled((8, "0"), (24, "0"), (32, "0")), source="rest", at=SEEN)
    assert intervals(conn) == {(8, "Regular"): None, (24, "Regular"): 16, (32, "Regular"): 8}
    merge_funding(conn, BTC, settled((16, "0"), (0, "0")), source="archive", at=LATER)
    assert intervals(conn) == {(h, "Regular"): None if h == 0 else 8 for h in (0, 8, 16, 24, 32)}
    assert filed(conn) == []  # what the exchange said of the neighbours is the same
    assert {row[0]: row[5] for row in standing(conn)} == {0: LATER, 8: SEEN, 16: LATER, 24: SEEN, 32: SEEN}


def test_settlements_that_arrive_behind_stored_ones_leave_those_untouched(conn: psycopg.Connection) -> None:
    query = "SELECT ctid::text, xmin::text FROM market.funding_rates WHERE funding_time <= %s ORDER BY funding_time"
    merge_funding(conn, BTC, settled((0, "0"), (8, "0")), source="rest", at=SEEN)
    before = conn.execute(query, [hour(8)]).fetchall()
    counts = merge_funding(conn, BTC, settled((0, "0"), (8, "0"), (16, "0")), source="rest", at=LATER)
    assert counts == FundingCounts(inserted=1, unchanged=2)
    assert conn.execute(query, [hour(8)]).fetchall() == before


def test_two_merges_at_once_follow_each_other_and_agree_on_the_intervals(database: Database) -> None:
    counts: list[FundingCounts] = []

    def merge() -> None:
        with connect(database.dsn(BATCH)) as own:
            counts.append(merge_funding(own, BTC, settled((8, "0"), (16, "0")), source="archive", at=LATER))

    with connect(database.dsn(BATCH)) as conn:
        with conn.transaction():
            merge_funding(conn, BTC, settled((0, "0"), (12, "0")), source="rest", at=SEEN)
            second = threading.Thread(target=merge)
            second.start()
            second.join(timeout=0.5)
            assert counts == []
        second.join(timeout=20)
        assert counts == [FundingCounts(inserted=2)]
        assert {slot: hours for (slot, _), hours in intervals(conn).items()} == {0: None, 8: 8, 12: 4, 16: 4}


def test_a_special_settlement_starts_no_interval(conn: psycopg.Connection) -> None:
    frame = settled((0, "0"), (8, "0"), (8, "0.01", None, "Special"), (12, "0.01", None, "Special"), (16, "0"))
    merge_funding(conn, BTC, frame, source="rest", at=SEEN)
    expected = {(0, "Regular"): None, (8, "Regular"): 8, (8, "Special"): 8, (12, "Special"): 4, (16, "Regular"): 8}
    assert intervals(conn) == expected
    merge_funding(conn, BTC, settled((10, "0")), source="rest", at=LATER)
    assert intervals(conn) == {**expected, (10, "Regular"): 2, (12, "Special"): 2, (16, "Regular"): 6}


def test_the_archive_takes_the_kind_that_stands_at_its_instant(conn: psycopg.Connection) -> None:
    merge_funding(conn, BTC, settled((0, "1"), (3, "2", "9", "Special"), (8, "3")), source="rest", at=SEEN)
    counts = merge_funding(conn, BTC, settled((0, "1"), (3, "5"), (8, "3")), source="archive", at=LATER)
    assert counts == FundingCounts(revised=1, unchanged=2)
    assert standing(conn)[1] == (3, "5", "9", "Special", "archive", LATER)
    assert intervals(conn) == {(0, "Regular"): None, (3, "Special"): 3, (8, "Regular"): 8}


@pytest.mark.parametrize("rate", ["2", "5"])
def test_rest_that_calls_a_settlement_another_kind_renames_it_and_the_version_before_is_filed(
    conn: psycopg.Connection, rate: str
) -> None:
    merge_funding(conn, BTC, settled((0, "1"), (3, "2"), (8, "3")), source="archive", at=SEEN)
    counts = merge_funding(conn, BTC, settled((3, rate, "9", "Special")), source="rest", at=LATER)
    assert counts == (FundingCounts(revised=1) if rate == "2" else FundingCounts(lost=1))
    assert standing(conn)[1] == (3, "2", "9", "Special", "archive", LATER)
    assert intervals(conn) == {(0, "Regular"): None, (3, "Special"): 3, (8, "Regular"): 8}
    before = (3, "2", None, "archive", False, SEEN, LATER)
    assert before in filed(conn)
    again = merge_funding(conn, BTC, settled((3, "2", "9", "Special")), source="rest", at=LATER)
    assert again == FundingCounts(unchanged=1)


def test_the_version_is_a_hash_of_lines_anybody_can_write(conn: psycopg.Connection) -> None:
    assert funding_version(conn, BTC) == hashlib.sha256(b"").hexdigest()
    frame = settled((0, "0.00010000", "42000.50"), (8, "-0.0002"), (8, "0.5", None, "Special"))
    merge_funding(conn, BTC, frame, source="rest", at=SEEN)
    # 2024-01-01T00:00Z is 1704067200 s, eight hours later 1704096000 s.
    lines = (
        "1704067200000000|0.0001|42000.5|Regular\n1704096000000000|-0.0002||Regular\n1704096000000000|0.5||Special\n"
    )
    assert funding_version(conn, BTC) == hashlib.sha256(lines.encode()).hexdigest()
    first = lines[: lines.index("\n") + 1]
    assert funding_version(conn, BTC, until=hour(8)) == hashlib.sha256(first.encode()).hexdigest()


def test_a_frame_with_one_bad_row_is_refused_whole(conn: psycopg.Connection) -> None:
    for frame, story in [
        (settled((0, "1")).rename({"rate": "funding_rate"}), "a funding frame has"),
        (settled((0, "1"), (0, "1")), "a time and rate type twice"),
        (settled((0, "1"), (8, "1e-5")), "rates that are no plain decimals"),
        (settled((0, "")), "rates that are no plain decimals"),
        (settled((0, "1", "-5")), "mark prices that are no plain decimals"),
        (settled((0, "1", "0")), "nothing of it was stored"),
        (settled((0, "1", None, "Extra")), "rate types beside Regular and Special"),
        (settled((0, "1")).with_columns(rate=pl.lit(None, dtype=pl.String)), "null values"),
    ]:
        with pytest.raises(FrameRejected, match=story):
            merge_funding(conn, BTC, frame, source="rest", at=SEEN)
    assert standing(conn) == []


def test_a_merge_inside_a_transaction_that_fails_leaves_nothing(conn: psycopg.Connection) -> None:
    with conn.transaction(force_rollback=True):
        merge_funding(conn, BTC, settled((0, "1")), source="rest", at=SEEN)
        counts = merge_funding(conn, BTC, settled((8, "1")), source="rest", at=SEEN)
        assert counts == FundingCounts(inserted=1)
        assert funding_extent(conn, BTC) == FundingExtent(hour(0), hour(8), 2)
    assert funding_extent(conn, BTC) is None


Arrival = tuple[FundingSource, dict[tuple[int, str], tuple[str, str | None]]]
sources: st.SearchStrategy[FundingSource] = st.sampled_from(["archive", "rest"])
slots = st.tuples(st.integers(0, 5), st.sampled_from(["Regular", "Regular", "Special"]))
values = st.tuples(st.sampled_from(["0.1", "0.10", "-0.2"]), st.sampled_from([None, None, "7", "7.0", "8"]))
arrivals = st.lists(st.tuples(sources, st.dictionaries(slots, values, min_size=1)), max_size=5)


@given(arrivals=arrivals)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_merges_obeys_the_rule(
    database: Database, conn: psycopg.Connection, arrivals: list[Arrival]
) -> None:
    """The rule, written down once more as a dictionary, agrees with the database; no stated value disappears."""
    with connect(database.admin_dsn) as admin:
        admin.execute("TRUNCATE market.funding_rates, market.funding_revisions")
    model: dict[tuple[int, str], tuple[Decimal, Decimal | None, str]] = {}
    stated: set[tuple[int, str, str, Decimal]] = set()
    for number, (source, rows) in enumerate(arrivals):
        expected = dict.fromkeys(FundingCounts.__dataclass_fields__, 0)
        taken: dict[tuple[int, str], tuple[int, str]] = {}  # what stands → what it is called from now on
        for slot, (rate_text, mark_text) in rows.items():
            rate, mark = Decimal(rate_text), None if mark_text is None else Decimal(mark_text)
            other = (slot[0], "Special" if slot[1] == "Regular" else "Regular")
            stands = other if other in model and slot not in model and other not in rows else slot
            named = slot if source == "rest" else stands
            stated |= {(*named, "rate", rate)} | ({(*named, "mark", mark)} if mark is not None else set())
            if stands not in model:
                model[slot], kind = (rate, mark, source), "inserted"
            else:
                old_rate, old_mark, old_source = model[stands]
                wins = source == "archive" or old_source == "rest"
                if rate != old_rate:
                    kind = "revised" if wins else "lost"
                elif stands != named:
                    kind = "revised"
                elif mark is None or mark == old_mark:
                    kind = "unchanged"
                else:
                    kind = "completed" if old_mark is None else "revised"
                model[stands] = (
                    rate if wins else old_rate,
                    old_mark if mark is None else mark,
                    source if wins and rate != old_rate else old_source,
                )
                taken[stands] = named
                # What stands is called so from now on, whoever stated it.
                rate, mark, _ = model[stands]
                stated |= {(*named, "rate", rate)} | ({(*named, "mark", mark)} if mark is not None else set())
            expected[kind] += 1
        model = {taken.get(slot, slot): values for slot, values in model.items()}
        frame = settled(*[(slot, rate, mark, kind) for (slot, kind), (rate, mark) in rows.items()])
        at = SEEN + timedelta(minutes=number)
        assert merge_funding(conn, BTC, frame, source=source, at=at) == FundingCounts(**expected)
    stored = {(row[0], row[3]): (Decimal(row[1]), row[2] and Decimal(row[2]), row[4]) for row in standing(conn)}
    assert stored == model
    regular = sorted(slot for slot, kind in model if kind == "Regular")
    assert intervals(conn) == {
        (slot, kind): next((slot - before for before in reversed(regular) if before < slot), None)
        for slot, kind in model
    }
    kept = conn.execute(
        "SELECT extract(epoch FROM funding_time - %s)::int / 3600, rate_type, rate, mark_price FROM ("
        "SELECT funding_time, rate_type, rate, mark_price FROM market.funding_rates UNION ALL "
        "SELECT funding_time, rate_type, rate, mark_price FROM market.funding_revisions) AS all_versions",
        [T0],
    ).fetchall()
    found = {(row[0], row[1], "rate", row[2]) for row in kept}
    found |= {(row[0], row[1], "mark", row[3]) for row in kept if row[3] is not None}
    assert found == stated

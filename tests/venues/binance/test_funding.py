from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import DataRejected
from tests.venues.binance.fakes import ms, utc
from venues.binance.funding import FUNDING_SCHEMA, FundingInfo, FundingTerms, ParsedFunding, RawFunding, judge_funding
from venues.binance.validation import QUARANTINE_SCHEMA

JANUARY = (utc(2024, 1, 1), utc(2024, 2, 1))
EIGHT = ms(2024, 1, 1, 8)


def row(
    time: int | str = EIGHT, rate: str = "0.00010000", mark: str = "42000.10000000", kind: str = "Regular"
) -> RawFunding:
    return RawFunding(str(time), rate, mark, kind, f"{time},{rate},{mark},{kind}")


def judged(*rows: RawFunding) -> ParsedFunding:
    return judge_funding(rows, start=JANUARY[0], end=JANUARY[1])


def test_a_settlement_keeps_its_texts_and_is_floored_to_the_second() -> None:
    parsed = judged(row(EIGHT + 7, "-0.00012345"))
    assert parsed.rates.schema == FUNDING_SCHEMA
    assert parsed.rates.rows() == [(utc(2024, 1, 1, 8), "-0.00012345", "42000.10000000", "Regular")]
    assert parsed.quarantined.is_empty()
    assert parsed.quarantined.schema == QUARANTINE_SCHEMA


def test_microseconds_are_told_from_milliseconds_by_magnitude() -> None:
    assert judged(row((EIGHT + 7) * 1000)).rates["funding_time"].to_list() == [utc(2024, 1, 1, 8)]


def test_settlements_come_out_in_order_of_time() -> None:
    parsed = judged(row(EIGHT + 28_800_000), row(EIGHT), row(ms(2024, 1, 1)))
    assert parsed.rates["funding_time"].to_list() == [utc(2024, 1, 1), utc(2024, 1, 1, 8), utc(2024, 1, 1, 16)]


def test_an_absent_mark_price_is_null() -> None:
    assert judged(row(mark="")).rates["mark_price"].to_list() == [None]


def test_a_small_rate_written_with_an_exponent_keeps_its_exact_value() -> None:
    parsed = judged(row(rate="-5.7E-6"), row(EIGHT + 28_800_000, rate="1e-05"))
    assert parsed.rates["rate"].to_list() == ["-0.0000057", "0.00001"]


def test_a_repeated_time_with_equal_values_is_one_settlement() -> None:
    # 8 ms apart, and the same number written twice.
    parsed = judged(row(EIGHT), row(EIGHT + 8, "0.0001", "42000.1"))
    assert parsed.rates.rows() == [(utc(2024, 1, 1, 8), "0.00010000", "42000.10000000", "Regular")]
    assert parsed.duplicates == 1
    assert parsed.quarantined.is_empty()


@pytest.mark.parametrize(
    "other", [row(rate="0.00010001"), row(mark="42000.2"), row(rate="-0.00010000")], ids=["rate", "mark", "sign"]
)
def test_a_repeated_time_with_other_values_is_quarantined_whole_and_stops_nothing_else(other: RawFunding) -> None:
    later = EIGHT + 28_800_000
    parsed = judged(row(), other, row(later))
    assert parsed.rates["funding_time"].to_list() == [utc(2024, 1, 1, 16)]
    assert parsed.quarantined.rows() == [
        (utc(2024, 1, 1, 8), row().payload, "conflict"),
        (utc(2024, 1, 1, 8), other.payload, "conflict"),
    ]
    assert parsed.duplicates == 0


def test_the_mark_price_of_whichever_row_states_it_is_kept() -> None:
    parsed = judged(row(mark=""), row(mark="41999.5"))
    assert parsed.rates["mark_price"].to_list() == ["41999.5"]
    assert parsed.duplicates == 1


def test_a_special_rate_stands_beside_the_regular_one_of_the_same_instant() -> None:
    parsed = judged(row(kind="Special", rate="0.005"), row())
    assert parsed.rates.select("rate", "rate_type").rows() == [("0.00010000", "Regular"), ("0.005", "Special")]
    assert parsed.duplicates == 0


@pytest.mark.parametrize(
    ("bad", "at", "reason"),
    [
        (row("soon"), None, "funding_time_unreadable"),
        (row(-1), None, "funding_time_unreadable"),
        (row(9_999_999_999_999_999 * 1000), None, "funding_time_unreadable"),
        (row(ms(2023, 12, 31, 23, 59, 59)), utc(2023, 12, 31, 23, 59, 59), "outside_window"),
        (row(ms(2024, 2, 1)), utc(2024, 2, 1), "outside_window"),
        (row(rate=""), utc(2024, 1, 1, 8), "number_unreadable"),
        (row(rate="NaN"), utc(2024, 1, 1, 8), "number_unreadable"),
        (row(rate="+0.1"), utc(2024, 1, 1, 8), "number_unreadable"),
        (row(mark="-1"), utc(2024, 1, 1, 8), "number_unreadable"),
        (row(mark="0.00000000"), utc(2024, 1, 1, 8), "price_not_positive"),
        (row(kind="Extra"), utc(2024, 1, 1, 8), "rate_type_unknown"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_payload_and_its_reason(
    bad: RawFunding, at: datetime | None, reason: str
) -> None:
    parsed = judged(bad, row(EIGHT + 28_800_000))
    assert parsed.quarantined.rows() == [(at, bad.payload, reason)]
    assert parsed.rates.height == 1


ROWS = st.builds(
    row,
    time=st.integers(0, 4).map(lambda hours: EIGHT + hours * 3_600_000 + hours) | st.just("?"),
    rate=st.sampled_from(["0.0001", "0.00010000", "-0.0002", "x"]),
    mark=st.sampled_from(["", "42000", "42000.0", "41000"]),
    kind=st.sampled_from(["Regular", "Special"]),
)


@settings(deadline=None)
@given(rows=st.lists(ROWS, max_size=12))
def test_every_row_is_accounted_for_once_whatever_the_order(rows: list[RawFunding]) -> None:
    parsed = judged(*rows)
    assert parsed.rows == len(rows)
    keys = parsed.rates.select("funding_time", "rate_type")
    assert not keys.is_duplicated().any()
    back = judged(*reversed(rows))
    assert back.rates.select("funding_time", "rate_type").equals(keys)
    assert sorted(back.quarantined["payload"]) == sorted(parsed.quarantined["payload"])


def test_a_symbol_that_is_not_listed_by_funding_info_settles_every_eight_hours() -> None:
    info = FundingInfo({"ETHUSDT": FundingTerms(4, "0.02", "-0.02")}, {"BADUSDT": "odd"}, datetime.now(UTC))
    assert (info.interval_hours("ETHUSDT"), info.interval_hours("BTCUSDT")) == (4, 8)
    with pytest.raises(DataRejected, match="BADUSDT cannot be read: odd"):
        info.interval_hours("BADUSDT")

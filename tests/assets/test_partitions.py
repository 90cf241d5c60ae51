from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.partitions import (
    Month,
    ReportTask,
    Task,
    by_month,
    instrument_months,
    instruments,
    know,
    metadata_of_run,
    months,
    months_between,
    partition_key,
    profile_months,
    profiles,
    tasks_of,
)
from contracts import InstrumentKey

BTC, ETH = InstrumentKey("binance_spot", "BTCUSDT"), InstrumentKey("binance_usdm", "ETHUSDT")
MONTHS = st.builds(Month, st.integers(2017, 2050), st.integers(1, 12))
INSTANTS = st.datetimes(datetime(2017, 8, 1), datetime(2049, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive there


@pytest.mark.parametrize(
    ("instant", "month"),
    [
        (datetime(2022, 1, 1, tzinfo=UTC), Month(2022, 1)),
        (datetime(2022, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC), Month(2022, 1)),
        # Already February in Berlin, still January in UTC.
        (datetime(2022, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), Month(2022, 1)),
    ],
)
def test_a_month_is_one_of_utc(instant: datetime, month: Month) -> None:
    assert Month.of(instant) == month


def test_december_is_followed_by_january() -> None:
    assert Month(2021, 12).following == Month(2022, 1)
    assert Month(2021, 12).end == datetime(2022, 1, 1, tzinfo=UTC)
    assert Month(2021, 11).following == Month(2021, 12)


@pytest.mark.parametrize("text", ["", "2022", "2022-", "january", "2022-x"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Month.parse(text)


@given(MONTHS)
def test_the_text_of_a_month_parses_back(month: Month) -> None:
    assert Month.parse(str(month)) == month
    assert len(str(month)) == 7


@given(MONTHS)
def test_months_follow_each_other_without_a_gap(month: Month) -> None:
    assert month.end == month.following.start
    assert month < month.following
    assert timedelta(days=28) <= month.end - month.start <= timedelta(days=31)
    assert Month.of(month.start) == month == Month.of(month.end - timedelta(microseconds=1))


def test_a_window_touches_the_months_it_has_an_instant_in() -> None:
    november, january = datetime(2021, 11, 30, 23, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)
    assert months_between(november, january) == [Month(2021, 11), Month(2021, 12)]
    assert months_between(november, january + timedelta(microseconds=1))[-1] == Month(2022, 1)
    assert months_between(january + timedelta(hours=1), january + timedelta(hours=1)) == []


@given(INSTANTS, INSTANTS)
def test_the_months_between_cover_the_window(one: datetime, other: datetime) -> None:
    start, end = sorted((one, other))
    found = months_between(start, end)
    if start == end:
        assert found == []
        return
    assert found[0].start <= start < found[0].end
    assert found[-1].start < end <= found[-1].end
    assert all(left.following == right for left, right in pairwise(found))


def test_a_partition_key_reads_instrument_and_month() -> None:
    assert str(partition_key(BTC, Month(2022, 1))) == "binance_spot:BTCUSDT|2022-01"


def test_every_month_from_the_first_candle_to_the_running_one_is_a_partition() -> None:
    now = datetime(2022, 3, 15, tzinfo=UTC)
    keys = months.get_partition_keys(current_time=now)
    assert (keys[0], keys[-1]) == ("2017-08", "2022-03")
    assert keys == [str(month) for month in months_between(datetime(2017, 8, 1, tzinfo=UTC), now)]


def test_partitions_are_instrument_by_month() -> None:
    assert sorted(instrument_months.partition_dimension_names) == ["instrument", "month"]


def test_keys_in_any_order_become_one_task_an_instrument_with_its_months_in_order() -> None:
    keys = [
        partition_key(ETH, Month(2022, 1)),
        partition_key(BTC, Month(2022, 2)),
        partition_key(BTC, Month(2021, 12)),
        partition_key(BTC, Month(2022, 1)),
        partition_key(BTC, Month(2022, 2)),
    ]
    found = tasks_of([str(key) for key in keys])
    assert list(found) == [
        Task(BTC, (Month(2021, 12), Month(2022, 1), Month(2022, 2))),
        Task(ETH, (Month(2022, 1),)),
    ]
    assert (found[0].start.date(), found[0].end.date()) == (date(2021, 12, 1), date(2022, 3, 1))


def test_the_metadata_of_one_instrument_is_its_own_and_of_several_names_them() -> None:
    one, other = Task(BTC, (Month(2022, 1),)), Task(ETH, (Month(2022, 1),))
    rows = {"rows": dg.MetadataValue.int(3)}
    covered = {"months of this run": dg.MetadataValue.text("2022-01 to 2022-01")}
    assert metadata_of_run([(one, rows)]) == covered | rows
    assert list(metadata_of_run([(one, rows), (other, rows)])) == [
        "binance_spot:BTCUSDT months of this run",
        "binance_spot:BTCUSDT rows",
        "binance_usdm:ETHUSDT months of this run",
        "binance_usdm:ETHUSDT rows",
    ]


@given(MONTHS, st.integers(0, 400))
def test_a_month_before_another_is_followed_by_it_after_so_many(month: Month, count: int) -> None:
    earlier = month.before(count)
    for _ in range(count):
        earlier = earlier.following
    assert earlier == month


def test_a_report_is_of_a_profile_and_a_month_and_its_key_parses_back() -> None:
    task = ReportTask("aggressive", Month(2022, 3))
    assert str(task.key) == "2022-03|aggressive"
    assert ReportTask.of(str(task.key)) == task
    assert str(task) == "aggressive 2022-03"


def test_a_partition_is_made_known_once(instance: dg.DagsterInstance) -> None:
    know(instance, profiles, ["default", "main"])
    know(instance, profiles, ["main", "calm"])
    assert sorted(instance.get_dynamic_partitions("profiles")) == ["calm", "default", "main"]
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        of_march = profile_months.get_multipartition_keys_with_dimension_value("month", "2022-03")
    assert {ReportTask.of(str(key)).profile for key in of_march} == {"calm", "default", "main"}


def upstream(
    mapping: dg.PartitionMapping,
    key: dg.MultiPartitionKey,
    of: dg.MultiPartitionsDefinition,
    on: dg.MultiPartitionsDefinition,
    instance: dg.DagsterInstance,
) -> set[str]:
    """What a partition of one definition depends on in another."""
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        of.subset_with_partition_keys([str(key)]), of, on, datetime(2024, 1, 1, tzinfo=UTC), instance
    )
    assert not list(found.required_but_nonexistent_subset.get_partition_keys())
    return set(found.partitions_subset.get_partition_keys())


def test_a_report_reads_its_month_and_those_before_of_every_instrument(instance: dg.DagsterInstance) -> None:
    know(instance, instruments, [str(BTC), str(ETH)])
    know(instance, profiles, ["default", "main"])
    march = ReportTask("default", Month(2022, 3)).key
    assert upstream(by_month(back=2), march, profile_months, instrument_months, instance) == {
        f"{instrument}|{month}" for instrument in (BTC, ETH) for month in ("2022-01", "2022-02", "2022-03")
    }
    first = ReportTask("default", Month(2017, 8)).key  # before it there is no partition
    assert upstream(by_month(back=2), first, profile_months, instrument_months, instance) == {
        f"{BTC}|2017-08",
        f"{ETH}|2017-08",
    }


def test_an_instruments_mart_reads_the_reports_of_every_profile_of_its_month(instance: dg.DagsterInstance) -> None:
    know(instance, instruments, [str(BTC), str(ETH)])
    know(instance, profiles, ["default", "main"])
    key = partition_key(BTC, Month(2022, 3))
    assert upstream(by_month(), key, instrument_months, profile_months, instance) == {
        f"2022-03|{profile}" for profile in ("default", "main")
    }

"""How assets are cut: by instrument (dynamic) and month, all timeframes of an instrument inside one partition.

A partition key reads `binance_spot:BTCUSDT|2022-01`. Finer cuts are never used: Dagster's UI becomes sluggish beyond
about 40,000 partitions, and this grain stays below it for 300 instruments over ten years. Reports speak of all
instruments at once: they are cut by risk profile (dynamic, too: whichever are shipped or live) and month
(`2022-01|default`: dimensions go by their names).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from contracts import InstrumentKey

# The first candle Binance ever published is of 2017-08; the running month is a partition too.
instruments = dg.DynamicPartitionsDefinition(name="instruments")
months = dg.MonthlyPartitionsDefinition(start_date="2017-08", fmt="%Y-%m", timezone="UTC", end_offset=1)
instrument_months = dg.MultiPartitionsDefinition({"instrument": instruments, "month": months})
profiles = dg.DynamicPartitionsDefinition(name="profiles")
profile_months = dg.MultiPartitionsDefinition({"profile": profiles, "month": months})


def know(instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, keys: Iterable[str]) -> None:
    """Make keys partitions where they are none yet."""
    name = str(definition.name)
    unknown = set(keys).difference(instance.get_dynamic_partitions(name))
    if unknown:
        instance.add_dynamic_partitions(name, sorted(unknown))


def by_month(*, back: int = 0) -> dg.PartitionMapping:
    """What a month depends on: the same month and those before it, whatever else either side is cut by.

    Args:
        back: How many months before; those that are no partitions are left out.
    """
    with warnings.catch_warnings():
        # Dagster's release is pinned to its minor version in pyproject.toml; tests look at what this gives.
        warnings.simplefilter("ignore", dg.BetaWarning)
        window = dg.TimeWindowPartitionMapping(start_offset=-back, allow_nonexistent_upstream_partitions=True)
        return dg.MultiPartitionMapping({"month": dg.DimensionPartitionMapping("month", window)})


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One calendar month in UTC, the half-open window [start, end)."""

    year: int
    month: int

    @classmethod
    def of(cls, instant: datetime) -> Month:
        """The month that contains `instant`."""
        utc = instant.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def parse(cls, key: str) -> Month:
        """The month whose text is `key` (`2022-01`).

        Raises:
            ValueError: `key` is no month.
        """
        year, _, month = key.partition("-")
        return cls(int(year), int(month))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def start(self) -> datetime:
        """First instant of the month."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """First instant of the next month."""
        return self.following.start

    @property
    def following(self) -> Month:
        """The month after this one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def before(self, count: int) -> Month:
        """The month that many months before this one."""
        years, months_in = divmod(self.year * 12 + self.month - 1 - count, 12)
        return Month(years, months_in + 1)


def months_between(start: datetime, end: datetime) -> list[Month]:
    """The months that the half-open window [start, end) touches, oldest first."""
    found: list[Month] = []
    month = Month.of(start)
    while max(month.start, start) < end:
        found.append(month)
        month = month.following
    return found


def partition_key(instrument: InstrumentKey, month: Month) -> dg.MultiPartitionKey:
    """Dagster's key of one instrument and month."""
    return dg.MultiPartitionKey({"instrument": str(instrument), "month": str(month)})


@dataclass(frozen=True, slots=True)
class Task:
    """The work of one run: one instrument and its months, oldest first."""

    instrument: InstrumentKey
    months: tuple[Month, ...]

    @property
    def span(self) -> dg.MetadataValue[Any]:
        """The months as a text: what the metadata of each of their partitions speaks of."""
        return dg.MetadataValue.text(f"{self.months[0]} to {self.months[-1]}")

    @property
    def start(self) -> datetime:
        """Start of the first month."""
        return self.months[0].start

    @property
    def end(self) -> datetime:
        """End of the last month."""
        return self.months[-1].end


def tasks_of(keys: Iterable[str], definition: dg.MultiPartitionsDefinition = instrument_months) -> Sequence[Task]:
    """The tasks behind a run's partition keys, sorted by instrument and month (Dagster promises no order)."""
    by_instrument: dict[str, set[Month]] = {}
    for key in keys:
        dimensions = definition.get_partition_key_from_str(key).keys_by_dimension
        by_instrument.setdefault(dimensions["instrument"], set()).add(Month.parse(dimensions["month"]))
    return [Task(InstrumentKey.parse(name), tuple(sorted(found))) for name, found in sorted(by_instrument.items())]


@dataclass(frozen=True, slots=True, order=True)
class ReportTask:
    """The work of one report: a risk profile and the month it is of."""

    profile: str
    month: Month

    def __str__(self) -> str:
        return f"{self.profile} {self.month}"

    @property
    def key(self) -> dg.MultiPartitionKey:
        """Dagster's key of it."""
        return dg.MultiPartitionKey({"profile": self.profile, "month": str(self.month)})

    @classmethod
    def of(cls, key: str) -> ReportTask:
        """The report behind a partition key."""
        dimensions = profile_months.get_partition_key_from_str(key).keys_by_dimension
        return cls(dimensions["profile"], Month.parse(dimensions["month"]))


Metadata = Mapping[str, dg.MetadataValue[Any]]


def metadata_of_run(by_task: Sequence[tuple[Task, Metadata]]) -> Metadata:
    """The metadata of an asset's one result: Dagster takes one of each run, a run may hold several instruments."""
    several = len(by_task) > 1
    return {
        f"{task.instrument} {name}" if several else name: value
        for task, metadata in by_task
        for name, value in {"months of this run": task.span, **metadata}.items()
    }

"""The asset `calendar_events`: what is known of events that move markets, from every configured source.

Each source is read, judged (`assets.calendar_files`) and stored by itself, in one transaction: a source that cannot be
read changes nothing of its own and stops no other, the run fails at its end and names it. Where rows of a source were
refused, none of its events is withdrawn: the missing one may be one of those rows. A source that suddenly lists nothing
at all is taken for a download that broke off, and fails. What a source has to come that the settings no longer name is
withdrawn, as it would be if the source had taken it back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg

from assets.calendar_files import CalendarFile, read_calendar
from assets.calendar_rows import CalendarRejected
from assets.calendar_sources import Calendars, Source, read_source
from assets.columns import columns_of
from assets.reactions import reacting
from assets.resources import Postgres
from contracts import Rejected, Retryable
from contracts.errors import TidemarkError
from store.calendar import (
    CalendarCounts,
    calendar_version,
    coming_by_source,
    events_as_of,
    record_refused,
    replace_source,
)
from store.connections import translated
from store.errors import DatabaseUnavailable

REFUSED_CHECK = "no_refused_rows"
OVERLAP_CHECK = "no_overlapping_events"
_SHOWN = 20
_AHEAD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one source gave.

    Attributes:
        source: The source.
        file: Its events and refused rows.
        counts: What became of the events.
    """

    source: Source
    file: CalendarFile
    counts: CalendarCounts


@dg.asset(
    group_name="market",
    kinds={"postgres"},
    owners=["team:data"],
    metadata=columns_of("market.calendar_events"),
    description="Events that move markets, every version since it was known, from the configured calendars.",
    check_specs=[
        dg.AssetCheckSpec(
            REFUSED_CHECK, asset="calendar_events", description="Every row of every calendar could be read as an event."
        ),
        dg.AssetCheckSpec(
            OVERLAP_CHECK,
            asset="calendar_events",
            description="No two events of one title and currency overlap (both are kept).",
        ),
    ],
)
@reacting
def calendar_events(
    context: dg.AssetExecutionContext, database: Postgres, calendars: Calendars
) -> dg.MaterializeResult[None]:
    """Read every configured calendar and store what changed."""
    at = datetime.now(UTC)
    with database.connect() as conn:
        loaded, failures = load_calendars(conn, calendars, at=at, say=context.log.warning)
        removed = withdraw_removed(conn, calendars, at=at, say=context.log.warning)
        if failures:
            raise _joined(failures)
        return _result(conn, loaded, removed, at)


def load_calendars(
    conn: psycopg.Connection, calendars: Calendars, *, at: datetime, say: Callable[[str], None]
) -> tuple[list[Loaded], list[TidemarkError]]:
    """Bring the events of every source up to date.

    Args:
        conn: A connection in autocommit mode.
        calendars: The sources.
        at: When this is.
        say: Tells a person what went wrong.

    Returns:
        What the sources gave, and why the others gave nothing.

    Raises:
        DatabaseUnavailable: The database was lost; the sources before stay loaded.
    """
    loaded: list[Loaded] = []
    failures: list[TidemarkError] = []
    for source in calendars.sources:
        try:
            content = read_source(source)
            dialect = source.dialect(at, horizon_days=calendars.horizon_days)
            file = read_calendar(content, dialect, form=source.kind, name=f"{source.name} ({source.origin})")
            with translated("store the calendar", key=source.name), conn.transaction():
                _refuse_silence(conn, source, file, at)
                record_refused(conn, source.name, file.refused, origin=source.origin, seen_at=at)
                counts = replace_source(conn, source.name, file.events, at=at, withdraw=not file.refused)
            _refuse_ruin(source, file)
        except DatabaseUnavailable:
            raise
        except (Retryable, Rejected) as error:
            say(str(error))
            failures.append(error)
            continue
        loaded.append(Loaded(source, file, counts))
    return loaded, failures


def withdraw_removed(
    conn: psycopg.Connection, calendars: Calendars, *, at: datetime, say: Callable[[str], None]
) -> dict[str, int]:
    """Withdraw what is still to come of sources that are no longer configured; what has begun stays.

    Returns:
        How many events were withdrawn, by source.

    Raises:
        DatabaseUnavailable: The database was lost; the sources before stay withdrawn.
    """
    configured = {source.name for source in calendars.sources}
    removed = [name for name in coming_by_source(conn, at) if name not in configured]
    withdrawn = {name: replace_source(conn, name, [], at=at).withdrawn for name in removed}
    for name, count in withdrawn.items():
        say(f"calendar {name} is no longer configured: {count} of its events were still to come and are withdrawn")
    return withdrawn


def _refuse_silence(conn: psycopg.Connection, source: Source, file: CalendarFile, at: datetime) -> None:
    """A file without a row, of a source with events to come, fails: downloads break off, calendars rarely end."""
    coming = coming_by_source(conn, at).get(source.name, 0)
    if coming and not (file.events or file.refused or file.ignored):
        msg = (
            f"calendar {source.name}: {source.origin} lists no event any more, {coming} that it listed are still to "
            f"come: was it cut off? What is stored stays; remove the source from the settings to withdraw them"
        )
        raise CalendarRejected(msg)


def _refuse_ruin(source: Source, file: CalendarFile) -> None:
    """A file of which no row can be read is no calendar with mistakes: it fails, its rows are kept as refused."""
    if file.refused and not file.events and not file.ignored:
        first = file.refused[0]
        msg = (
            f"calendar {source.name}: none of the {len(file.refused)} rows of {source.origin} can be read as an event "
            f"(line {first.line}: {first.reason}: {first.payload[:120]!r}); what is stored stays"
        )
        raise CalendarRejected(msg)


def _joined(failures: Sequence[TidemarkError]) -> TidemarkError:
    """One error for all; worth another try where one of them is."""
    if len(failures) == 1:
        return failures[0]
    msg = "; ".join(map(str, failures))
    waits = [error.retry_after for error in failures if isinstance(error, Retryable) and error.retry_after is not None]
    if any(isinstance(error, Retryable) for error in failures):
        return Retryable(msg, retry_after=max(waits, default=None))
    return Rejected(msg)


def _result(
    conn: psycopg.Connection, loaded: Sequence[Loaded], removed: Mapping[str, int], at: datetime
) -> dg.MaterializeResult[None]:
    lines = [
        "| source | events | added | changed | withdrawn | refused | ignored | repeated |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.source.name} | {len(one.file.events)} | {one.counts.added} | {one.counts.changed} "
        f"| {one.counts.withdrawn} | {len(one.file.refused)} | {one.file.ignored} | {one.file.repeated} |"
        for one in loaded
    ]
    lines += [f"| {name} (no longer configured) | 0 | 0 | 0 | {count} | 0 | 0 | 0 |" for name, count in removed.items()]
    coming = events_as_of(conn, at, at, at + _AHEAD)
    following = ["| begins (UTC) | severity | currency | title |", "|---|---|---|---|"]
    following += [
        f"| {event.ts_start:%Y-%m-%d %H:%M} | {event.severity} | {event.currency} | {_cell(event.title)} |"
        for event in coming[:_SHOWN]
    ]
    rows = sum(len(one.file.events) for one in loaded)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": dg.MetadataValue.int(rows),
            "sources": dg.MetadataValue.md("\n".join(lines) if loaded or removed else "none: set calendar.sources"),
            "coming": dg.MetadataValue.md("\n".join(following) if coming else "nothing in the next 366 days"),
            "version": dg.MetadataValue.text(calendar_version(conn, at)),
        },
        check_results=[_refused(loaded), _overlapping(loaded)],
    )


def _refused(loaded: Sequence[Loaded]) -> dg.AssetCheckResult:
    refused = [(one.source.name, row) for one in loaded for row in one.file.refused]
    lines = ["| source | line | reason | row |", "|---|---:|---|---|"]
    lines += [
        f"| {name} | {row.line} | {row.reason} | `{_cell(row.payload[:160])}` |" for name, row in refused[:_SHOWN]
    ]
    return dg.AssetCheckResult(
        check_name=REFUSED_CHECK,
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(refused)} rows were refused; market.calendar_refused holds each" if refused else None,
        metadata={
            "refused": dg.MetadataValue.int(len(refused)),
            "rows": dg.MetadataValue.md("\n".join(lines) if refused else "none"),
        },
    )


def _overlapping(loaded: Sequence[Loaded]) -> dg.AssetCheckResult:
    pairs = [f"- {one.source.name}: {_cell(overlap)}" for one in loaded for overlap in one.file.overlaps]
    return dg.AssetCheckResult(
        check_name=OVERLAP_CHECK,
        passed=not pairs,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(pairs)} pairs of events overlap; both of each are kept" if pairs else None,
        metadata={
            "overlaps": dg.MetadataValue.int(len(pairs)),
            "pairs": dg.MetadataValue.md("\n".join(pairs[:_SHOWN]) or "none"),
        },
    )


def _cell(text: str) -> str:
    """A text that cannot leave its cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())

"""What is brought in at which time (UTC); what follows from it is computed by `orchestration.automation`.

Each tick asks for one run an instrument (`orchestration.requests`), the one of the reports for one a risk profile. A
tick that was missed is made up for by the next: every run looks at whole months, the tail from that of the last stored
bar on, and loads what they lack. Archives publish a day's file on the day after and a month's file in the first week of
the next, both before the hours chosen here; what is not there yet is found tomorrow.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg

from assets.parameters import reported_profiles
from assets.partitions import Month, ReportTask, know, profiles
from assets.report_inputs import SHORTEST, traded_series
from assets.resources import Postgres
from assets.walk_forward_report import WalkForwardReportConfig, has_a_fold
from contracts import InstrumentKey
from orchestration import jobs
from orchestration.requests import Months, enabled_instruments, first_month, last_month, run_requests
from venues.binance.hosts import market

# How many months before the running one are still expected to change: the last file of one may come late.
RECENT_MONTHS = 2
TAIL_MONTHS = 12
"""How many months before the running one the tail goes back at most; what is missing before is a backfill's work."""
RUNNING = dg.DefaultScheduleStatus.RUNNING


def running_months(at: datetime) -> Months:
    """The month of `at`, and the one before while the last day's candles of that may be missing."""
    return Month.of(at - timedelta(days=1)), Month.of(at)


def recent_months(at: datetime) -> Months:
    """The month of `at` and the `RECENT_MONTHS` before it."""
    return Month.of(at).before(RECENT_MONTHS), Month.of(at)


def tail_months(at: datetime, last_stored: Month | None) -> Months:
    """The running months, and those since the last stored bar: nothing ran while they ended."""
    first, last = running_months(at)
    return max(last.before(TAIL_MONTHS), min(first, last_stored or first)), last


def reported_month(at: datetime) -> Month:
    """The month of a week before `at`: the first report after a month's end is the one of the whole month."""
    return Month.of(at - timedelta(days=7))


def _requests(
    context: dg.ScheduleEvaluationContext,
    database: Postgres,
    job: str,
    months: Callable[[datetime], Months],
    *,
    funding: bool = False,
) -> list[dg.RunRequest] | dg.SkipReason:
    at = context.scheduled_execution_time
    with database.connect() as conn:
        wanted = [one for one in enabled_instruments(conn) if not funding or market(one.venue).has_funding]
    return _told(run_requests(context.instance, job, dict.fromkeys(wanted, months(at)), key=at.isoformat()), wanted)


def _told(requests: list[dg.RunRequest], wanted: list[InstrumentKey]) -> list[dg.RunRequest] | dg.SkipReason:
    """The requests, or why there are none."""
    if requests:
        return requests
    why = "a run of each instrument is still unfinished" if wanted else "no instrument has an enabled series it needs"
    return dg.SkipReason(why)


@dg.schedule(
    job_name=jobs.tail.name,
    cron_schedule="2 * * * *",
    execution_timezone="UTC",
    default_status=RUNNING,
    description="Loads what closed since the last stored bar, for every enabled instrument.",
)
def hourly_tail(context: dg.ScheduleEvaluationContext, database: Postgres) -> list[dg.RunRequest] | dg.SkipReason:
    """The months of every enabled instrument from its last stored bar to now."""
    at = context.scheduled_execution_time
    with database.connect() as conn:
        wanted = {one: tail_months(at, last_month(conn, one)) for one in enabled_instruments(conn)}
    return _told(run_requests(context.instance, jobs.tail.name, wanted, key=at.isoformat()), list(wanted))


@dg.schedule(
    job_name=jobs.verify.name,
    cron_schedule="30 9 * * *",
    execution_timezone="UTC",
    default_status=RUNNING,
    description="Compares the recent months with the archive, and the last days with REST.",
)
def daily_truth(context: dg.ScheduleEvaluationContext, database: Postgres) -> list[dg.RunRequest] | dg.SkipReason:
    """The recent months of every enabled instrument."""
    return _requests(context, database, jobs.verify.name, recent_months)


@dg.schedule(
    job_name=jobs.verify_all.name,
    cron_schedule="30 13 10 * *",
    execution_timezone="UTC",
    default_status=RUNNING,
    description="Compares every stored month with the archive, once a month.",
)
def monthly_truth(context: dg.ScheduleEvaluationContext, database: Postgres) -> list[dg.RunRequest] | dg.SkipReason:
    """All months of every enabled instrument that has one."""
    at = context.scheduled_execution_time
    with database.connect() as conn:
        first = {one: first_month(conn, one) for one in enabled_instruments(conn)}
    wanted = {one: (month, Month.of(at)) for one, month in first.items() if month is not None}
    requests = run_requests(context.instance, jobs.verify_all.name, wanted, key=at.isoformat())
    return _told(requests, list(wanted))


@dg.schedule(
    job_name=jobs.funding.name,
    cron_schedule="12 */4 * * *",
    execution_timezone="UTC",
    default_status=RUNNING,
    description="Loads what perpetuals settled, for every enabled instrument that has funding.",
)
def funding_settlements(
    context: dg.ScheduleEvaluationContext, database: Postgres
) -> list[dg.RunRequest] | dg.SkipReason:
    """The recent months of every enabled perpetual: the archive's file of the last one comes days after its end."""
    return _requests(context, database, jobs.funding.name, recent_months, funding=True)


@dg.schedule(
    job=jobs.reports,
    cron_schedule="0 6 * * 1",
    execution_timezone="UTC",
    default_status=RUNNING,
    description="Makes the backtest and the walk-forward of every risk profile that is shipped or live, up to now, or "
    "of the month that ended.",
)
def weekly_reports(context: dg.ScheduleEvaluationContext, database: Postgres) -> list[dg.RunRequest] | dg.SkipReason:
    """A run of each profile; without the walk-forward while less is stored than one of its folds takes."""
    at = context.scheduled_execution_time
    month = reported_month(at)
    with database.connect() as conn:
        if not traded_series(conn, month.start, month.end):
            return dg.SkipReason(f"no enabled series of {SHORTEST} or longer has a candle in {month}")
        wanted = ["backtest_report"]
        if has_a_fold(conn, month, WalkForwardReportConfig()):
            wanted.append("walk_forward_report")
        names = reported_profiles(conn)
    know(context.instance, profiles, names)
    return [
        dg.RunRequest(
            run_key=f"{jobs.reports.name} {profile} {at.isoformat()}",
            partition_key=ReportTask(profile, month).key,
            asset_selection=[dg.AssetKey(name) for name in wanted],
        )
        for profile in names
    ]


daily_rules = dg.ScheduleDefinition(
    name="daily_rules",
    job_name=jobs.refresh_rules.name,
    cron_schedule="10 0 * * *",
    execution_timezone="UTC",
    default_status=RUNNING,
    description="Snapshots the trading rules of every instrument we keep.",
)

daily_calendar = dg.ScheduleDefinition(
    name="daily_calendar",
    job_name=jobs.calendar.name,
    cron_schedule="20 0 * * *",
    execution_timezone="UTC",
    default_status=RUNNING,
    description="Reads every configured calendar of events.",
)

SCHEDULES = [
    hourly_tail,
    daily_truth,
    monthly_truth,
    funding_settlements,
    weekly_reports,
    daily_rules,
    daily_calendar,
]

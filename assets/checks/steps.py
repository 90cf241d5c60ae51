"""One Dagster step for all checks of a suite: Great Expectations answers first, then questions that need the ledgers.

They look at what is stored for the months of the run, not at what was just written, so that they can be run again at
any time from the UI. A failed check shows how many rows contradict it, the first of them as a table, and the page of
the Data Docs. ERROR where wrong data would mislead whatever is computed from it: that stops it within the run.

    candle_checks = step("candle_checks", CANDLE_SUITE, questions=LEDGER_QUESTIONS)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any

import dagster as dg
import psycopg

from assets.checks.batches import Window, windows_of
from assets.checks.data_docs import DataDocs
from assets.checks.expectations import Answer, ask, shown
from assets.checks.suites import Suite
from assets.partitions import tasks_of
from assets.reactions import reacting
from assets.resources import Postgres
from contracts import SeriesKey
from store.quality import Violations


@dataclass(frozen=True, slots=True)
class Question:
    """A check that a function answers, of one series and window at a time; it blocks.

    Attributes:
        asset: The asset it is a check of.
        text: What holds where it passes, in a sentence.
        ask: Finds what contradicts it.
    """

    asset: str
    text: str
    ask: Callable[[psycopg.Connection, SeriesKey, datetime, datetime], Violations]


def step(name: str, suite: Suite, *, questions: Mapping[str, Question] | None = None) -> dg.AssetChecksDefinition:
    """The step that answers a suite and some questions, each a check of the same name."""
    beside = questions or {}
    specs = [
        dg.AssetCheckSpec(check, asset=one.asset, description=one.text, blocking=one.blocking)
        for check, one in suite.expectations.items()
    ]
    specs += [
        dg.AssetCheckSpec(check, asset=one.asset, description=one.text, blocking=True) for check, one in beside.items()
    ]

    @dg.multi_asset_check(name=name, specs=specs, can_subset=True)
    @reacting
    def checks(
        context: dg.AssetCheckExecutionContext, database: Postgres, data_docs: DataDocs
    ) -> Iterator[dg.AssetCheckResult]:
        """Answer every selected check for every series of the run."""
        wanted = {key.name for key in context.selected_asset_check_keys}
        tasks = tasks_of(context.partition_keys)
        title = ", ".join(f"{task.instrument} {task.months[0]} to {task.months[-1]}" for task in tasks)
        begun = perf_counter()
        with database.connect() as conn:
            windows = windows_of(conn, tasks)
            site = data_docs.site(suite.name, context.run.run_id)
            for answer in ask(suite, wanted, windows, url=database.url, site=site, run=title):
                yield _of_expectation(suite, answer, windows)
            if site is not None:
                data_docs.tidy(site)
            for check, question in beside.items():
                if check in wanted:
                    yield _of_question(check, question, conn, windows)
        context.log.info(f"{len(wanted)} checks of {title} took {perf_counter() - begun:.1f} s")

    return checks


def _of_expectation(suite: Suite, answer: Answer, windows: Sequence[Window]) -> dg.AssetCheckResult:
    expectation = suite.expectations[answer.check]
    metadata: dict[str, Any] = {
        "violations": answer.count,
        "series": len(windows),
        "places": dg.MetadataValue.md(_table(answer.rows)),
    }
    if answer.page is not None:
        metadata["data docs"] = dg.MetadataValue.path(str(answer.page))
    description = _nothing(windows)
    if answer.error is not None:
        description = f"It could not be answered: {answer.error}"
    elif not answer.passed:
        first = " ".join(shown(value) for value in answer.rows[0].values()) if answer.rows else "not shown"
        description = f"{answer.count} rows, the first: {first}"
    return dg.AssetCheckResult(
        asset_key=expectation.asset,
        check_name=answer.check,
        passed=answer.passed,
        severity=dg.AssetCheckSeverity.ERROR if expectation.blocking else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=metadata,
    )


def _of_question(
    name: str, question: Question, conn: psycopg.Connection, windows: Sequence[Window]
) -> dg.AssetCheckResult:
    found = Violations()
    for window in windows:
        found += question.ask(conn, window.key, window.start, window.end)
    return dg.AssetCheckResult(
        asset_key=question.asset,
        check_name=name,
        passed=found.count == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{found.count} places, the first: {found.places[0]}" if found.count else _nothing(windows),
        metadata={
            "violations": found.count,
            "series": len(windows),
            "places": dg.MetadataValue.md("\n".join(f"- {place}" for place in found.places) or "none"),
        },
    )


def _nothing(windows: Sequence[Window]) -> str | None:
    """What is said of a check that had nothing to look at; None = it had."""
    return None if windows else "nothing to check: no series of the run's instruments is enabled"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table."""
    if not rows:
        return "none"
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[shown(value).replace("|", "\\|").replace("\n", " ") for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

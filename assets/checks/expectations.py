"""Asking a suite by Great Expectations, and what came of each expectation.

The library costs three seconds and 250 MB to import, so it is imported where something is asked and not before. All
expectations on one table are one validation, of a query asset over the run's windows. Results come in any order and are
told apart by the check's name, which travels in `meta`. An expectation that could not be answered (a column is gone, a
query is refused) has not passed; what the library says of it becomes the answer's `error`.

    for answer in ask(SUITE, names, windows, url=url, site=docs.site("candles", run_id), run=run_id): ...
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from psycopg.conninfo import conninfo_to_dict

from assets.checks.batches import Window, query_of, series_of, spans_of
from assets.checks.suites import UNEXPECTED_ROWS, Expectation, Rows, Suite

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier
    from great_expectations.datasource.fluent.postgres_datasource import PostgresDatasource

MOST = 20
_SITE = "docs"
_CANDLES = Rows("market.candles", "open_time")
# A check reads much and finds nothing. The planner expects it to find a third of the rows, and would use no workers for
# what handing those over costs.
_OPTIONS = "-c TimeZone=UTC -c work_mem=128MB -c parallel_setup_cost=100 -c parallel_tuple_cost=0.001"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one expectation.

    Attributes:
        check: Name of the check.
        passed: Whether it holds.
        count: How many rows contradict it.
        rows: The first `MOST` of them: column → value.
        error: Why it could not be answered; None = it was.
        page: The page of the Data Docs that shows it; None = none was built.
    """

    check: str
    passed: bool
    count: int = 0
    rows: Sequence[Mapping[str, Any]] = ()
    error: str | None = None
    page: Path | None = None


def ask(
    suite: Suite,
    names: Collection[str],
    windows: Sequence[Window],
    *,
    url: str,
    site: Path | None,
    run: str,
) -> Iterator[Answer]:
    """Answer the expectations of those names, one table after the other.

    Args:
        suite: Where they stand.
        names: The checks that are wanted; others of the suite are not asked.
        windows: The bars they look at.
        url: The database.
        site: Folder of the Data Docs that are built; None = none are.
        run: Name of the run in the Data Docs.
    """
    by_rows: dict[Rows, dict[str, Expectation]] = {}
    for name, expectation in suite.expectations.items():
        if name in names:
            by_rows.setdefault(expectation.rows, {})[name] = expectation
    if not by_rows:
        return
    with _context(url, site) as (context, source):
        results: dict[ValidationResultIdentifier, ExpectationSuiteValidationResult] = {}
        for number, (rows, expectations) in enumerate(by_rows.items(), start=1):
            # It becomes a folder of the Data Docs, in which a dot would begin another one.
            title = f"{suite.name}-{number}-{rows.table.replace('.', '-')}"
            results |= _validate(context, source, title, rows, expectations, windows, run=run)
        if site is not None:
            context.build_data_docs([_SITE])
        for identifier, result in results.items():
            page = None if site is None else _page(context, identifier)
            for one in result.results:
                yield _answer(one, page)


@contextmanager
def _context(url: str, site: Path | None) -> Iterator[tuple["EphemeralDataContext", "PostgresDatasource"]]:
    gx = great_expectations()
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
    from sqlalchemy.pool import StaticPool

    # The default would make a temporary folder for a site that nobody asked for.
    context = gx.get_context(DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults()), mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    if site is not None:
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        config = {"class_name": "SiteBuilder", "site_index_builder": index, "store_backend": store}
        context.add_data_docs_site(_SITE, config)
    options = {"options": _OPTIONS, "application_name": "tidemark checks", "connect_timeout": 10}
    source = context.data_sources.add_postgres(
        "tidemark",
        connection_string=address_of(url),
        kwargs={"connect_args": options, "poolclass": StaticPool},
    )
    try:
        yield context, source
    finally:
        # The library asks through the one and tests connections through the other.
        source.get_execution_engine().close()
        source.get_engine().dispose()


def _validate(
    context: "EphemeralDataContext",
    source: "PostgresDatasource",
    title: str,
    rows: Rows,
    expectations: Mapping[str, Expectation],
    windows: Sequence[Window],
    *,
    run: str,
) -> "Mapping[ValidationResultIdentifier, ExpectationSuiteValidationResult]":
    gx = great_expectations()
    from great_expectations.core.run_identifier import RunIdentifier

    batch = source.add_query_asset(title, query=query_of(rows, windows)).add_batch_definition_whole_table("rows")
    given = {
        "{bars}": f"({query_of(_CANDLES, windows)})",
        "{series}": f"({series_of(windows)})",
        "{spans}": f"({spans_of(windows)})",
    }
    suite = gx.ExpectationSuite(title, [_expectation(name, one, given) for name, one in expectations.items()])
    definition = gx.ValidationDefinition(name=title, data=batch, suite=context.suites.add(suite))
    checkpoint = gx.Checkpoint(
        name=title,
        validation_definitions=[context.validation_definitions.add(definition)],
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": list(rows.key),
            "partial_unexpected_count": MOST,
        },
    )
    return context.checkpoints.add(checkpoint).run(run_id=RunIdentifier(run_name=run)).run_results


def _page(context: "EphemeralDataContext", identifier: "ValidationResultIdentifier") -> Path:
    [site] = [one for one in context.get_docs_sites_urls(identifier) if one["site_name"] == _SITE]
    return Path(unquote(urlsplit(str(site["site_url"])).path))


def _expectation(name: str, expectation: Expectation, given: Mapping[str, str]) -> Any:  # noqa: ANN401 - GX is not loaded
    from great_expectations import expectations as gxe

    from assets.checks.unexpected_rows import UnexpectedRows, counted

    severity = "critical" if expectation.blocking else "warning"
    shared: dict[str, Any] = {"meta": {"check": name}, "description": expectation.text, "severity": severity}
    if expectation.kind != UNEXPECTED_ROWS:
        return getattr(gxe, expectation.kind)(**expectation.kwargs, **shared)
    query = str(expectation.kwargs["unexpected_rows_query"])
    for placeholder, subselect in given.items():
        # The library takes a brace for its own placeholder, and a symbol may hold one.
        query = query.replace(placeholder, subselect.replace("{", "{{").replace("}", "}}"))
    return UnexpectedRows(unexpected_rows_query=counted(query), **shared)


def _answer(result: "ExpectationValidationResult", page: Path | None) -> Answer:
    name = str((result.expectation_config.meta if result.expectation_config else {})["check"])
    error = raised(result.exception_info)
    if error is not None:
        return Answer(name, passed=False, error=error, page=page)
    found = result.result
    rows = found.get("details", {}).get("unexpected_rows", found.get("partial_unexpected_index_list")) or []
    # Of a batch without rows the library counts nothing: there, None.
    counts = (found.get(field) for field in ("unexpected_count", "observed_value"))
    count = next((value for value in counts if value is not None), 0)
    return Answer(name, bool(result.success), int(count), rows[:MOST], page=page)


def raised(exception_info: Mapping[str, Any] | None) -> str | None:
    """What stopped an expectation from being answered; None = nothing did.

    The library tells it in two shapes: of the expectation itself (`raised_exception` and `exception_message`), or of
    each metric that failed, keyed by the metric's name and without `raised_exception` beside them.
    """
    info = {"raised_exception": False} if exception_info is None else exception_info
    if info.get("raised_exception") is False:
        return None
    messages = [info.get("exception_message")]
    messages += [one.get("exception_message") for one in info.values() if isinstance(one, Mapping)]
    told = dict.fromkeys(str(message) for message in messages if message)
    return "; ".join(told) or "Great Expectations raised an error without a message"


def address_of(url: str) -> str:
    """The URL by which SQLAlchemy reaches the database of a `postgresql://` URL or libpq connection string.

    A dollar sign is escaped: Great Expectations would take what follows it for the name of a variable.
    """
    from sqlalchemy import URL

    parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    port = parts.pop("port", None)
    user, password, host, database = (parts.pop(name, None) for name in ("user", "password", "host", "dbname"))
    found = URL.create("postgresql+psycopg", user, password, host, None if port is None else int(port), database, parts)
    return found.render_as_string(hide_password=False).replace("$", "%24")


def great_expectations() -> ModuleType:
    """The library, imported at the first call."""
    with warnings.catch_warnings():
        # It imports two modules that Python deprecates; where warnings are errors, checks must run all the same.
        # Drop this when great_expectations no longer imports sre_constants and sre_parse.
        warnings.filterwarnings("ignore", message="module 'sre_(constants|parse)' is deprecated")
        import great_expectations as gx
    return gx


def shown(value: object) -> str:
    """A value of a finding as a person reads it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)

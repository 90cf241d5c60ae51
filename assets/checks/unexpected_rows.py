"""The query expectation of Great Expectations, asking the database once.

The library's own class runs its query twice, for the count and for the rows, and keeps the rows back unless every
result is asked for whole. This one has the query count what it finds, and keeps the first `MOST` rows. Importing this
module imports the library (three seconds): it is imported where a check runs, nowhere else.
"""

from typing import Any, ClassVar

from great_expectations.expectations.core import unexpected_rows_expectation as core

MOST = 20
_FOUND = "found"


class UnexpectedRows(core.UnexpectedRowsExpectation):
    """Passes where the query finds no row; shows the first ones it finds, ordered by key and time."""

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: object = None, execution_engine: object = None
    ) -> dict[str, Any]:
        del runtime_configuration, execution_engine
        rows = [dict(row) for row in metrics["unexpected_rows_query.table"]]
        counts = [row.pop(_FOUND) for row in rows]
        found = int(counts[0]) if counts else 0
        return {"success": found == 0, "result": {"observed_value": found, "details": {"unexpected_rows": rows}}}


def counted(query: str) -> str:
    """The query that gives the first rows of `query`, and in each how many there are."""
    return (
        f"SELECT *, count(*) OVER () AS {_FOUND} FROM ({query}) AS unexpected "  # noqa: S608 - constants of the suites
        f"ORDER BY 1, 2, 3, 4 LIMIT {MOST}"
    )

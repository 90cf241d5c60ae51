"""Assets of what analysts read: the dbt project's views and marts, with its tests as checks on them.

A run builds them for its instruments from the first of its months on, without end: the analysis rewrites everything
behind a changed month, so the marts do too. dbt runs in this process on the kept manifest (`transforms`), one run of
dbt at a time: it holds the lock of the marts beside the instrument's. A failed test of severity error leaves what reads
that mart as it was; a model that fails, fails the step.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from dagster_dbt import dbt_assets
from psycopg import sql

from assets import progress
from assets.marts_lineage import Lineage
from assets.partitions import Metadata, Task, instrument_months, metadata_of_run, tasks_of
from assets.reactions import reacting
from assets.resources import Postgres, alone
from store.connections import translated
from transforms.invocation import Node, build
from transforms.parse import parsed

_LINEAGE = Lineage()
_SHOWN_ROWS = 10

Found = list[tuple[Task, Node]]


@dbt_assets(
    manifest=parsed().manifest,
    name="marts",
    dagster_dbt_translator=_LINEAGE,
    partitions_def=instrument_months,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
@reacting
def marts(
    context: dg.AssetExecutionContext, database: Postgres
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Build the selected models for each instrument of the run, and test them."""
    folder = Path(context.instance.root_directory) / "dbt"
    select = _selected(context)
    found: dict[str, Found] = defaultdict(list)
    with database.connect() as conn:
        for task in tasks_of(context.partition_keys):
            label = f"marts {task.instrument}"
            progress.report(label, done=0, total=1)  # how many there are is known when the first one ends
            count = progress.counter(label)
            window = {
                "venue": task.instrument.venue,
                "symbol": task.instrument.symbol,
                "start": task.start.isoformat(),
            }
            with alone(conn, task.instrument, say=context.log.info), _dbt_alone(conn):
                outcome = build(
                    database.url, folder=folder, variables=window, select=select, say=context.log.debug, count=count
                )
            outcome.raise_for_models(f"{task.instrument} from {task.months[0]} on")
            for node in outcome.nodes:
                found[node.unique_id].append((task, node))
        yield from _materializations(conn, context, found)
        yield from _checks(conn, context, found)


def _selected(context: dg.AssetExecutionContext) -> Sequence[str]:
    """Names of the models and tests of this run; empty = all there are."""
    if not context.is_subset:
        return ()
    models = [key.path[-1] for key in context.selected_asset_keys]
    return sorted([*models, *(key.name for key in context.selected_asset_check_keys)])


@contextmanager
def _dbt_alone(conn: psycopg.Connection) -> Iterator[None]:
    """Two runs of dbt would replace the same views and small tables at once."""
    with translated("lock the marts"):
        conn.execute("SELECT pg_advisory_lock(hashtextextended('marts', 0))")
    try:
        yield
    finally:
        if not conn.closed:
            with translated("unlock the marts"):
                conn.execute("SELECT pg_advisory_unlock(hashtextextended('marts', 0))")


def _materializations(
    conn: psycopg.Connection, context: dg.AssetExecutionContext, found: Mapping[str, Found]
) -> Iterator[dg.MaterializeResult[None]]:
    sizes = _sizes(conn)
    # In the order in which dbt ended them: Dagster takes no asset before what it is made from.
    for name, nodes in _by_name(found, "model.").items():
        built = [(task, node) for task, node in nodes if node.status == "success"]
        if not built:
            context.log.warning(f"{name} was left as it was: a test of what it reads failed")
            continue
        metadata: dict[str, Any] = dict(metadata_of_run([(task, _of_node(node)) for task, node in built]))
        if name in sizes:
            metadata["dagster/row_count"] = dg.MetadataValue.int(sizes[name])
        yield dg.MaterializeResult(asset_key=name, metadata=metadata)


def _by_name(found: Mapping[str, Found], kind: str) -> dict[str, Found]:
    return {nodes[0][1].name: nodes for unique_id, nodes in found.items() if unique_id.startswith(kind)}


def _of_node(node: Node) -> Metadata:
    metadata: dict[str, dg.MetadataValue[Any]] = {"seconds": dg.MetadataValue.float(round(node.seconds, 3))}
    if node.rows is not None:
        metadata["rows written"] = dg.MetadataValue.int(node.rows)
    return metadata


def _sizes(conn: psycopg.Connection) -> dict[str, int]:
    """Rows of each mart as of the ANALYZE that ends its build: exact while it is small, near when it is large."""
    rows = conn.execute(
        "SELECT c.relname, c.reltuples::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'marts' AND c.relkind = 'r' AND c.reltuples >= 0"
    ).fetchall()
    return {str(name): int(count) for name, count in rows}


def _checks(
    conn: psycopg.Connection, context: dg.AssetExecutionContext, found: Mapping[str, Found]
) -> Iterator[dg.AssetCheckResult]:
    tests = _by_name(found, "test.")
    for key in sorted(context.selected_asset_check_keys, key=lambda key: key.name):
        nodes = [(task, node) for task, node in tests.get(key.name, []) if node.status != "skipped"]
        if not nodes:
            context.log.warning(f"{key.name} was not asked: what it looks at was left as it was")
            continue
        broken = [(task, node) for task, node in nodes if node.status in ("warn", "fail")]
        rows = sum(node.failures or 0 for _, node in broken)
        is_error = any(node.status == "fail" for _, node in broken)
        severity = dg.AssetCheckSeverity.ERROR if is_error or not broken else dg.AssetCheckSeverity.WARN
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not broken,
            severity=severity,
            description=f"{rows} rows of {', '.join(str(task.instrument) for task, _ in broken)}" if broken else None,
            metadata={
                "rows": rows,
                "the first of them": dg.MetadataValue.md(
                    "\n\n".join(_shown(conn, node.query) for _, node in broken if node.query) or "none"
                ),
            },
        )


def _shown(conn: psycopg.Connection, query: str) -> str:
    """The first rows that break a test, as a Markdown table."""
    with translated("read the rows that break a test"):
        statement = sql.SQL("SELECT * FROM ({}) AS broken LIMIT {}")
        # dbt's own compiled text, not a value.
        cursor = conn.execute(statement.format(sql.SQL(query), sql.Literal(_SHOWN_ROWS)))
    names = [column.name for column in cursor.description or ()]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in cursor.fetchall())])

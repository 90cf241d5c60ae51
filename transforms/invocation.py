"""One run of dbt inside this process, on the kept manifest: no parsing, no second interpreter, no word on the terminal.

Where the database is comes from its URL and reaches dbt through variables of the environment, for as long as the run
takes; the password's variable has the prefix that dbt keeps out of its logs. dbt writes compiled SQL and its own log
into `folder` alone. Runs of one process wait for each other: dbt's state is the process's.

    outcome = build(url, variables={"venue": "binance_spot", "symbol": "BTCUSDT", "start": start}, folder=folder)
    [node.name for node in outcome.nodes if node.status == "fail"]
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psycopg.conninfo import conninfo_to_dict

from contracts.errors import Rejected, Retryable
from transforms import PROJECT
from transforms.parse import QUIET, parsed

_ONE_AT_A_TIME: Final = threading.Lock()
# libpq's words in dbt's message when coming again may help.
_PASSING: Final = (
    "could not connect",
    "connection",
    "terminating",
    "deadlock",
    "could not serialize",
    "too many clients",
)


class DbtRefused(Rejected):
    """dbt could not run what it was asked for; the message is dbt's."""


class DbtInterrupted(Retryable):
    """The database was lost while dbt worked; each model is a transaction of its own, the finished ones stay."""


@dataclass(frozen=True, slots=True)
class Node:
    """What became of one model or test.

    Attributes:
        unique_id: dbt's name of it, e.g. `model.tidemark.fct_signals`.
        name: Its own name.
        status: `success`, `pass`, `warn`, `fail`, `error` or `skipped`.
        rows: Rows written; None for views and tests.
        failures: Rows that break a test; None for models.
        message: What dbt says of it.
        seconds: Time it took.
        query: The compiled SQL of a test; None for models.
    """

    unique_id: str
    name: str
    status: str
    rows: int | None
    failures: int | None
    message: str
    seconds: float
    query: str | None

    @property
    def is_test(self) -> bool:
        """Whether it is a test of data."""
        return self.unique_id.startswith("test.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        nodes: Models and tests in the order in which they ended.
    """

    nodes: Sequence[Node]

    def raise_for_models(self, what: str) -> None:
        """Raise if a model failed; a failed test is an answer, not an accident, and what follows it was skipped.

        Raises:
            DbtInterrupted: The database was lost.
            DbtRefused: Anything else.
        """
        broken = [node for node in self.nodes if node.status == "error"]
        if not broken:
            return
        story = "; ".join(f"{node.name}: {' '.join(node.message.split())}" for node in broken)
        msg = f"build the marts of {what}: {story}"
        raise _error(msg)


def build(
    url: str,
    *,
    folder: Path,
    variables: Mapping[str, str | None],
    select: Sequence[str] = (),
    full_refresh: bool = False,
    say: Callable[[str], None] = lambda line: None,
    count: Callable[[int, int], None] = lambda ended, total: None,
) -> Outcome:
    """Build the selected models and run the selected tests, each model before the tests and models that read it.

    Args:
        url: The database, as a role that may write the schemas `staging` and `marts`.
        folder: Where dbt may write; it is made when missing.
        variables: `venue`, `symbol` and `start` of the window; empty = everything.
        select: Names of models and tests; empty = all of them.
        full_refresh: Drop the tables and build them again.
        say: Is told of every model and test, when all of them ended.
        count: Is told whenever one ends how many have, and of how many; by any thread.

    Raises:
        DbtInterrupted: The database could not be reached.
        DbtRefused: dbt refused the whole run.
    """
    command = ["build", "--exclude-resource-type", "unit_test", "--indirect-selection", "empty"]
    if select:
        command += ["--select", *select]
    if full_refresh:
        command.append("--full-refresh")
    return run(url, command, folder=folder, variables=variables, say=say, count=count)


def run(
    url: str,
    command: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str | None],
    say: Callable[[str], None] = lambda line: None,
    count: Callable[[int, int], None] = lambda ended, total: None,
) -> Outcome:
    """Run any command of dbt that works on nodes (`build`, `test`, …); see `build` for the rest."""
    from dbt.cli.main import dbtRunner

    folder.mkdir(parents=True, exist_ok=True)
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    given = ["--vars", json.dumps(dict(variables)), *QUIET, "--no-write-json"]
    manifest = parsed().load(str(conninfo_to_dict(url)["dbname"]))
    with _ONE_AT_A_TIME, _environment(url):
        result = dbtRunner(manifest=manifest, callbacks=[_Counting(count)]).invoke([*command, *places, *given])
    answers = getattr(result.result, "results", None)
    if answers is None:
        msg = f"dbt {command[0]}: {result.exception or 'no answer'}"
        raise _error(msg) from result.exception
    nodes = [_node(answer) for answer in answers]
    for node in nodes:
        say(f"{node.name}: {node.status}{'' if node.rows is None else f', {node.rows} rows'} in {node.seconds:.2f} s")
    return Outcome(nodes)


class _Counting:
    """Hears the events of a run of dbt, and counts the nodes that ended."""

    def __init__(self, count: Callable[[int, int], None]) -> None:
        self._count = count
        self._total = 0
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, event: Any) -> None:  # noqa: ANN401 - made of dbt's own message definitions
        if event.info.name == "LogStartLine":
            self._total = event.data.total
        elif event.info.name == "NodeFinished":
            with self._lock:  # two threads must not tell of theirs in the wrong order
                self._ended.add(event.data.node_info.unique_id)
                self._count(len(self._ended), max(self._total, len(self._ended)))


@contextmanager
def _environment(url: str) -> Iterator[None]:
    """The variables that `profiles.yml` reads, as long as the block lasts."""
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    given = {
        "TIDEMARK_DBT_HOST": parts.get("host", "127.0.0.1"),
        "TIDEMARK_DBT_PORT": parts.get("port", "5432"),
        "TIDEMARK_DBT_USER": parts["user"],
        "DBT_ENV_SECRET_TIDEMARK_PASSWORD": parts.get("password", ""),
        "TIDEMARK_DBT_NAME": parts["dbname"],
        "TIDEMARK_DBT_SSLMODE": parts.get("sslmode", "prefer"),
        "DO_NOT_TRACK": "1",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _node(answer: Any) -> Node:  # noqa: ANN401 - dbt's result classes are not public
    rows = (answer.adapter_response or {}).get("rows_affected")
    is_test = answer.node.resource_type == "test"
    return Node(
        unique_id=str(answer.node.unique_id),
        name=str(answer.node.name),
        status=str(answer.status),
        rows=None if is_test or rows is None or rows < 0 else int(rows),
        failures=answer.failures if is_test else None,
        message=str(answer.message or ""),
        seconds=float(answer.execution_time),
        query=answer.node.compiled_code if is_test else None,
    )


def _error(story: str) -> Rejected | Retryable:
    if any(word in story.lower() for word in _PASSING):
        return DbtInterrupted(f"{story}; the finished models stay, run it again")
    return DbtRefused(story)

"""Structured logs with a trace id: JSON lines for machines, readable lines on a terminal.

Rooms log through the standard library (`logging.getLogger(__name__)`, fields in `extra`); this module decides how
the lines look. The trace id binds every line of one command, run or decision, across threads and tasks.

    configure_logs(level="INFO", style="auto")
    with trace() as trace_id: ...
"""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.typing import Processor


def configure_logs(*, level: str = "INFO", style: str = "auto") -> None:
    """Send every log line of this process to standard error.

    Args:
        level: Least severe level shown.
        style: `json`, `text`, or `auto` (text where standard error is a terminal).
    """
    readable = style == "text" or (style == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if readable
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # One line a request at INFO would drown ours; failures are told by the room that made the request.
    for noisy in ("httpx", "httpcore", "alembic", "numba", "great_expectations"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


@contextmanager
def trace(trace_id: str | None = None) -> Iterator[str]:
    """Bind a trace id (32 hex characters, new unless given) to every line logged inside."""
    value = trace_id or uuid.uuid4().hex
    with structlog.contextvars.bound_contextvars(trace_id=value):
        yield value

"""The page docs/concepts.md, taken apart: its words, its pictures, its SQL and the answers it prints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parents[2] / "docs"
TEXT = (FOLDER / "concepts.md").read_text(encoding="utf-8")
# As a reader sees it: where a line was broken does not matter.
WORDS = " ".join(TEXT.split())


@dataclass(frozen=True, slots=True)
class Example:
    """A query of the page and the answer printed under it."""

    query: str
    answer: str


def examples() -> list[Example]:
    return [Example(*found) for found in re.findall(r"```sql\n(.*?)\n```\n\n```\n(.*?)\n```", TEXT, re.DOTALL)]


def table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An answer as psql prints it, with times in UTC and to the minute, and nothing aligned to the right."""
    texts = [list(names), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [" | ".join(map(str.ljust, line, widths)).rstrip() for line in texts]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "t" if value else "f"
    return "" if value is None else str(value)

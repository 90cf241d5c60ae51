"""Calendar files cut into rows: CSV and JSON, and what they call their columns. What a row says is judged elsewhere.

Foreign exceptions end here: a file that is no CSV, or no JSON, is rejected as a whole, so that what is stored stays. A
payload is the row as received, but for characters that PostgreSQL cannot hold, which are escaped.

    for row in csv_rows(text, "fed.csv"): row.values["title"]
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from contracts import DataRejected

Form = Literal["auto", "csv", "json", "ics"]

# What calendars call their columns; the first that is filled counts.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "start": ("start", "ts_start", "starts", "dtstart", "datetime", "date_time"),
    "date": ("date", "start_date", "day"),
    "time": ("time", "start_time"),
    "end": ("end", "ts_end", "ends", "dtend"),
    "end_date": ("end_date",),
    "end_time": ("end_time",),
    "title": ("title", "event", "name", "summary", "subject"),
    "severity": ("severity", "impact", "importance"),
    "currency": ("currency", "country", "ccy"),
    "uid": ("uid", "id", "event_id"),
    "known_from": ("known_from", "announced"),
    "timezone": ("timezone", "time_zone", "tz"),
}


class CalendarRejected(DataRejected):
    """A file is no calendar; nothing of it was taken, what is stored stays."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        line: Where it begins, counted from 1 (in JSON: which entry it is).
        payload: The row as received.
        values: Field → text, by our names; a field that is not there or empty is absent.
    """

    line: int
    payload: str
    values: Mapping[str, str]


def kind_of(text: str, name: str) -> Form:
    """What kind of file a text is, told from its name and first character; never `auto`.

    Raises:
        CalendarRejected: It is a page for people.
    """
    begun = text.lstrip()
    if begun.startswith("BEGIN:VCALENDAR") or name.lower().endswith(".ics"):
        return "ics"
    if begun.startswith(("[", "{")) or name.lower().endswith(".json"):
        return "json"
    if begun.startswith("<"):
        msg = (
            f"calendar {name} is a page for people, not a calendar: {begun[:60]!r}; is it shared with everybody who "
            f"has the link? (what is stored stays)"
        )
        raise CalendarRejected(msg)
    return "csv"


def csv_rows(text: str, name: str) -> Iterator[Row]:
    """The rows of a CSV file; a row with more cells than the header has columns comes without values.

    Raises:
        CalendarRejected: Its header names no title or no start, or a quote is left open.
    """
    lines = list(io.StringIO(text, newline=""))
    head = next(line for line in lines if line.strip())
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Nothing behind an open quote can be told apart any more.
            msg = f"calendar {name}: line {begins} is no CSV ({error}); what is stored stays"
            raise CalendarRejected(msg) from error
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _header(cells, name)
            continue
        payload = "".join(lines[begins - 1 : reader.line_num]).rstrip("\r\n")
        if len(cells) > len(columns):
            yield Row(begins, payload, {})  # the cells have lost their columns
            continue
        yield Row(begins, payload, _named(dict(zip(columns, cells, strict=False))))


def json_rows(text: str, name: str) -> Iterator[Row]:
    """The entries of a JSON list of events, or of the one under `events`, `items` or `data`.

    Raises:
        CalendarRejected: It is no JSON, is nested too deep, or holds no such list.
    """
    try:
        document = json.loads(text)
        if isinstance(document, dict):
            document = next((document[key] for key in ("events", "items", "data") if key in document), None)
        if not isinstance(document, list):
            msg = f"calendar {name} holds no list of events, and none under `events`; what is stored stays"
            raise CalendarRejected(msg)
        entries = [(json.dumps(entry, ensure_ascii=False), entry) for entry in document]
    except ValueError as error:
        msg = f"calendar {name} is no JSON: {error}; what is stored stays"
        raise CalendarRejected(msg) from error
    except RecursionError as error:
        msg = f"calendar {name} is nested deeper than any calendar; what is stored stays"
        raise CalendarRejected(msg) from error
    for number, (payload, entry) in enumerate(entries, start=1):
        yield Row(number, storable(payload), _named(entry) if isinstance(entry, dict) else {})


def storable(text: str) -> str:
    """The text with what PostgreSQL cannot hold, NUL and halves of surrogate pairs, written as Python escapes it."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _header(cells: list[str], name: str) -> list[str]:
    known = _named(dict.fromkeys(cells, "x"))
    if "title" not in known or not known.keys() & {"start", "date", "time"}:
        msg = (
            f"calendar {name}: the first line names the columns {', '.join(cells)[:200]!r}; a title (title, event, "
            f"name) and a start (start, or date and time) are needed; what is stored stays"
        )
        raise CalendarRejected(msg)
    return cells


def _named(values: Mapping[str, Any]) -> dict[str, str]:
    """Fields by our names; a whole number is written as one, also where JSON has it as 3.0."""
    stated = {
        re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_"): (
            str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
        )
        for name, value in values.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
    found = {ours: next((stated[name] for name in names if stated.get(name)), "") for ours, names in _FIELDS.items()}
    return {name: value for name, value in found.items() if value}

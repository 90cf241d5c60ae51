"""Where calendars come from: files and http(s) addresses, as a Dagster resource. What they say is read elsewhere.

Foreign exceptions end here: a server that does not answer is Retryable, an address or a file that is not there is
Rejected, and the message names the source. A link to a Google Sheet, as people copy it from the browser, is turned
into the address of its CSV export.

    content = read_source(source)
"""

import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, cast
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import dagster as dg
import httpx
from pydantic import Field

from assets.calendar_files import Dialect
from assets.calendar_rows import Form
from contracts import Rejected, Retryable

MOST_BYTES: Final = 16 * 2**20
TIMEOUT_S: Final = 20.0
WHOLE_S: Final = 60.0
_SHEET: Final = re.compile(r"/spreadsheets/(?:u/\d+/)?d/(?!e/)([A-Za-z0-9_-]+)")
_PUBLISHED_SHEET: Final = re.compile(r"(/spreadsheets/d/e/[A-Za-z0-9_-]+)/pub(?:html)?$")


class SourceUnavailable(Retryable):
    """A calendar's server could not answer now; what is stored stays."""


class SourceRefused(Rejected):
    """A calendar cannot be had from where it should be; what is stored stays."""


class Source(dg.Config):
    """One calendar; the attributes are those of `calendar.sources` in the settings.

    Attributes:
        name: What it is called.
        path: File to read; empty = `url` is read.
        url: Address to read.
        form: `auto`, `csv`, `json` or `ics`.
        timezone: Zone of times that name none; empty = such rows are refused.
        severities: Word (lower case) → `HIGH`, `MED` or `IGNORE`.
        severity: Of rows that state none.
        currency: Of rows that state none; empty = `ALL`.
        known_days_before: How long before its start an event counts as known; None = since it was first loaded.
    """

    name: str
    path: str = ""
    url: str = ""
    form: str = "auto"
    timezone: str = ""
    severities: dict[str, str] = Field(default_factory=dict)
    severity: str = "MED"
    currency: str = ""
    known_days_before: int | None = None

    @property
    def origin(self) -> str:
        """Where it is read, without what may be a secret: login and query of an address."""
        if self.path:
            return self.path
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

    @property
    def kind(self) -> Form:
        """What kind of file it is; a Google Sheet is read as CSV."""
        sheet = self.form == "auto" and bool(self.url) and csv_export_of(self.url) != self.url
        return "csv" if sheet else cast(Form, self.form)

    def dialect(self, at: datetime, *, horizon_days: int) -> Dialect:
        """How its rows are read at `at`."""
        return Dialect(
            at=at,
            zone=ZoneInfo(self.timezone) if self.timezone else None,
            severities=self.severities,
            severity=self.severity,
            currency=self.currency or None,
            known_days_before=self.known_days_before,
            horizon=timedelta(days=horizon_days),
        )


class Calendars(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The calendars of the settings.

    Attributes:
        sources: Each of them.
        horizon_days: How far ahead recurring events are written out.
    """

    sources: list[Source] = Field(default_factory=list)
    horizon_days: int = 400


def read_source(source: Source) -> bytes:
    """The content of a source.

    Raises:
        SourceUnavailable: Its server cannot be reached or gave up; ask again.
        SourceRefused: There is no such file or address, it may not be read, or it is larger than 16 MiB.
    """
    if not source.path:
        return _downloaded(source)
    try:
        with Path(source.path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        msg = f"calendar {source.name}: {source.path} cannot be read ({error.strerror}); what is stored stays"
        raise SourceRefused(msg) from error
    _refuse_large(source, len(content))
    return content


def csv_export_of(url: str) -> str:
    """The address of a Google Sheet's CSV export for a link to it as the browser shows it; any other as it is."""
    parts = urlsplit(url)
    if parts.hostname != "docs.google.com":
        return url
    stated = {**parse_qs(parts.fragment), **parse_qs(parts.query)}
    gid = f"&gid={stated['gid'][0]}" if "gid" in stated else ""
    shared, published = _SHEET.match(parts.path), _PUBLISHED_SHEET.match(parts.path)
    if published:
        single = "&single=true" if gid else ""
        return f"{parts.scheme}://{parts.netloc}{published[1]}/pub?output=csv{gid}{single}"
    if shared and not parts.path.endswith("/export"):
        return f"{parts.scheme}://{parts.netloc}/spreadsheets/d/{shared[1]}/export?format=csv{gid}"
    return url


def _downloaded(source: Source) -> bytes:
    deadline = time.monotonic() + WHOLE_S
    content = bytearray()
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=True, mounts=_DIRECT) as client,
            client.stream("GET", csv_export_of(source.url)) as answer,
        ):
            _refuse_status(source, answer)
            for piece in answer.iter_bytes():
                content += piece
                _refuse_large(source, len(content))
                if time.monotonic() > deadline:
                    msg = f"calendar {source.name}: {source.origin} took longer than {WHOLE_S:.0f} s; try again later"
                    raise SourceUnavailable(msg)
    except httpx.TransportError as error:
        told = str(error) or type(error).__name__
        msg = f"calendar {source.name}: no answer from {source.origin} ({told}); what is stored stays, try again later"
        raise SourceUnavailable(msg) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        msg = f"calendar {source.name}: {source.origin} cannot be read ({error}); what is stored stays"
        raise SourceRefused(msg) from error
    return bytes(content)


# A proxy named by the environment is for the world outside.
_DIRECT: Mapping[str, None] = {"all://127.0.0.1": None, "all://localhost": None}


def _refuse_status(source: Source, answer: httpx.Response) -> None:
    status = answer.status_code
    told = f"calendar {source.name}: {source.origin} answered {status}"
    if status == 429 or status >= 500:
        wait = answer.headers.get("retry-after", "")
        msg = f"{told}; what is stored stays, try again later"
        raise SourceUnavailable(msg, retry_after=float(wait) if wait.isdecimal() else None)
    if status != 200:
        msg = f"{told}; is the address right, and may everybody who has the link read it? What is stored stays"
        raise SourceRefused(msg)


def _refuse_large(source: Source, size: int) -> None:
    if size > MOST_BYTES:
        msg = f"calendar {source.name}: {source.origin} is larger than {MOST_BYTES >> 20} MiB, which no calendar is"
        raise SourceRefused(msg)

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from assets.calendar_files import Dialect, read_calendar
from assets.calendar_sources import MOST_BYTES, Source, SourceRefused, SourceUnavailable, csv_export_of, read_source
from tidemark.processes import free_port
from tidemark.settings import CalendarSettings, CalendarSource

BODY = b"title,start\nFOMC,2026-01-28T19:00Z\n"


class Handler(BaseHTTPRequestHandler):
    """Answers each path with what its name says."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/events.csv")
            self.end_headers()
            return
        if path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
            return
        status = int(path[1:]) if path[1:].isdecimal() else 200
        body = b"x" * (MOST_BYTES + 1) if path == "/large" else BODY
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_a_file_and_an_address_give_their_content(tmp_path: Path, address: str) -> None:
    (tmp_path / "events.csv").write_bytes(BODY)
    assert read_source(Source(name="a", path=str(tmp_path / "events.csv"))) == BODY
    assert read_source(Source(name="a", url=f"{address}/events.csv")) == BODY
    assert read_source(Source(name="a", url=f"{address}/moved")) == BODY


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match=r"calendar fed: .*nowhere\.csv cannot be read \(No such file"):
        read_source(Source(name="fed", path=str(tmp_path / "nowhere.csv")))


@pytest.mark.parametrize("status", [401, 404, 410])
def test_an_address_that_refuses_is_refused(address: str, status: int) -> None:
    with pytest.raises(SourceRefused, match=f"calendar fed: {address}/{status} answered {status}"):
        read_source(Source(name="fed", url=f"{address}/{status}"))


@pytest.mark.parametrize(("status", "wait"), [(429, 7.0), (503, None)])
def test_a_server_in_trouble_may_be_asked_again_when_it_says(address: str, status: int, wait: float | None) -> None:
    with pytest.raises(SourceUnavailable, match=f"answered {status}") as caught:
        read_source(Source(name="fed", url=f"{address}/{status}"))
    assert caught.value.retry_after == wait


def test_a_server_that_does_not_answer_may_be_asked_again() -> None:
    with pytest.raises(SourceUnavailable, match=r"no answer from http://127\.0\.0\.1"):
        read_source(Source(name="fed", url=f"http://127.0.0.1:{free_port()}/events.csv"))


def test_an_address_that_leads_in_circles_is_refused(address: str) -> None:
    with pytest.raises(SourceRefused, match="cannot be read"):
        read_source(Source(name="fed", url=f"{address}/loop"))


def test_what_is_far_too_large_is_refused_from_either_place(tmp_path: Path, address: str) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for source in (Source(name="a", url=f"{address}/large"), Source(name="a", path=str(tmp_path / "large"))):
        with pytest.raises(SourceRefused, match="larger than 16 MiB"):
            read_source(source)


def test_what_may_be_secret_in_an_address_is_told_nobody(address: str) -> None:
    port = address.rpartition(":")[2]
    source = Source(name="fed", url=f"http://user:hunter2@127.0.0.1:{port}/404?token=hunter3")
    with pytest.raises(SourceRefused) as caught:
        read_source(source)
    assert "hunter" not in str(caught.value) + source.origin


@pytest.mark.parametrize(
    ("link", "export"),
    [
        ("/spreadsheets/d/1aB-c_/edit", "/spreadsheets/d/1aB-c_/export?format=csv"),
        ("/spreadsheets/u/1/d/1aB/edit", "/spreadsheets/d/1aB/export?format=csv"),
        ("/spreadsheets/d/1aB/edit?usp=sharing", "/spreadsheets/d/1aB/export?format=csv"),
        ("/spreadsheets/d/1aB/edit#gid=42", "/spreadsheets/d/1aB/export?format=csv&gid=42"),
        ("/spreadsheets/d/1aB/edit?gid=7#gid=7", "/spreadsheets/d/1aB/export?format=csv&gid=7"),
        ("/spreadsheets/d/e/2PACX-1v/pubhtml", "/spreadsheets/d/e/2PACX-1v/pub?output=csv"),
        ("/spreadsheets/d/e/2PACX-1v/pub?gid=3", "/spreadsheets/d/e/2PACX-1v/pub?output=csv&gid=3&single=true"),
        ("/spreadsheets/d/1aB/export?format=csv&gid=1", "/spreadsheets/d/1aB/export?format=csv&gid=1"),
    ],
)
def test_a_link_to_a_google_sheet_becomes_its_csv_export(link: str, export: str) -> None:
    assert csv_export_of(f"https://docs.google.com{link}") == f"https://docs.google.com{export}"
    assert csv_export_of(f"https://example.com{link}") == f"https://example.com{link}"


def test_a_sheet_is_read_as_csv_whatever_its_link_ends_with() -> None:
    assert Source(name="a", url="https://docs.google.com/spreadsheets/d/1aB/edit").kind == "csv"
    assert Source(name="a", url="https://example.com/calendar").kind == "auto"
    assert Source(name="a", url="https://example.com/calendar", form="ics").kind == "ics"


def test_the_documented_calendars_can_be_read_a_file_of_whole_days_without_a_zone_among_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "truth.md").read_text(encoding="utf-8")
    document = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    settings = CalendarSettings.model_validate(document["calendar"])
    told = [one.model_dump(mode="json", exclude_none=True) for one in settings.sources]
    sources = {one["name"]: Source(**one) for one in told}
    days = "BEGIN:VEVENT\nUID:1\nSUMMARY:Closed\nDTSTART;VALUE=DATE:20260703\nEND:VEVENT"
    content = {
        "macro": BODY.replace(b"Z", b""),
        "holidays": f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{days}\nEND:VCALENDAR\n".encode(),
    }
    assert set(sources) == set(content)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    found = {}
    for name, given in content.items():
        file = read_calendar(given, sources[name].dialect(at, horizon_days=400), form=sources[name].kind, name=name)
        assert file.refused == []
        [found[name]] = [f"{event.ts_start:%Y-%m-%dT%H:%M}" for event in file.events]
    assert found == {"macro": "2026-01-29T00:00", "holidays": "2026-07-03T04:00"}


def test_a_source_of_the_settings_is_read_as_they_say() -> None:
    setting = CalendarSource(
        name="fed",
        url="https://example.com/x",
        timezone="Europe/Berlin",
        severities={"Rot": "HIGH"},
        severity="HIGH",
        currency="EUR",
        known_days_before=3,
    )
    told = {name: value for name, value in setting.model_dump(mode="json").items() if value is not None}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert Source(**told).dialect(at, horizon_days=9) == Dialect(
        at=at,
        zone=ZoneInfo("Europe/Berlin"),
        severities={"rot": "HIGH"},
        severity="HIGH",
        currency="EUR",
        known_days_before=3,
        horizon=timedelta(days=9),
    )
    plain = Source(name="a", path="/x").dialect(at, horizon_days=400)
    assert plain == Dialect(at=at)
    assert set(CalendarSource.model_fields) == set(Source.model_fields)

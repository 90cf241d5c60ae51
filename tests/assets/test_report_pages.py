"""Rows and page of a report: both, or neither, whichever of them fails."""

import json
from pathlib import Path

import psycopg
import pytest

from assets.report_pages import keep
from backtest.report import Report, ReportUnwritable
from store.errors import ResearchRefused

REPORT = Report(html="<p>new</p>", json={"new": True}, name="one")


def counted(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM kept").fetchone()
    return 0 if row is None else int(row[0])


@pytest.fixture
def table(conn: psycopg.Connection) -> psycopg.Connection:
    """A connection with a table of its own."""
    conn.execute("CREATE TEMPORARY TABLE kept (name TEXT)")
    conn.commit()
    return conn


def test_rows_and_page_are_there_and_what_the_rows_told_comes_back(table: psycopg.Connection, tmp_path: Path) -> None:
    def written() -> bool:
        table.execute("INSERT INTO kept VALUES ('one')")
        assert not tmp_path.joinpath("a").exists()  # the page comes after the rows
        return False

    assert keep(table, REPORT, tmp_path / "a", of="one", rows=written) is False
    assert counted(table) == 1
    assert REPORT.page(tmp_path / "a").read_text() == "<p>new</p>"


def test_a_page_that_cannot_be_written_takes_its_rows_back(table: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportUnwritable):
        keep(
            table,
            REPORT,
            tmp_path / "file",
            of="one",
            rows=lambda: bool(table.execute("INSERT INTO kept VALUES ('one')").rowcount),
        )
    assert counted(table) == 0


def test_rows_that_are_refused_leave_the_page_as_it_was(table: psycopg.Connection, tmp_path: Path) -> None:
    def refused() -> bool:
        msg = "another result stands there"
        raise ResearchRefused(msg)

    REPORT.page(tmp_path).write_text("as it was")
    with pytest.raises(ResearchRefused):
        keep(table, REPORT, tmp_path, of="one", rows=refused)
    assert [path.name for path in tmp_path.iterdir()] == ["one.html"]
    assert REPORT.page(tmp_path).read_text() == "as it was"


def page(text: str, *, markets: int | None) -> Report:
    """A page of a result that was held against so many surrogate markets; None = against none."""
    return Report(html=text, json={"null": None if markets is None else {"surrogates": [0.0] * markets}})


def put(conn: psycopg.Connection, report: Report, folder: Path, *, new: bool) -> str:
    """Keep a page; what stands there then."""
    keep(conn, report, folder, of="one", rows=lambda: new)
    return report.page(folder).read_text()


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [(100, None, "first"), (100, 99, "first"), (100, 100, "second"), (None, 100, "second"), (None, None, "second")],
)
def test_a_page_that_was_held_against_more_markets_stays(
    conn: psycopg.Connection, tmp_path: Path, first: int | None, second: int | None, shown: str
) -> None:
    assert put(conn, page("first", markets=first), tmp_path, new=True) == "first"
    assert put(conn, page("second", markets=second), tmp_path, new=False) == shown


@pytest.mark.parametrize("numbers", ["", "[]", "{}", '{"null": null}'])
def test_a_page_whose_numbers_cannot_be_read_is_replaced(
    conn: psycopg.Connection, tmp_path: Path, numbers: str
) -> None:
    (tmp_path / "report.json").write_text(numbers)
    assert put(conn, page("again", markets=None), tmp_path, new=False) == "again"
    assert json.loads((tmp_path / "report.json").read_text()) == {"null": None}


def test_the_page_of_a_new_run_replaces_whatever_stood_there(conn: psycopg.Connection, tmp_path: Path) -> None:
    put(conn, page("of a run that was rolled back", markets=100), tmp_path, new=True)
    assert put(conn, page("new", markets=None), tmp_path, new=True) == "new"

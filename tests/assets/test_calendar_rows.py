import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.calendar_rows import CalendarRejected, csv_rows, json_rows, kind_of, storable

anything = st.text(st.characters(exclude_categories=()), max_size=20)  # halves of surrogate pairs among them


def test_a_row_of_csv_has_its_line_its_text_and_its_fields_by_our_names() -> None:
    [row, wide] = csv_rows('Event,Start Date,Impact\n"a\nb",2026-01-15,\nx,2026-01-16,High,more\n', "fed.csv")
    assert (row.line, row.payload, row.values) == (2, '"a\nb",2026-01-15,', {"title": "a\nb", "date": "2026-01-15"})
    assert (wide.line, wide.values) == (4, {})


def test_an_entry_of_json_has_its_number_and_whole_numbers_are_written_as_such() -> None:
    entries = json.dumps([{"summary": "a", "impact": 3.0, "id": 7}, {"summary": "b", "impact": 2.5}, 5])
    rows = list(json_rows(entries, "fed.json"))
    assert [row.values for row in rows] == [
        {"title": "a", "severity": "3", "uid": "7"},
        {"title": "b", "severity": "2.5"},
        {},
    ]
    assert [row.line for row in rows] == [1, 2, 3]


def test_json_that_is_nested_without_end_is_rejected_by_name() -> None:
    with pytest.raises(CalendarRejected, match=r"fed\.json is nested deeper.*what is stored stays"):
        list(json_rows('{"events":' + "[" * 200_000, "fed.json"))


def test_the_kind_of_a_file_is_told_from_its_beginning_before_its_name() -> None:
    assert kind_of("BEGIN:VCALENDAR\n", "x.csv") == "ics"
    assert kind_of(" [1]", "x") == "json"
    assert kind_of("title,start\n", "x.json") == "json"
    assert kind_of("title,start\n", "x") == "csv"
    with pytest.raises(CalendarRejected, match="a page for people"):
        kind_of("<html>", "x.csv")


@given(anything)
def test_any_text_becomes_one_that_can_be_stored_and_one_that_can_stays_as_it_is(text: str) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    assert kept.encode().decode() == kept
    assert storable(kept) == kept
    if "\x00" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text):
        assert kept == text

from bots.quarantine import MAX_DETAIL, Quarantine, tidy
from contracts import to_us
from tests.bots.fakes import KEY, known


def test_a_span_holds_its_first_bar_and_not_its_last() -> None:
    span = Quarantine("a", KEY, known(3), known(5), "LATE", "", "v")
    assert [span.holds(to_us(known(place))) for place in range(2, 7)] == [False, True, True, False, False]


def test_an_open_span_holds_everything_from_its_first_bar_on() -> None:
    span = Quarantine("a", KEY, known(3), None, "LATE", "", "v")
    assert [span.holds(to_us(known(place))) for place in (2, 3, 9_999)] == [False, True, True]


def test_a_detail_is_text_that_any_column_can_hold() -> None:
    assert Quarantine("a", KEY, known(0), None, "RAISED", "a\0b\ud800c", "v").detail == "a\\0b\\ud800c"


def test_a_long_detail_keeps_its_beginning_and_its_end() -> None:
    text = tidy("BEGIN" + "x" * 100_000 + "END")
    assert len(text) == MAX_DETAIL
    assert text.startswith("BEGIN")
    assert text.endswith("END")
    assert "[…]" in text

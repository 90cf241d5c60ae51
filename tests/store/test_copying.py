from decimal import Decimal

import polars as pl
import psycopg
import pytest

from store.copying import copy_shortest
from store.errors import FrameRejected


@pytest.fixture
def table(conn: psycopg.Connection) -> tuple[str]:
    conn.execute("CREATE TEMPORARY TABLE landing (price numeric, text text, many float8[], at int)")
    return ("landing",)


def test_a_float_becomes_the_decimal_it_was_without_trailing_zeros(conn: psycopg.Connection, table: tuple[str]) -> None:
    expected = {
        41000.0: "41000",
        41000.5: "41000.5",
        0.1: "0.1",
        1e-8: "0.00000001",
        123456789.12345679: "123456789.12345679",  # 17 digits: a float8 cast would keep 15
        1e16: "10000000000000000",
        1e-30: "0." + "0" * 29 + "1",
    }
    copy_shortest(conn, table, pl.DataFrame({"price": [None, *expected], "at": range(len(expected) + 1)}))
    stored = conn.execute("SELECT price::text FROM landing ORDER BY at").fetchall()
    assert stored == [(None,), *((text,) for text in expected.values())]


def test_texts_and_lists_may_hold_anything(conn: psycopg.Connection, table: tuple[str]) -> None:
    texts = ["tab\t", "line\nfeed\r", "\\N", "\\", "\\t", "plain", "", None]
    lists = [[0.1, 2.0], [], [1e300], [-0.0], [5e-324], [1.0], [2.0], [3.0]]
    copy_shortest(conn, table, pl.DataFrame({"text": texts, "many": lists, "at": range(8)}))
    stored = conn.execute("SELECT text, many FROM landing ORDER BY at").fetchall()
    assert stored == list(zip(texts, lists, strict=True))


@pytest.mark.parametrize(
    ("frame", "story"),
    [
        (pl.DataFrame({"price": [1.0, float("nan")]}), "'price' of landing holds nan in row 1"),
        (pl.DataFrame({"price": [float("-inf")]}), "'price' of landing holds -inf in row 0"),
        (pl.DataFrame({"many": [[1.0], [2.0, float("inf")]]}), r"'many' of landing holds \[2\.0, inf\] in row 1"),
    ],
)
def test_a_number_that_is_not_finite_is_refused(
    conn: psycopg.Connection, table: tuple[str], frame: pl.DataFrame, story: str
) -> None:
    with pytest.raises(FrameRejected, match=story):
        copy_shortest(conn, table, frame)
    assert conn.execute("SELECT count(*) FROM landing").fetchone() == (0,)


def test_no_rows_are_no_work(conn: psycopg.Connection, table: tuple[str]) -> None:
    schema = {"price": pl.Float64(), "text": pl.String(), "many": pl.List(pl.Float64())}
    copy_shortest(conn, table, pl.DataFrame(schema=schema))
    assert conn.execute("SELECT count(*), sum(price) FROM landing").fetchone() == (0, None)
    copy_shortest(conn, table, pl.DataFrame({"price": [2.5]}))
    assert conn.execute("SELECT price FROM landing").fetchall() == [(Decimal("2.5"),)]

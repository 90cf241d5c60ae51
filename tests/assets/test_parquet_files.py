import hashlib
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.parquet_files import EXACT, ParquetFile, exact, sha256_of
from contracts import DataRejected

decimals = st.builds(
    lambda whole, part: f"{whole}.{part}" if part else str(whole),
    st.integers(0, 10**20 - 1),
    st.text("0123456789", max_size=18),
)


@given(st.lists(decimals, min_size=1, max_size=20))
def test_every_decimal_of_eighteen_places_reads_back_as_the_number_it_was(texts: list[str]) -> None:
    frame = exact(pl.DataFrame({"price": texts}), ["price"])
    assert frame.schema["price"] == EXACT
    assert frame["price"].to_list() == [Decimal(text) for text in texts]


def test_a_value_that_would_be_rounded_is_refused_by_name() -> None:
    with pytest.raises(DataRejected, match=r"'price' holds 1\.0000000000000000001"):
        exact(pl.DataFrame({"price": ["1.5", "1.0000000000000000001"]}), ["price"])
    kept = exact(pl.DataFrame({"price": ["1.0000000000000000010"]}), ["price"])
    assert kept["price"].to_list() == [Decimal("1.000000000000000001")]


def test_words_become_text_and_unknown_values_stay_unknown() -> None:
    kind = pl.Enum(["OB", "FVG"])
    frame = exact(pl.DataFrame({"kind": pl.Series(["OB", None], dtype=kind), "mark": ["1", None]}), ["mark"])
    assert frame.schema == pl.Schema({"kind": pl.String(), "mark": EXACT})
    assert frame.rows() == [("OB", Decimal(1)), (None, None)]


def test_pieces_become_row_groups_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with ParquetFile(path) as file:
        for start in (0, 3):
            file.write(pl.DataFrame({"n": range(start, start + 3), "x": [0.1] * 3}))
    assert file.rows == 6
    stored = pq.ParquetFile(path)
    assert (stored.num_row_groups, stored.metadata.num_rows) == (2, 6)
    stored.close()
    assert pl.read_parquet(path)["n"].to_list() == list(range(6))
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from venues.simulator.barfile import FileMarket, read_bars
from venues.simulator.bars import Col, block_of
from venues.simulator.market import BarsRejected

T0 = int(datetime(2022, 1, 1, tzinfo=UTC).timestamp())
HEADER = "open_time,open,high,low,close,volume\n"


def write(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_decimal_text_is_kept_exactly_in_the_finest_step_that_occurs(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}2022-01-01T00:00:00Z,46319.0,46385.25,46319,46377.5,218102.59507500002\n")
    file = read_bars(path)
    assert (file.price_decimals, file.volume_decimals) == (2, 11)
    assert file.bars[Col.OPEN].tolist() == [4_631_900]
    assert file.bars[Col.HIGH].tolist() == [4_638_525]
    assert Decimal(int(file.bars[Col.VOLUME][0])).scaleb(-11) == Decimal("218102.59507500002")


@pytest.mark.parametrize(
    "stamp",
    ["2022-01-01T00:00:00Z", "2022-01-01 00:00:00", "2022-01-01T00:00:00+00:00", str(T0), f"{T0}000", f"{T0}000000"],
)
def test_iso_and_epoch_times_of_any_unit_mean_the_same(tmp_path: Path, stamp: str) -> None:
    file = read_bars(write(tmp_path, f"{HEADER}{stamp},1,2,1,2,3\n"))
    assert file.bars[Col.OPEN_MS].tolist() == [T0 * 1000]


def test_csv_gzipped_csv_and_parquet_hold_the_same_market(tmp_path: Path) -> None:
    text = f"{HEADER}{T0},1.5,2.5,1.5,2.0,3.25\n{T0 + 60},2.0,2.0,0.5,1.0,4.0\n"
    plain = read_bars(write(tmp_path, text))
    zipped = tmp_path / "bars.csv.gz"
    zipped.write_bytes(gzip.compress(text.encode()))
    parquet = tmp_path / "bars.parquet"
    frame = pl.read_csv(text.encode())
    assert frame["open"].dtype == pl.Float64
    frame.write_parquet(parquet)
    for path in (zipped, parquet):
        other = read_bars(path)
        assert other.bars.cells.tolist() == plain.bars.cells.tolist()
        assert other.volume_decimals == plain.volume_decimals == 2


def test_absent_columns_are_derived_by_the_documented_formulas(tmp_path: Path) -> None:
    file = read_bars(write(tmp_path, f"{HEADER}{T0},10,14,8,12,16.0\n{T0 + 60},5,5,5,5,0.0\n"))
    bars = file.bars
    # 16 × (10+14+8+12)/4 = 176; taker share 1/2 + 2/(4·6) = 7/12 of 160 tenths = 93 (rounded down); 1 + √16 = 5
    assert bars[Col.QUOTE].tolist() == [1760, 0]
    assert file.quote_decimals == 1
    assert bars[Col.TAKER_BASE].tolist() == [93, 0]
    assert bars[Col.TAKER_QUOTE].tolist() == [44 * 93 // 4, 0]
    assert bars[Col.TRADES].tolist() == [5, 0]


def test_a_minute_missing_in_the_file_is_missing_in_the_market(tmp_path: Path) -> None:
    file = read_bars(write(tmp_path, f"{HEADER}{T0},1,1,1,1,1\n{T0 + 120},1,1,1,1,1\n"))
    market = FileMarket(file, "BTCUSDT")
    opens = market.minutes("BTCUSDT", block_of(T0 * 1000))[Col.OPEN_MS]
    assert opens.tolist() == [T0 * 1000, (T0 + 120) * 1000]
    assert market.symbols["BTCUSDT"].end_ms == (T0 + 180) * 1000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("open_time,open,high,low,close\n0,1,1,1,1\n", "lacks the column.*volume"),
        (HEADER, "holds no rows"),
        (f"{HEADER}yesterday,1,1,1,1,1\n", "neither ISO 8601 nor epoch"),
        (f"{HEADER}{T0 + 1},1,1,1,1,1\n", "not on the minute"),
        (f"{HEADER}{T0 + 60},1,1,1,1,1\n{T0},1,1,1,1,1\n", "row 2.*sort the file"),
        (f"{HEADER}{T0},1,1,1,1,1\n{T0},1,1,1,1,1\n", "row 2.*sort the file"),
        (f"{HEADER}{T0},3,2,1,1,1\n", "open lies outside"),
        (f"{HEADER}{T0},0,2,0,1,1\n", "positive"),
        (f"{HEADER}{T0},1,1,1,1,-1\n", "row 1: volume is '-1'"),
        (f"{HEADER}{T0},1,1,1,1,1e3\n", "volume is '1e3'"),
        (f"{HEADER}{T0},1,1,1,,1\n", "close is None"),
    ],
)
def test_a_file_that_is_no_ascending_1m_bars_is_rejected_with_place_and_reason(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(BarsRejected, match=told) as caught:
        read_bars(write(tmp_path, text))
    assert "bars.csv" in str(caught.value)


def test_an_absent_file_and_an_unknown_ending_are_named(tmp_path: Path) -> None:
    with pytest.raises(BarsRejected, match=r"nowhere\.csv does not exist"):
        read_bars(tmp_path / "nowhere.csv")
    with pytest.raises(BarsRejected, match=r"unknown ending: use \.csv"):
        read_bars(write(tmp_path, HEADER, "bars.xlsx"))
    with pytest.raises(BarsRejected, match="cannot be read"):
        read_bars(write(tmp_path, "no parquet", "bars.parquet"))

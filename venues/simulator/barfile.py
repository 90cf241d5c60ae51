"""A market made of a file of 1m bars (`--bars`): csv, csv.gz or parquet.

Columns `open_time,open,high,low,close,volume`; optionally `trades` (or `count`), `quote_volume` (`quote_vol`),
`taker_buy_volume` (`taker_buy_vol`) and `taker_buy_quote_volume`. Times are ISO 8601 (UTC where no offset is given),
timestamps, or epoch seconds, ms or µs, told apart by magnitude. Decimal text is read as text and stays equal in value;
minutes that are not in the file are holes of the exchange. Absent columns are derived by fixed integer formulas:
quote volume = volume × (open+high+low+close)/4, taker share = 1/2 + (close−open)/(4·(high−low)),
trades = 1 + ⌊√volume⌋.

    market = FileMarket(read_bars(Path("bars.csv.gz")), "BTCUSDT")
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from venues.simulator.bars import MINUTE_MS, Bars, Col, Matrix, block_start
from venues.simulator.market import BarsRejected, SymbolRules, split_symbol

MAX_DECIMALS = 16
# The exchange itself never writes more for a quote volume; derived ones stop there.
MAX_QUOTE_DECIMALS = 8
REQUIRED = ("open_time", "open", "high", "low", "close", "volume")
ALIASES = {
    "trades": ("trades", "count"),
    "quote": ("quote_volume", "quote_vol"),
    "taker_base": ("taker_buy_volume", "taker_buy_vol"),
    "taker_quote": ("taker_buy_quote_volume", "taker_buy_quote_vol"),
}
# What a minute may hold so that a day of such minutes, and the arithmetic on the way, stays inside int64.
_MINUTE_LIMIT = 2**61 // 1440


@dataclass(frozen=True, slots=True)
class BarFile:
    """Bars of a file with the number of decimals each kind is counted in."""

    bars: Bars
    price_decimals: int
    volume_decimals: int
    quote_decimals: int


class FileMarket:
    """One symbol whose bars come from a file."""

    def __init__(self, file: BarFile, symbol: str) -> None:
        base, quote = split_symbol(symbol)
        opens = file.bars[Col.OPEN_MS]
        self._bars = file.bars
        self.symbols = {
            symbol: SymbolRules(
                symbol=symbol,
                base=base,
                quote=quote,
                price_decimals=file.price_decimals,
                volume_decimals=file.volume_decimals,
                quote_decimals=file.quote_decimals,
                first_ms=int(opens[0]),
                end_ms=int(opens[-1]) + MINUTE_MS,
            )
        }

    def minutes(self, symbol: str, block: int) -> Bars:
        """The file's bars that open in this block."""
        del symbol
        return self._bars.window(block_start(block), block_start(block + 1))


def read_bars(path: Path) -> BarFile:
    """Read and check a file of 1m bars.

    Raises:
        BarsRejected: The file is absent, unreadable, lacks a column, or its rows are no ascending 1m bars.
    """
    frame = _frame(path)
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        msg = f"bars file {path} lacks the column(s) {', '.join(missing)}; it has {', '.join(frame.columns)}"
        raise BarsRejected(msg)
    if frame.is_empty():
        msg = f"bars file {path} holds no rows"
        raise BarsRejected(msg)
    open_ms = _times(frame["open_time"], path)
    prices, price_decimals = _decimals(frame, ("open", "high", "low", "close"), path)
    volumes, volume_decimals = _decimals(frame, _present(frame, ("volume", *ALIASES["taker_base"])), path)
    _check(path, open_ms, prices)
    # Volumes that carry the noise of somebody's floats (218102.59507500002) outgrow int64 in the sum of a day; then,
    # and only then, the cells are Python integers: slower, still exact.
    wide = int(volumes["volume"].max()) >= _MINUTE_LIMIT
    cells: Matrix = np.empty((len(Col), len(open_ms)), dtype=object if wide else np.int64)
    cells[Col.OPEN_MS] = open_ms
    for name, column in (("open", Col.OPEN), ("high", Col.HIGH), ("low", Col.LOW), ("close", Col.CLOSE)):
        cells[column] = prices[name]
    cells[Col.VOLUME] = volumes["volume"]
    cells[Col.TAKER_BASE] = _taker(cells, volumes)
    cells[Col.TRADES] = _trades(frame, cells, volume_decimals, path)
    quote_decimals = _quotes(frame, cells, price_decimals + volume_decimals, path)
    return BarFile(Bars(cells), price_decimals, volume_decimals, quote_decimals)


def _frame(path: Path) -> pl.DataFrame:
    if not path.is_file():
        msg = f"bars file {path} does not exist"
        raise BarsRejected(msg)
    try:
        if path.name.endswith((".csv", ".csv.gz")):
            return pl.read_csv(path, infer_schema=False)  # text stays text: no price passes through a float
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        msg = f"bars file {path} cannot be read: {error}"
        raise BarsRejected(msg) from error
    msg = f"bars file {path} has an unknown ending: use .csv, .csv.gz or .parquet"
    raise BarsRejected(msg)


def _times(column: pl.Series, path: Path) -> Matrix:
    try:
        if column.dtype == pl.String and not column.str.contains(r"^[0-9]+$").all():
            # Without an offset the text is taken as UTC, which is what the exchange writes.
            text = column.str.replace(r"(Z|\+00:?00)$", "")
            stamps = text.str.replace(" ", "T").str.to_datetime(time_unit="ms", time_zone="UTC", strict=True)
            return stamps.dt.epoch("ms").to_numpy().astype(np.int64)
        if isinstance(column.dtype, pl.Datetime):
            return column.dt.epoch("ms").to_numpy().astype(np.int64)
        epoch = column.cast(pl.Int64, strict=True).to_numpy().astype(np.int64)
    except pl.exceptions.PolarsError as error:
        msg = f"bars file {path}: open_time is neither ISO 8601 nor epoch time: {error}"
        raise BarsRejected(msg) from error
    largest = int(epoch.max())
    if largest >= 10**15:
        return epoch // 1000
    return epoch if largest >= 10**11 else epoch * 1000


def _plain(value: float) -> str:
    return format(Decimal(repr(value)), "f")


def _text(column: pl.Series) -> pl.Series:
    if column.dtype.is_float():
        return column.map_elements(_plain, return_dtype=pl.String)
    return column.cast(pl.String)


def _present(frame: pl.DataFrame, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in frame.columns)


def _decimals(frame: pl.DataFrame, names: tuple[str, ...], path: Path) -> tuple[dict[str, Matrix], int]:
    """Integers of the finest step used in any of these columns, and that step's number of decimals."""
    texts = {name: _text(frame[name]) for name in names}
    for name, text in texts.items():
        legal = text.str.contains(rf"^[0-9]{{1,15}}(\.[0-9]{{1,{MAX_DECIMALS}}})?$").fill_null(value=False)
        if not legal.all():
            row = int((~legal).arg_max() or 0)
            msg = (
                f"bars file {path}, row {row + 1}: {name} is {text[row]!r}; a plain decimal with at most "
                f"{MAX_DECIMALS} decimals is needed"
            )
            raise BarsRejected(msg)
    split = {name: text.str.split_exact(".", 1).struct.unnest() for name, text in texts.items()}
    lengths = [parts["field_1"].str.len_chars().max() for parts in split.values()]
    decimals = max((int(str(length)) for length in lengths if length is not None), default=0)
    return {name: _units(parts, decimals) for name, parts in split.items()}, decimals


def _units(parts: pl.DataFrame, decimals: int) -> Matrix:
    fraction = parts["field_1"].fill_null("").str.pad_end(decimals, "0")
    digits = parts["field_0"] + fraction
    if int(str(digits.str.strip_chars_start("0").str.len_chars().max())) <= 18:
        return np.asarray(digits.cast(pl.Int64, strict=True).to_numpy(), dtype=np.int64)
    return np.array([int(text) for text in digits], dtype=object)


def _check(path: Path, open_ms: Matrix, prices: dict[str, Matrix]) -> None:
    def refuse(bad: np.ndarray[Any, np.dtype[np.bool_]], what: str) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            stamp = np.datetime64(int(open_ms[row]), "ms")
            msg = f"bars file {path}, row {row + 1} ({stamp}Z): {what}"
            raise BarsRejected(msg)

    refuse(open_ms % MINUTE_MS != 0, "open_time is not on the minute")
    refuse(np.diff(open_ms, prepend=open_ms[0] - 1) <= 0, "open_time does not come after the row before; sort the file")
    high, low = prices["high"], prices["low"]
    refuse(low <= 0, "prices must be positive")
    for name in ("open", "close"):
        refuse((prices[name] > high) | (prices[name] < low), f"{name} lies outside [low, high]")
    refuse(low > high, "low lies above high")


def _taker(cells: Matrix, volumes: dict[str, Matrix]) -> Matrix:
    for name in ALIASES["taker_base"]:
        if name in volumes:
            return volumes[name]
    # Python integers: volume × price difference may leave int64 on the way.
    span = (cells[Col.HIGH] - cells[Col.LOW]).astype(object)
    lean = 2 * span + (cells[Col.CLOSE] - cells[Col.OPEN])
    flat = span == 0
    taker = cells[Col.VOLUME] * np.where(flat, 1, lean) // np.where(flat, 2, 4 * span)
    return np.asarray(taker, dtype=cells.dtype)


def _trades(frame: pl.DataFrame, cells: Matrix, volume_decimals: int, path: Path) -> Matrix:
    for name in _present(frame, ALIASES["trades"]):
        return _whole(frame[name], path)
    volume = cells[Col.VOLUME].astype(np.float64)
    derived = 1 + np.floor(np.sqrt(volume / 10**volume_decimals)).astype(np.int64)
    return np.where(volume > 0, derived, 0)


def _whole(column: pl.Series, path: Path) -> Matrix:
    try:
        return np.asarray(column.cast(pl.Int64, strict=True).to_numpy(), dtype=np.int64)
    except pl.exceptions.PolarsError as error:
        msg = f"bars file {path}: {column.name} must be whole numbers: {error}"
        raise BarsRejected(msg) from error


def _quotes(frame: pl.DataFrame, cells: Matrix, decimals: int, path: Path) -> int:
    """Fill both quote volumes; returns the number of decimals they are counted in."""
    given = [name for kind in ("quote", "taker_quote") for name in _present(frame, ALIASES[kind])]
    if len(given) == 2:
        units, decimals = _decimals(frame, tuple(given), path)
        cells[Col.QUOTE], cells[Col.TAKER_QUOTE] = units[given[0]], units[given[1]]
        return decimals
    # Python integers: price × volume of a contract counted in dollars leaves int64.
    total = cells[Col.OPEN : Col.VOLUME].sum(axis=0).astype(object)
    quote, taker = total * cells[Col.VOLUME] // 4, total * cells[Col.TAKER_BASE] // 4
    if given and given[0] in ALIASES["quote"]:
        units, own = _decimals(frame, (given[0],), path)
        share = taker * 10 ** max(0, own - decimals) // 10 ** max(0, decimals - own)
        cells[Col.QUOTE], cells[Col.TAKER_QUOTE] = units[given[0]], np.minimum(share, units[given[0]])
        return own
    while decimals > 0 and (decimals > MAX_QUOTE_DECIMALS or int(quote.max()) >= _MINUTE_LIMIT):
        quote, taker, decimals = quote // 10, taker // 10, decimals - 1
    if int(quote.max()) >= _MINUTE_LIMIT:
        msg = f"bars file {path}: price × volume exceeds what a bar can hold; scale the volume down"
        raise BarsRejected(msg)
    cells[Col.QUOTE], cells[Col.TAKER_QUOTE] = quote, taker
    return decimals

"""Bars as the exchange writes them: klines rows, archive csv and WebSocket events (binance-api §2.3, §3.1, §11).

Numbers are placed from integers into text; no float is involved. Spot pads to 8 decimals, USD-M writes the decimals of
the symbol's step. Close time is the last unit inside the bar: …999 in milliseconds, …999999 in microseconds.

    klines_json(bars, rules, SPOT, tf)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from venues.simulator.bars import MINUTE_MS, ORIGIN_MS, Bars, Col, Matrix, duration_ms

if TYPE_CHECKING:
    from contracts import Timeframe
    from venues.simulator.market import SymbolRules
    from venues.simulator.profiles import VenueProfile

HEADER = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
# Trade ids: room for a million trades a minute, counted from the first minute the exchange knows.
_IDS_PER_MINUTE = 1_000_000


def place(value: int, decimals: int, shown: int) -> str:
    """Decimal text of `value` · 10^−decimals, written with `shown` ≥ `decimals` decimals."""
    if shown == 0:
        return str(value)
    digits = str(value).zfill(decimals + 1)
    cut = len(digits) - decimals
    return f"{digits[:cut]}.{digits[cut:]}{'0' * (shown - decimals)}"


def _column(values: Matrix, decimals: int, shown: int) -> pl.Series:
    """`place` for a whole column."""
    wide = values.dtype == object
    digits = pl.Series([str(value) for value in values]) if wide else pl.Series(values).cast(pl.String)
    if shown == 0:
        return digits
    digits = digits.str.zfill(decimals + 1)
    frame = pl.DataFrame({"digits": digits})
    whole = pl.col("digits").str.head(-decimals) if decimals else pl.col("digits")
    fraction = pl.col("digits").str.tail(decimals) if decimals else pl.lit("")
    padding = "0" * (shown - decimals)
    return frame.select(text=pl.concat_str(whole, pl.lit("."), fraction, pl.lit(padding)))["text"]


def table(
    bars: Bars, rules: SymbolRules, venue: VenueProfile, tf: Timeframe, *, microseconds: bool = False
) -> pl.DataFrame:
    """The twelve columns of a klines row: times and count as integers, everything else as text."""
    unit = 1000 if microseconds else 1
    opens = bars[Col.OPEN_MS].astype(np.int64) * unit

    def text(column: Col, decimals: int) -> pl.Series:
        return _column(bars[column], decimals, venue.shown(decimals))

    price, volume, quote = rules.price_decimals, rules.volume_decimals, rules.quote_decimals
    columns = (
        pl.Series(opens),
        text(Col.OPEN, price),
        text(Col.HIGH, price),
        text(Col.LOW, price),
        text(Col.CLOSE, price),
        text(Col.VOLUME, volume),
        pl.Series(opens + duration_ms(tf) * unit - 1),
        text(Col.QUOTE, quote),
        pl.Series(bars[Col.TRADES].astype(np.int64)),
        text(Col.TAKER_BASE, volume),
        text(Col.TAKER_QUOTE, quote),
        pl.Series(np.full(len(bars), "0")),
    )
    return pl.DataFrame(dict(zip(HEADER, columns, strict=True)))


def klines_json(
    bars: Bars, rules: SymbolRules, venue: VenueProfile, tf: Timeframe, *, microseconds: bool = False
) -> bytes:
    """The body of a klines answer."""
    rows = table(bars, rules, venue, tf, microseconds=microseconds).rows()
    return json.dumps(rows, separators=(",", ":")).encode()


def archive_csv(bars: Bars, rules: SymbolRules, venue: VenueProfile, tf: Timeframe, *, microseconds: bool) -> bytes:
    """The csv inside an archive zip: USD-M with a header, spot without."""
    frame = table(bars, rules, venue, tf, microseconds=microseconds)
    header = venue.name == "usdm"
    return frame.write_csv(include_header=header, quote_style="never").encode()


def kline_event(
    bar: Matrix,
    rules: SymbolRules,
    venue: VenueProfile,
    tf: Timeframe,
    *,
    event_ms: int,
    closed: bool,
    microseconds: bool = False,
) -> dict[str, Any]:
    """One kline event. `bar` is one column of `Bars.cells`."""
    unit = 1000 if microseconds else 1
    open_ms, trades = int(bar[Col.OPEN_MS]), int(bar[Col.TRADES])
    first_id = (open_ms - ORIGIN_MS) // MINUTE_MS * _IDS_PER_MINUTE

    def text(column: Col, decimals: int) -> str:
        return place(int(bar[column]), decimals, venue.shown(decimals))

    price, volume, quote = rules.price_decimals, rules.volume_decimals, rules.quote_decimals
    kline = {
        "t": open_ms * unit,
        "T": (open_ms + duration_ms(tf)) * unit - 1,
        "s": rules.symbol,
        "i": str(tf),
        "f": first_id if trades else -1,
        "L": first_id + trades - 1 if trades else -1,
        "o": text(Col.OPEN, price),
        "c": text(Col.CLOSE, price),
        "h": text(Col.HIGH, price),
        "l": text(Col.LOW, price),
        "v": text(Col.VOLUME, volume),
        "n": trades,
        "x": closed,
        "q": text(Col.QUOTE, quote),
        "V": text(Col.TAKER_BASE, volume),
        "Q": text(Col.TAKER_QUOTE, quote),
        "B": "0",
    }
    return {"e": "kline", "E": event_ms * unit, "s": rules.symbol, "k": kline}

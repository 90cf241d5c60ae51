import pytest

from contracts import InstrumentKey, SeriesKey, Timeframe


def test_a_series_key_reads_back_from_its_text() -> None:
    key = SeriesKey("binance_usdm", "BTCUSDT", "15m")
    assert str(key) == "binance_usdm:BTCUSDT:15m"
    assert SeriesKey.parse(str(key)) == key
    assert key.tf is Timeframe.M15


def test_an_instrument_key_names_its_series() -> None:
    instrument = InstrumentKey.parse("binance_spot:ETHUSDT")
    assert instrument.series("1h") == SeriesKey("binance_spot", "ETHUSDT", Timeframe.H1)
    assert instrument.series("1h").instrument == instrument


def test_series_of_one_instrument_sort_by_duration() -> None:
    keys = [SeriesKey("binance_spot", "BTCUSDT", tf) for tf in ("1d", "15m", "1h", "1m")]
    assert [str(key.tf) for key in sorted(keys)] == ["1m", "15m", "1h", "1d"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("binance_spot:BTCUSDT", "reads venue:symbol:tf"),
        ("kraken:BTCUSDT:1m", "unknown venue 'kraken'"),
        ("binance_spot:btcusdt:1m", "is no symbol"),
        ("binance_spot:BTC USDT:1m", "is no symbol"),
        ("binance_spot:BTCUSDT:2m", "unknown timeframe '2m'"),
    ],
)
def test_a_text_that_is_no_series_key_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SeriesKey.parse(text)


def test_a_key_cannot_be_changed_and_serves_as_a_dictionary_key() -> None:
    key = SeriesKey("binance_spot", "BTCUSDT", "1m")
    with pytest.raises(AttributeError):
        key.symbol = "ETHUSDT"  # type: ignore[misc]
    assert {key: 1}[SeriesKey.parse("binance_spot:BTCUSDT:1m")] == 1

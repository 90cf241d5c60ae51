from __future__ import annotations

import numpy as np
import pytest

from venues.simulator.bars import BLOCK_MS, DAY_MS, MINUTE_MS, ORIGIN_MS, Col, block_of
from venues.simulator.generator import BLOCK_MINUTES, HORIZON_MS, SeededMarket
from venues.simulator.market import UnknownSymbol

BLOCK = 375  # in March 2025


def market(seed: int = 7, symbols: tuple[str, ...] = ("BTCUSDT",), **life: int) -> SeededMarket:
    return SeededMarket(seed, symbols, **{"first_ms": ORIGIN_MS, **life})


def test_a_bar_is_the_same_whatever_was_asked_before_and_whoever_else_is_listed() -> None:
    alone = market()
    beside = market(symbols=("ETHUSDT", "BTCUSDT", "DOGEUSDT"))
    for block in (BLOCK + 1, BLOCK - 5):
        beside.minutes("BTCUSDT", block)
        beside.minutes("ETHUSDT", block)
    assert alone.minutes("BTCUSDT", BLOCK).cells.tolist() == beside.minutes("BTCUSDT", BLOCK).cells.tolist()


def test_listing_and_end_cut_the_path_without_changing_it() -> None:
    first, end = ORIGIN_MS + BLOCK * BLOCK_MS + 5 * DAY_MS, ORIGIN_MS + BLOCK * BLOCK_MS + 6 * DAY_MS
    cut = market(first_ms=first, end_ms=end).minutes("BTCUSDT", BLOCK)
    whole = market().minutes("BTCUSDT", BLOCK).window(first, end)
    assert len(whole) > 1000
    assert cut.cells.tolist() == whole.cells.tolist()


def test_every_seed_is_another_market() -> None:
    one, other = market(1).minutes("BTCUSDT", BLOCK), market(2).minutes("BTCUSDT", BLOCK)
    assert one[Col.CLOSE].tolist() != other[Col.CLOSE].tolist()


def test_bars_are_legal_on_the_grid_and_positive() -> None:
    bars = market(symbols=("XRPUSDT",)).minutes("XRPUSDT", BLOCK)
    body = np.stack([bars[Col.OPEN], bars[Col.CLOSE]])
    assert (bars[Col.LOW] > 0).all()
    assert (bars[Col.LOW] <= body.min(axis=0)).all()
    assert (bars[Col.HIGH] >= body.max(axis=0)).all()
    assert (bars[Col.OPEN_MS] % MINUTE_MS == 0).all()
    assert (np.diff(bars[Col.OPEN_MS]) > 0).all()
    assert (bars[Col.VOLUME] > 0).all()
    assert (bars[Col.TAKER_BASE] >= 0).all()
    assert (bars[Col.TAKER_BASE] <= bars[Col.VOLUME]).all()
    assert (bars[Col.TAKER_QUOTE] <= bars[Col.QUOTE]).all()


def test_the_path_is_continuous_across_blocks() -> None:
    both = market()
    last, first = both.minutes("BTCUSDT", BLOCK), both.minutes("BTCUSDT", BLOCK + 1)
    jump = abs(int(first[Col.OPEN][0]) / int(last[Col.CLOSE][-1]) - 1)
    assert jump < 0.01


def test_an_outage_hits_all_symbols_at_the_same_minutes() -> None:
    both = market(symbols=("BTCUSDT", "ETHUSDT"))
    missing = 0
    for block in range(BLOCK, BLOCK + 24):
        one, other = both.minutes("BTCUSDT", block), both.minutes("ETHUSDT", block)
        assert one[Col.OPEN_MS].tolist() == other[Col.OPEN_MS].tolist()
        missing += BLOCK_MINUTES - len(one)
    assert missing > 0


def test_busy_hours_trade_more_than_quiet_ones_and_shocks_move_more_than_the_rest() -> None:
    one = market()
    hours: dict[int, list[float]] = {hour: [] for hour in range(24)}
    ranges = []
    for block in range(BLOCK, BLOCK + 16):
        bars = one.minutes("BTCUSDT", block)
        hour = bars[Col.OPEN_MS] // 3_600_000 % 24
        for at in range(24):
            hours[at].append(float(np.median(bars[Col.VOLUME][hour == at])))
        ranges.append(np.log(bars[Col.HIGH] / bars[Col.LOW]))
    assert np.mean(hours[14]) > 1.5 * np.mean(hours[3])
    spread = np.concatenate(ranges)
    assert np.quantile(spread, 0.999) > 5 * np.median(spread)


def test_before_the_origin_and_after_the_horizon_there_is_nothing() -> None:
    assert len(market().minutes("BTCUSDT", -1)) == 0
    assert len(market().minutes("BTCUSDT", block_of(HORIZON_MS))) == 0


def test_a_symbol_without_a_known_quote_asset_is_refused() -> None:
    with pytest.raises(UnknownSymbol, match=r"BTCXYZ.*USDT"):
        market(symbols=("BTCXYZ",))

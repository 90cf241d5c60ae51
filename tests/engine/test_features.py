"""Golden bars for engine-spec section 1: every expected value is worked out beside the bars."""

import pytest

from engine.features import COLUMNS
from tests.engine.hand_bars import column, hand_bars, rows_of

FIRST_DEFINED = {
    "ema20": 19,
    "ema50": 49,
    "ema200": 199,
    "rsi14": 14,
    "macd": 25,
    "macd_signal": 33,
    "macd_hist": 33,
    "atr14": 14,
    "adx14": 27,
    "bb_mid": 19,
    "bb_upper": 19,
    "bb_lower": 19,
    "vwap": 0,
    "vwma20": 19,
    "natr": 14,
    "natr_rank": 213,  # 200 values of natr: bars 14 to 213
    "bbw_rank": 218,  # 200 values of the width: bars 19 to 218
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_null_before_its_first_bar_and_never_after(name: str) -> None:
    values = column(hand_bars([float(100 + t % 3) for t in range(300)]), name)
    assert [t for t, value in enumerate(values) if value is None] == list(range(FIRST_DEFINED[name]))


@pytest.mark.parametrize(("name", "n"), [("ema20", 20), ("ema50", 50), ("ema200", 200)])
def test_an_ema_begins_with_the_mean_of_its_first_closes_and_moves_by_its_share(name: str, n: int) -> None:
    # closes 1 … n have the mean (n+1)/2; a close 21 above it moves the average by 21·2/(n+1)
    closes = [float(t) for t in range(1, n + 1)] + [(n + 1) / 2 + 21]
    found = column(hand_bars(closes), name)
    assert found[n - 1] == (n + 1) / 2
    assert found[n] == pytest.approx((n + 1) / 2 + 42 / (n + 1), rel=1e-15)


def test_rsi_weighs_mean_gain_against_mean_loss_and_then_smooths_them() -> None:
    # 14 changes: seven of +2 and seven of −1, in turn. g = 14/14 = 1, l = 7/14 = 0.5: 100·1/1.5
    closes = [100.0]
    for _ in range(7):
        closes += [closes[-1] + 2, closes[-1] + 1]
    closes.append(closes[-1] + 15)  # g = (13·1 + 15)/14 = 2, l = (13·0.5 + 0)/14 = 6.5/14
    found = column(hand_bars(closes), "rsi14")
    assert found[14] == pytest.approx(100 / 1.5, rel=1e-15)
    assert found[15] == pytest.approx(200 / (2 + 6.5 / 14), rel=1e-15)


@pytest.mark.parametrize(("step", "expected"), [(0.0, 50.0), (1.0, 100.0), (-1.0, 0.0)])
def test_rsi_is_50_where_nothing_moved_and_at_its_ends_where_all_moves_agree(step: float, expected: float) -> None:
    assert column(hand_bars([100 + step * t for t in range(20)]), "rsi14")[14:] == [expected] * 6


def test_macd_of_a_straight_line_is_the_difference_of_the_two_lags() -> None:
    # an EMA(n) seeded by its mean follows a line of slope 1 at a distance of (n−1)/2: (t−5.5) − (t−12.5) = 7
    bars = hand_bars([float(t) for t in range(1, 41)])
    assert column(bars, "macd")[25:] == pytest.approx([7.0] * 15, rel=1e-13)
    assert column(bars, "macd_signal")[33:] == pytest.approx([7.0] * 7, rel=1e-13)
    assert column(bars, "macd_hist")[33:] == pytest.approx([0.0] * 7, abs=1e-12)


def test_macd_signal_is_seeded_at_bar_33_with_the_mean_of_nine_values() -> None:
    # flat until bar 33, which closes 351 higher: EMA12 moves by 351·2/13 = 54, EMA26 by 351·2/27 = 26, macd = 28;
    # eight zeros and 28 have the mean 28/9
    found = rows_of(hand_bars([1000.0] * 33 + [1351.0])).indicators
    assert found["macd"].to_list()[25:] == pytest.approx([0.0] * 8 + [28.0], rel=1e-13)
    assert found["macd_signal"][33] == pytest.approx(28 / 9, rel=1e-13)
    assert found["macd_hist"][33] == pytest.approx(28 - 28 / 9, rel=1e-13)


def test_atr_takes_the_widest_of_range_and_gaps_and_smooths_by_fourteen() -> None:
    # bars 1 … 14 have a range of 3 (close 100, 98 … 101); bar 15 opens a gap up: high 117, low 116, c₋₁ = 100 gives 17
    high, low, close = [101.0] * 15 + [117.0], [98.0] * 15 + [116.0], [100.0] * 15 + [116.0]
    found = column(hand_bars(close, high=high, low=low), "atr14")
    assert found[14] == 3.0
    assert found[15] == (13 * 3 + 17) / 14
    # the same downwards: low 80 against c₋₁ = 100 gives 20, whatever the bar's own range
    found = column(hand_bars([100.0] * 15 + [81.0], high=[101.0] * 15 + [82.0], low=[98.0] * 15 + [80.0]), "atr14")
    assert found[15] == (13 * 3 + 20) / 14


def test_the_true_range_of_the_very_first_bar_does_not_exist() -> None:
    # bar 0 has a range of 50 and must not enter the first mean
    high, low = [130.0] + [101.0] * 14, [80.0] + [98.0] * 14
    assert column(hand_bars([100.0] * 15, high=high, low=low), "atr14")[14] == 3.0


def test_adx_of_steps_in_one_direction_is_100() -> None:
    # every bar: up = 1, dn = −1, so p = 1 and m = 0 and DX = 100
    assert column(hand_bars([100.0 + t for t in range(40)]), "adx14")[27:] == pytest.approx([100.0] * 13, rel=1e-14)


def test_adx_is_zero_where_nothing_moves() -> None:
    assert column(hand_bars([100.0] * 40), "adx14")[27:] == [0.0] * 13


def test_adx_counts_neither_side_of_a_bar_that_moves_both_ways_alike() -> None:
    # highs rise by 1 and lows fall by 1: up = dn, so neither is a movement, and DX = 0
    high, low = [100.0 + t for t in range(40)], [100.0 - t for t in range(40)]
    assert column(hand_bars([100.0] * 40, high=high, low=low), "adx14")[27:] == [0.0] * 13


def test_adx_weighs_the_smoothed_movements_of_both_sides() -> None:
    # bars 1 … 14: +DM = 1. bar 15: −DM = 15. p = 13/14, m = 15/14 there: DX = 100·(2/14)/(28/14) = 50/7.
    # after it nothing moves: p and m shrink alike and DX stays. DX₁₄ = 100, DX₁₅ … DX₂₇ = 50/7
    closes = [100.0 + t for t in range(15)] + [99.0] * 14
    found = column(hand_bars(closes), "adx14")
    assert found[27] == pytest.approx((100 + 13 * 50 / 7) / 14, rel=1e-13)
    assert found[28] == pytest.approx((13 * (100 + 13 * 50 / 7) / 14 + 50 / 7) / 14, rel=1e-13)


def test_bands_lie_two_population_deviations_around_the_mean() -> None:
    # ten closes of 99 and ten of 101: mean 100, deviation 1
    found = rows_of(hand_bars([99.0, 101.0] * 10)).indicators
    assert (found["bb_mid"][19], found["bb_upper"][19], found["bb_lower"][19]) == (100.0, 102.0, 98.0)


def test_bands_of_a_flat_window_are_exactly_flat() -> None:
    # 20·0.1 is not 2 in binary: only the sum of differences is exact
    found = rows_of(hand_bars([0.7] * 5 + [0.1] * 20)).indicators
    assert (found["bb_mid"][24], found["bb_upper"][24], found["bb_lower"][24]) == (0.1, 0.1, 0.1)


def test_vwap_weighs_the_typical_price_since_midnight_utc() -> None:
    # typical prices (12+6+9)/3 = 9 and (24+6+15)/3 = 15 with volumes 1 and 2: 39/3 = 13
    bars = hand_bars([9.0, 15.0], high=[12.0, 24.0], low=[6.0, 6.0], volume=[1.0, 2.0])
    assert column(bars, "vwap") == [9.0, 13.0]


def test_vwap_starts_anew_at_midnight_and_at_the_first_bar_of_the_series() -> None:
    # the series begins at 23:30: bars 94 and 95 of the day, then 00:00
    assert column(hand_bars([10.0, 20.0, 50.0, 70.0], first=94), "vwap") == [10.0, 15.0, 50.0, 60.0]


def test_vwap_is_the_typical_price_while_nothing_was_traded() -> None:
    bars = hand_bars([10.0, 20.0, 30.0, 40.0], volume=[0.0, 0.0, 4.0, 0.0])
    assert column(bars, "vwap") == [10.0, 20.0, 30.0, 30.0]


def test_a_hole_over_midnight_still_moves_the_anchor() -> None:
    before, after = hand_bars([10.0, 20.0], first=90), hand_bars([50.0], first=200)
    assert column(before.vstack(after), "vwap") == [10.0, 15.0, 50.0]


def test_vwma_weighs_twenty_closes_by_volume_and_is_the_mean_without_any() -> None:
    # bar 19: nineteen closes of 10 with volume 1 and one of 50 with volume 21: (190 + 1050)/40 = 31
    bars = hand_bars([10.0] * 19 + [50.0], volume=[1.0] * 19 + [21.0])
    assert column(bars, "vwma20")[19] == 31.0
    # without volume: the mean (190 + 50)/20 = 12
    assert column(hand_bars([10.0] * 19 + [50.0], volume=[0.0] * 20), "vwma20")[19] == 12.0


def test_natr_is_atr_in_percent_of_the_close() -> None:
    # a range of 3 on a close of 150
    assert column(hand_bars([150.0] * 15, high=[151.0] * 15, low=[148.0] * 15), "natr")[14] == 2.0


def test_a_rank_counts_only_values_strictly_below() -> None:
    # equal ranges: no value is below another. Then one wider bar: all 199 before it are below
    high, low = [101.0] * 230 + [104.0], [99.0] * 230 + [96.0]
    found = column(hand_bars([100.0] * 231, high=high, low=low), "natr_rank")
    assert found[213:230] == [0.0] * 17
    assert found[230] == 1.0


def test_a_rank_looks_back_exactly_199_values() -> None:
    # ranges that grow from bar to bar put every natr above all before it: 199 of 199, however many there are by then
    ranges = [1 + t / 100 for t in range(330)]
    high, low = [100 + r / 2 for r in ranges], [100 - r / 2 for r in ranges]
    assert column(hand_bars([100.0] * 330, high=high, low=low), "natr_rank")[213:] == [1.0] * 117


def test_the_width_rank_of_a_first_move_after_flat_bands_is_one() -> None:
    # widths are 0 on flat windows; the first other close makes the only positive one
    found = column(hand_bars([100.0] * 230 + [103.0]), "bbw_rank")
    assert found[218:230] == [0.0] * 12
    assert found[230] == 1.0

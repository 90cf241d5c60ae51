"""What a run assumed, in sentences: each follows from what it was given."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from backtest.assumed import assumed_rules
from backtest.assumptions import assumptions_of
from backtest.config import ALWAYS, BacktestConfig
from contracts import InstrumentKey
from risk import CalendarWindow, RiskProfile
from tests.backtest.markets import ONE, TWO, config, rules_of
from tests.backtest.reported import Rows, Told, told
from tests.backtest.results import START

SPOT = InstrumentKey("binance_spot", "AAAUSDT")


def sentences(asked: BacktestConfig | None = None, **changes: Any) -> list[str]:  # noqa: ANN401 - of `Told`
    run: Told = told([1.0, 2.0], **changes)
    return assumptions_of(config() if asked is None else asked, run)


def one_with(words: str, found: list[str]) -> str:
    """The one sentence that has these words."""
    (sentence,) = [sentence for sentence in found if words in sentence]
    return sentence


def test_the_page_that_states_the_rules_is_named_first() -> None:
    assert "docs/assumptions.md" in sentences()[0]


def test_instruments_with_the_same_fees_share_a_sentence() -> None:
    assert one_with("Fees", sentences()) == (
        "Fees: 0.001 % maker, 0.002 % taker, read from the exchange (binance_usdm:AAAUSDT, binance_usdm:BBBUSDT)."
    )


def test_instruments_with_other_fees_have_their_own() -> None:
    rules = {
        ONE: [(ALWAYS, rules_of(ONE, taker_fee=Decimal("0.0004"), fees_source="conservative"))],
        TWO: [(ALWAYS, rules_of(TWO))],
    }
    found = [sentence for sentence in sentences(config(rules=rules)) if sentence.startswith("Fees")]
    assert found == [
        "Fees: 0.001 % maker, 0.04 % taker, the worst published tier (binance_usdm:AAAUSDT).",
        "Fees: 0.001 % maker, 0.002 % taker, read from the exchange (binance_usdm:BBBUSDT).",
    ]


def test_fees_that_changed_are_told_in_their_order() -> None:
    later = rules_of(ONE, maker_fee=Decimal("0.0003"))
    rules = {ONE: [(ALWAYS, rules_of(ONE)), (START, later), (START + timedelta(days=1), later)]}
    rules[TWO] = [(ALWAYS, rules_of(TWO))]
    told_fees = one_with("later", sentences(config(rules=rules)))
    assert told_fees.startswith("Fees: 0.001 % maker, 0.002 % taker, read from the exchange; later 0.03 % maker")
    assert told_fees.count("later") == 1


def test_many_instruments_are_counted_after_the_sixth() -> None:
    keys = [InstrumentKey("binance_usdm", f"{letter}USDT") for letter in "ABCDEFGH"]
    asked = config(rules={key: [(ALWAYS, rules_of(key))] for key in keys})
    found = sentences(asked, written=Rows(keys=[key.series("15m") for key in keys]))
    assert one_with("Fees", found).endswith("binance_usdm:FUSDT and 2 more).")


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (START - timedelta(days=9), "one version, known for the whole run"),
        (START, "one version, known for the whole run"),
        (START + timedelta(days=1), "one version, the first of 2024-01-02, which stands in for the time before"),
    ],
)
def test_rules_tell_since_when_they_are_known(since: datetime, words: str) -> None:
    asked = config(rules={key: [(since, rules_of(key))] for key in (ONE, TWO)})
    assert one_with("Trading rules", sentences(asked)).startswith(f"Trading rules as recorded, {words} (")


def test_several_versions_of_the_rules_are_counted() -> None:
    versions = [(START, rules_of(ONE)), (START + timedelta(days=5), rules_of(ONE))]
    found = sentences(config(rules={ONE: versions, TWO: [(START, rules_of(TWO))]}))
    assert one_with("2 versions", found).endswith("(binance_usdm:AAAUSDT).")


def test_assumed_rules_are_said_to_be_assumed_with_their_numbers() -> None:
    prices = pl.Series([99.25, 98.5, 99.0])
    assumed = assumed_rules(ONE, pl.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices)))
    found = sentences(config(rules={ONE: [(ALWAYS, assumed)], TWO: [(ALWAYS, rules_of(TWO))]}))
    assert one_with("assumed", found) == (
        "Trading rules are assumed from the first 1,000 bars, none are recorded: tick 0.01, lot 0.001, orders of 10 to "
        "10000000 USDT (binance_usdm:AAAUSDT)."
    )
    assert "the worst published tier (binance_usdm:AAAUSDT)" in " ".join(found)


def test_without_settlements_no_funding_is_paid() -> None:
    assert one_with("Funding", sentences()).startswith("Funding: none is paid or received, no settlements were given (")


def test_settlements_are_counted_within_the_run() -> None:
    times = [START - timedelta(hours=8), START, START + timedelta(hours=8), START + timedelta(hours=16)]
    times.append(START + timedelta(days=400))
    settled = pl.DataFrame(
        {"funding_time": times, "rate": [0.0001] * 5, "mark_price": [100.0] * 5},
        schema_overrides={"funding_time": pl.Datetime("us", "UTC")},
    )
    found = sentences(config(funding={ONE: settled, TWO: settled[:1]}))
    assert one_with("2 settlements", found) == (
        "Funding: 2 settlements, the first at 2024-01-01 08:00 UTC, at the last settled rates (binance_usdm:AAAUSDT)."
    )
    assert one_with("no settlement that was given lies in the run", found).endswith("(binance_usdm:BBBUSDT).")


def test_spot_has_neither_funding_nor_liquidation() -> None:
    rules = rules_of(SPOT, venue="binance_spot", contract_type="SPOT", max_leverage=Decimal(1))
    found = sentences(config(rules={SPOT: [(ALWAYS, rules)]}), written=Rows(keys=[SPOT.series("15m")]))
    assert not [sentence for sentence in found if "unding" in sentence or "liquidation" in sentence]


def test_leverage_is_the_lesser_of_profile_and_instrument() -> None:
    def leverage(of_profile: int, of_instrument: int) -> str:
        rules = {key: [(ALWAYS, rules_of(key, max_leverage=Decimal(of_instrument)))] for key in (ONE, TWO)}
        asked = config(rules=rules, profile=RiskProfile(leverage=of_profile), maintenance_margin=Decimal("0.025"))
        return one_with("liquidation", sentences(asked))

    assert "at 2× leverage at most, with 2.5 % maintenance margin" in leverage(2, 20)
    assert "at 1× leverage at most" in leverage(3, 1)


def test_less_leverage_than_the_profile_would_take_is_explained() -> None:
    unread, lends_two = (
        rules_of(ONE, max_leverage=Decimal(1), fees_source="conservative"),
        rules_of(TWO, max_leverage=Decimal("2.5"), fees_source="exchange"),
    )
    found = sentences(config(rules={ONE: [(ALWAYS, unread)], TWO: [(ALWAYS, lends_two)]}))
    assert one_with("lends is told", found) == (
        "Leverage: 1× where the profile would take 3×: what the venue lends is told to account holders alone, and "
        "nothing borrowed is the safe side (binance_usdm:AAAUSDT)."
    )
    assert one_with("lends no more", found) == (
        "Leverage: 2× where the profile would take 3×: the venue lends no more (binance_usdm:BBBUSDT)."
    )
    enough = {key: [(ALWAYS, rules_of(key))] for key in (ONE, TWO)}
    assert not [sentence for sentence in sentences(config(rules=enough)) if sentence.startswith("Leverage")]


@pytest.mark.parametrize(
    ("policy", "guesses", "words"),
    [
        ("stop", [0, 0], "the stop is taken: no bar in this run."),
        ("stop", [0, 1], "the stop is taken: 1 bar in this run."),
        ("target", [2, 1], "the target, the better outcome, is taken: 3 bars in this run."),
    ],
)
def test_the_policy_for_bars_that_cannot_tell_is_named_with_their_number(
    policy: str, guesses: list[int], words: str
) -> None:
    run = told([1.0, 2.0])
    run = replace(run, trades=run.trades.with_columns(guesses=pl.Series(guesses)))
    assert one_with("can tell what came first", assumptions_of(config(ambiguity=policy), run)).endswith(words)


def test_finer_bars_are_named_where_there_are_some() -> None:
    keys = [ONE.series("15m"), ONE.series("5m"), ONE.series("1m"), TWO.series("15m")]
    found = sentences(config(trade=("15m",)), written=Rows(keys=keys))
    assert one_with("of the 1m bars in it", found) == (
        "What came first inside a bar of 15m is asked of the 1m bars in it (binance_usdm:AAAUSDT)."
    )
    assert one_with("of no finer bars", found).endswith("(binance_usdm:BBBUSDT).")


def test_slippage_is_told_as_a_percentage_or_as_missing() -> None:
    assert "0.025 % of the price" in one_with("lippage", sentences(config(profile=RiskProfile(slippage=0.00025))))
    assert one_with("lippage", sentences(config(profile=RiskProfile(slippage=0.0)))).startswith("No slippage")


def test_events_are_counted_where_they_touch_the_run() -> None:
    def event(start: datetime) -> CalendarWindow:
        end = start + timedelta(hours=1)
        return CalendarWindow(ts_start=start, ts_end=end, severity="HIGH", currency="USD", known_from=start)

    outside = [event(START - timedelta(days=1)), event(START + timedelta(days=40))]
    assert "No event" in one_with("calendar", sentences(config(calendar=outside)))
    inside = [event(START - timedelta(minutes=30)), event(START + timedelta(days=39))]
    assert one_with("calendar", sentences(config(calendar=[*outside, *inside]))).startswith("2 events")


def test_bars_that_only_warm_the_engine_up_are_told_where_there_may_be_some() -> None:
    assert not [sentence for sentence in sentences() if "warm" in sentence]
    assert f"Bars before {START:%Y-%m-%d %H:%M} UTC only warm" in one_with("warm", sentences(config(start=START)))


def test_capital_quote_and_sample_are_told() -> None:
    found = sentences(config(capital=Decimal("2500.50"), sample=timedelta(minutes=15)))
    assert "one capital of 2500.5 USDT" in one_with("share one capital", found)
    assert "every 15 minutes" in one_with("equity curve", found)
    assert "every day" in one_with("equity curve", sentences(config(sample=timedelta(days=1))))
    assert "every 1.5 seconds" in one_with("equity curve", sentences(config(sample=timedelta(seconds=1.5))))

"""What the bars do not say, as the loop reads it: rules, costs, news and funding of every instrument, by time.

Invariant: a version of the rules holds from its instant until the next one's; the first stands in for all time before.

    conditions = Conditions.of(instruments, config)
    conditions.symbols           # SYMBOL records that point into the common arrays
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from backtest.config import BacktestRefused
from backtest.records import DAY, NEVER, SYMBOL, TERMS
from contracts import to_us
from risk.records import NEWS, RULES, limits_of, rules_of
from risk.situation import news_of
from venues.fills import FillTerms
from venues.fills.conversion import costs_of
from venues.fills.records import AFTER_FIRST, COSTS, FOREVER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from backtest.config import BacktestConfig
    from contracts import InstrumentKey, InstrumentRules


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conditions:
    """Common arrays, in which each symbol has its stretch.

    Attributes:
        versions: The rules behind `rules` and `costs`, in the same order.
        limits: The profile, one LIMITS record.
        terms: How positions are led, one TERMS record.
        rules: RULES of each version.
        costs: COSTS of each version.
        rules_from: µs since when it holds.
        news: NEWS that concern each symbol.
        funding_time: µs.
        funding_rate: As settled.
        funding_mark: NaN = not known.
        symbols: SYMBOL of each instrument at the start.
    """

    versions: Sequence[InstrumentRules]
    limits: NDArray[np.void]
    terms: NDArray[np.void]
    rules: NDArray[np.void]
    costs: NDArray[np.void]
    rules_from: NDArray[np.int64]
    news: NDArray[np.void]
    funding_time: NDArray[np.int64]
    funding_rate: NDArray[np.float64]
    funding_mark: NDArray[np.float64]
    symbols: NDArray[np.void]

    @classmethod
    def of(cls, instruments: Sequence[InstrumentKey], config: BacktestConfig, *, start: datetime) -> Conditions:
        """Gather what the configuration says of these instruments.

        Args:
            instruments: In the order of their symbols.
            config: Of the run; has rules for each of them.
            start: Of the run: a perpetual without recorded funding has had a rate of 0 since then.

        Raises:
            BacktestRefused: Rules are missing, the capital buys more than can be counted, or the instruments have
                different quotes.
            venues.fills.OrderRefused: The terms of the fill model are out of their range.
        """
        symbols = np.zeros(len(instruments), SYMBOL)
        versions: list[InstrumentRules] = []
        since: list[int] = []
        parts: dict[str, list[NDArray[np.void]]] = {"rules": [], "costs": [], "news": []}
        funding: list[NDArray[np.float64]] = []
        settled: list[NDArray[np.int64]] = []
        news_count = funding_count = 0
        for row, key in zip(symbols, instruments, strict=True):
            if key not in config.rules:
                msg = f"no rules of {key}: record exchange rules first, or assume some: with_rules(bars, config)"
                raise BacktestRefused(msg)
            row["rules"] = len(versions)
            for at, one in config.rules[key]:
                _check_counts(key, one, config)
                parts["rules"].append(rules_of(one))
                parts["costs"].append(costs_of(one, _terms(config, one)))
                versions.append(one)
                since.append(to_us(at))
            row["rules_end"] = len(versions)
            concerning = [event for event in config.calendar if event.concerns(config.rules[key][-1][1])]
            concerning.sort(key=lambda event: (event.ts_start, event.ts_end, event.severity))
            parts["news"].append(news_of(concerning))
            row["news"], row["news_end"] = news_count, news_count + len(concerning)
            news_count += len(concerning)
            times, rates = _funding(key, config, start=start)
            settled.append(times)
            funding.append(rates)
            row["funding"] = row["funding_begin"] = row["settled"] = funding_count
            funding_count += times.size
            row["funding_end"] = funding_count
        symbols["due"], symbols["standing"], symbols["guard"] = FOREVER, -1, -1
        quotes = {one.quote for one in versions}
        if len(quotes) > 1:
            msg = f"one capital cannot be shared by instruments of the quotes {', '.join(sorted(quotes))}: run each"
            raise BacktestRefused(msg)
        terms = np.zeros(1, TERMS)
        profile = config.profile
        terms["after_first"] = AFTER_FIRST.index(profile.after_first)
        terms["trail_atr"], terms["max_bars"] = profile.trail_atr, profile.max_bars or 0
        rates = np.concatenate([*funding, np.zeros((2, 0))], axis=1)
        return cls(
            versions,
            limits_of(profile),
            terms,
            np.concatenate([*parts["rules"], np.zeros(0, RULES)]),
            np.concatenate([*parts["costs"], np.zeros(0, COSTS)]),
            np.array(since, np.int64),
            np.concatenate([*parts["news"], np.zeros(0, NEWS)]),
            np.concatenate([*settled, np.zeros(0, np.int64)]),
            rates[0].copy(),
            rates[1].copy(),
            symbols,
        )


def _check_counts(key: InstrumentKey, rules: InstrumentRules, config: BacktestConfig) -> None:
    """Refuse a capital that buys orders of too many ticks × steps to be counted exactly, where no rule bounds them."""
    if rules.max_qty is not None or rules.market_max_qty is not None:
        return
    profile = config.profile
    share = min(profile.symbol_exposure, profile.direction_exposure, float(min(profile.leverage, rules.most_leverage)))
    most = config.capital * Decimal(str(profile.capital_share)) * Decimal(str(share))
    most = most if rules.max_notional is None else min(most, rules.max_notional)
    if most > _MOST_COUNT * rules.tick_size * rules.step_size:
        would_do = _MOST_COUNT * rules.tick_size * rules.step_size * config.capital / most
        msg = (
            f"capital of {config.capital} is too much for {key}, whose orders no rule bounds: ticks of "
            f"{rules.tick_size} × steps of {rules.step_size} could not be counted; about {would_do:.0f} would do, or "
            "rules with a largest quantity"
        )
        raise BacktestRefused(msg)


def _terms(config: BacktestConfig, rules: InstrumentRules) -> FillTerms:
    return FillTerms(
        slippage=Decimal(str(config.profile.slippage)),
        leverage=Decimal(min(config.profile.leverage, rules.most_leverage)),
        maintenance_margin=config.maintenance_margin,
        ambiguity=config.ambiguity,
    )


def _funding(
    key: InstrumentKey, config: BacktestConfig, *, start: datetime
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times, and rates with mark prices, of an instrument's settlements."""
    frame = config.funding.get(key)
    if frame is not None:
        rates = frame.select("rate", "mark_price").fill_null(np.nan).to_numpy().T
        return frame["funding_time"].dt.cast_time_unit("us").to_physical().to_numpy(), np.array(rates, np.float64)
    if key.venue == "binance_spot":
        return np.zeros(0, np.int64), np.zeros((2, 0))
    # The guard fails where no rate was ever settled. One of 0 in the past says what is assumed: there is none.
    return np.array([max(to_us(start) - _LONG_AGO, NEVER + 1)], np.int64), np.array([[0.0], [np.nan]])


# Ticks × steps of an order stay so far below 2⁶³ that the account may grow sixtyfold.
_MOST_COUNT = 2**57
# Far enough for every window of the guard.
_LONG_AGO = 7 * DAY

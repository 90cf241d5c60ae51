"""What one run assumed, in sentences for its report: costs, rules, funding, and what was done where no bar could tell.

The rules of a fill are the same for every run; docs/assumptions.md states them and what they are worth. Here stands
what depends on the run: the numbers it was given, and what stood in where it was given none.

Invariant: the sentences are a function of configuration and result, in a fixed order; instruments of which the same is
to be said share one sentence.

    assumptions_of(config, result)[0]
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from backtest.assumed import FIRST_BARS
from backtest.config import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    import polars as pl

    from backtest.config import BacktestConfig, Versions
    from contracts import InstrumentKey, InstrumentRules, SeriesKey

# So many names are listed before the rest is only counted.
_NAMES = 6


class _Written(Protocol):
    @property
    def keys(self) -> Sequence[SeriesKey]: ...


class Ran(Protocol):
    """What is read of a result."""

    @property
    def start(self) -> datetime:
        """When the account began: open time of the first bar, or `config.start`."""

    @property
    def until(self) -> datetime:
        """End of the last bar."""

    @property
    def trades(self) -> pl.DataFrame:
        """Its trades; of them `guesses` is read."""

    @property
    def written(self) -> _Written:
        """Its rows; of them the series are read."""


def assumptions_of(config: BacktestConfig, result: Ran) -> list[str]:
    """Say what the run took for granted.

    Args:
        config: Of the run, with rules for every instrument.
        result: Of the run.

    Returns:
        Sentences, the general ones first.
    """
    keys = result.written.keys
    instruments = sorted({key.instrument for key in keys})
    return [
        "Fills follow the rules that docs/assumptions.md states, which also says where they can be wrong: a limit has "
        "to be traded through by a tick, a stop is hit by a touch, orders fill whole and do not move the market.",
        _slippage(config),
        *_grouped((_fees(config.rules[key]), key) for key in instruments),
        *_grouped((_rules(config.rules[key], result.start), key) for key in instruments),
        *_grouped((_funding(key, config, result), key) for key in instruments if _is_futures(config.rules[key])),
        *_liquidation(config, instruments),
        *_grouped(_lent_less(config, instruments)),
        _ambiguity(config, result),
        *_grouped((_finer(key, keys), key) for key in sorted(keys) if _is_traded(key, config)),
        _calendar(config, result),
        *_warm_up(config, result),
        f"All series share one capital of {_plain(config.capital)} {_quote(config, instruments)}, nothing is paid in "
        "or taken out; idle money earns nothing.",
        f"The equity curve is sampled every {_length(config.sample)}, open positions at the last close known; the "
        "deepest drawdown is looked at whenever bars have ended.",
        "What is open when its bars end is closed at the last close as a taker, and counted.",
    ]


def _slippage(config: BacktestConfig) -> str:
    if config.profile.slippage == 0:
        return "No slippage is taken off any fill: fills as market orders are too good."
    return (
        f"Slippage is {_percent(Decimal(str(config.profile.slippage)))} of the price against every order that fills "
        "as a taker (marketable entries, stops, time stops), the same at all hours; limits fill at their own price."
    )


def _fees(versions: Versions) -> str:
    told: list[str] = []
    for _, rules in versions:
        text = f"{_percent(rules.maker_fee)} maker, {_percent(rules.taker_fee)} taker"
        text += ", read from the exchange" if rules.fees_source == "exchange" else ", the worst published tier"
        if not told or told[-1] != text:
            told.append(text)
    return "Fees: " + "; later ".join(told)


def _rules(versions: Versions, start: datetime) -> str:
    since, first = versions[0]
    if _is_assumed(since, first):
        least, most = (_plain(limit or Decimal(0)) for limit in (first.min_notional, first.max_notional))
        return (
            f"Trading rules are assumed from the first {FIRST_BARS:,} bars, none are recorded: tick "
            f"{_plain(first.tick_size)}, lot {_plain(first.step_size)}, orders of {least} to {most} {first.quote}"
        )
    count = "one version" if len(versions) == 1 else f"{len(versions)} versions"
    text = f"Trading rules as recorded, {count}"
    if since <= start:
        return f"{text}, known for the whole run"
    return f"{text}, the first of {since:%Y-%m-%d}, which stands in for the time before"


def _is_assumed(since: datetime, rules: InstrumentRules) -> bool:
    # Every exchange states which orders it takes; `assumed_rules` cannot.
    return since == ALWAYS and not rules.order_types


def _is_futures(versions: Versions) -> bool:
    return versions[-1][1].is_futures


def _funding(key: InstrumentKey, config: BacktestConfig, result: Ran) -> str:
    settled = config.funding.get(key)
    if settled is None:
        return "Funding: none is paid or received, no settlements were given"
    times = settled["funding_time"]
    count = int(((times > result.start) & (times <= result.until)).sum())
    if not count:
        return "Funding: none is paid or received, no settlement that was given lies in the run"
    first = times.filter(times > result.start)[0]
    return f"Funding: {count} settlements, the first at {first:%Y-%m-%d %H:%M} UTC, at the last settled rates"


def _liquidation(config: BacktestConfig, instruments: Sequence[InstrumentKey]) -> Iterable[str]:
    futures = [key for key in instruments if _is_futures(config.rules[key])]
    if futures:
        leverage = min(config.profile.leverage, max(config.rules[key][-1][1].most_leverage for key in futures))
        margin = _percent(config.maintenance_margin)
        yield (
            f"Perpetuals are held on isolated margin at {leverage}× leverage at most, with {margin} maintenance margin"
            ", on traded prices; a liquidation takes the whole margin."
        )


def _lent_less(config: BacktestConfig, instruments: Sequence[InstrumentKey]) -> Iterable[tuple[str, InstrumentKey]]:
    """Why an instrument is held at less leverage than the profile would take."""
    for key in instruments:
        rules = config.rules[key][-1][1]
        if rules.is_futures and rules.most_leverage < config.profile.leverage:
            why = "the venue lends no more"
            if rules.fees_source == "conservative":
                why = "what the venue lends is told to account holders alone, and nothing borrowed is the safe side"
            yield (
                f"Leverage: {rules.most_leverage}× where the profile would take {config.profile.leverage}×: {why}",
                key,
            )


def _ambiguity(config: BacktestConfig, result: Ran) -> str:
    guesses = int(result.trades["guesses"].sum())
    took = {"stop": "the stop", "target": "the target, the better outcome,"}[config.ambiguity]
    counted = "no bar" if guesses == 0 else "1 bar" if guesses == 1 else f"{guesses} bars"
    return f"Where not even the finest bar can tell what came first, {took} is taken: {counted} in this run."


def _finer(key: SeriesKey, keys: Sequence[SeriesKey]) -> str:
    inside = [other for other in keys if other.instrument == key.instrument and key.tf.us % other.tf.us == 0]
    finest = min(inside, key=lambda other: other.tf.us)
    if finest == key:
        return f"What came first inside a bar of {key.tf} is asked of no finer bars"
    return f"What came first inside a bar of {key.tf} is asked of the {finest.tf} bars in it"


def _calendar(config: BacktestConfig, result: Ran) -> str:
    count = sum(event.ts_start < result.until and event.ts_end > result.start for event in config.calendar)
    if not count:
        return "No event of a calendar falls into the run: the news guard had nothing to guard against."
    counted = "1 event of the calendar falls" if count == 1 else f"{count} events of the calendar fall"
    return f"{counted} into the run; the news guard looks at those that concern a symbol."


def _warm_up(config: BacktestConfig, result: Ran) -> Iterable[str]:
    if config.start is not None:
        yield (
            f"Bars before {result.start:%Y-%m-%d %H:%M} UTC only warm the engine up: signals are traded from then on, "
            "with the zones, regimes and indicators that are known by then."
        )


def _is_traded(key: SeriesKey, config: BacktestConfig) -> bool:
    return config.trade is None or str(key.tf) in config.trade


def _quote(config: BacktestConfig, instruments: Sequence[InstrumentKey]) -> str:
    return config.rules[instruments[0]][-1][1].quote


def _grouped(told: Iterable[tuple[str, InstrumentKey | SeriesKey]]) -> Iterable[str]:
    groups: dict[str, list[str]] = {}
    for text, key in told:
        names = groups.setdefault(text, [])
        if f"{key.venue}:{key.symbol}" not in names:
            names.append(f"{key.venue}:{key.symbol}")
    for text, names in groups.items():
        rest = len(names) - _NAMES
        listed = ", ".join(names[:_NAMES]) + (f" and {rest} more" if rest > 0 else "")
        yield f"{text} ({listed})."


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _percent(fraction: Decimal) -> str:
    return f"{_plain(fraction * 100)} %"


def _length(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0:
            count = seconds // unit
            return name if count == 1 else f"{count} {name}s"
    return f"{span.total_seconds():g} seconds"

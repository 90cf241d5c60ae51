"""What one evaluation reads and writes: records of fixed size, the same for a live bar and inside a backtest's loop.

Time is µs since the epoch, prices and money are quote units as float64, orders are whole counts of tick and step, a
side is +1 long and −1 short. An instant that never was is `NEVER`, a number that does not exist NaN.

Invariant: nothing here refers to Python objects, and a VERDICT is a function of SITUATION, LIMITS and RULES alone.

    verdict = np.zeros(1, VERDICT)
    evaluate(situation[0], limits[0], rules[0], verdict[0])
"""

from __future__ import annotations

from decimal import ROUND_CEILING
from typing import TYPE_CHECKING

import numba
import numpy as np

from contracts.kernel import Record, formula
from risk.gates import GATES
from risk.profiles import MAX_STOPS, MAX_TARGETS

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from contracts import InstrumentRules
    from risk.profiles import RiskProfile

NEVER = -(2**63)

# Of the exits of a symbol, how many the low-profit lock looks at; in a week hardly ever more.
ROOM = 256

MINUTE = 60_000_000
HOUR = 60 * MINUTE

SITUATION = np.dtype(
    [
        # the bar being evaluated, and the clock
        ("now", "<i8"),
        ("ts", "<i8"),
        ("tf", "<i8"),
        ("close", "<f8"),
        ("vol_state", "<i8"),  # 0 OK, 1 CHOP, 2 SHOCK; −1 = no regime yet
        ("trading_state", "<i8"),  # the strictest: 0 ACTIVE, 1 REDUCING, 2 HALTED
        # the signal
        ("side", "<i8"),
        ("signal_ts", "<i8"),
        ("ttl_bars", "<i8"),
        ("zone_active", "<i8"),  # 1 also where the signal has no zone
        ("structure", "<i8"),
        ("triggers", "<i8"),  # how many of ema200, macd, rsi
        ("entry", "<f8"),
        ("stop", "<f8"),
        ("atr14", "<f8"),
        # guards: the calendar's event that stands nearest to its own limit (guards.nearest_event)
        ("news", "<i8"),  # µs from the event, negative before it; NEVER = none within a day
        ("news_limit", "<i8"),  # µs to keep from it on that side
        ("funding_last", "<i8"),
        ("funding_next", "<i8"),
        ("funding_rate", "<f8"),  # last settled; NaN = none known
        # protections: when each last began
        ("last_stop", "<i8"),  # of the symbol
        ("stops_tripped", "<i8"),  # of the profile (protections.STOPS)
        ("losses_tripped", "<i8"),  # of the symbol (protections.LOSSES)
        # the account, and what of it is the profile's
        ("equity", "<f8"),  # unrealised included
        ("day_start", "<f8"),
        ("peak", "<f8"),
        ("positions", "<i8"),  # positions and unfilled brackets of the profile
        ("brackets", "<i8"),  # of this symbol, whichever profile's
        ("symbol_notional", "<f8"),
        ("long_notional", "<f8"),
        ("short_notional", "<f8"),
        ("heat", "<f8"),  # Σ loss at the stops
    ]
)

LIMITS = np.dtype(
    [
        ("risk_fraction", "<f8"),
        ("capital_share", "<f8"),
        ("slippage_ppm", "<i8"),
        ("targets", "<i8"),
        ("target_r", "<f8", (MAX_TARGETS,)),
        ("target_share", "<f8", (MAX_TARGETS,)),
        ("fresh_share", "<f8"),
        ("fresh_us", "<f8"),
        ("high_before", "<i8"),
        ("high_after", "<i8"),
        ("med_before", "<i8"),
        ("med_after", "<i8"),
        ("funding_before", "<i8"),
        ("funding_after", "<i8"),
        ("funding_rate", "<f8"),
        ("triggers", "<i8"),
        ("cooldown_bars", "<i8"),
        ("stops", "<i8"),
        ("stops_within", "<i8"),
        ("stops_lock", "<i8"),
        ("losses_r", "<f8"),
        ("losses_within", "<i8"),
        ("losses_lock", "<i8"),
        ("daily_drawdown", "<f8"),
        ("total_drawdown", "<f8"),
        ("positions", "<i8"),
        ("stop_atr_least", "<f8"),
        ("stop_atr_most", "<f8"),
        ("symbol_exposure", "<f8"),
        ("direction_exposure", "<f8"),
        ("heat", "<f8"),
        ("leverage", "<f8"),
        ("reward", "<f8"),
    ]
)

RULES = np.dtype(
    [
        ("trading", "<i8"),  # whether the status is TRADING
        ("futures", "<i8"),
        ("tick", "<f8"),
        ("step", "<f8"),  # what both a limit and a market order may be multiples of
        ("least_ticks", "<i8"),
        ("most_ticks", "<i8"),
        ("least_steps", "<i8"),  # for the entry and for a stop, which is a market order
        ("most_steps", "<i8"),
        ("least_notional", "<f8"),
        ("most_notional", "<f8"),
        ("fee", "<f8"),  # the greater of maker and taker, as a fraction
        ("leverage", "<f8"),  # the most that can be set; 1 on spot
    ]
)

VERDICT = np.dtype(
    [
        ("passed", "<i8"),  # bit k: gate k of GATES passed
        ("first", "<i8"),  # index of the first gate that failed; −1 = none did
        ("value", "<f8", (len(GATES),)),
        ("limit", "<f8", (len(GATES),)),
        # the bracket; the counts mean an order only where every gate passed
        ("entry", "<i8"),
        ("stop", "<i8"),
        ("steps", "<i8"),
        ("targets", "<i8"),  # those of the profile that come to the same tick are one
        ("target", "<i8", (MAX_TARGETS,)),
        ("share", "<f8", (MAX_TARGETS,)),  # of the quantity
        ("rung", "<i8", (MAX_TARGETS,)),  # steps of each target
        ("loss", "<f8"),  # of the whole bracket at its stop, fees and slippage included; quote units
    ]
)

# An event of the calendar that concerns the symbol.
NEWS = np.dtype([("start", "<i8"), ("end", "<i8"), ("known_from", "<i8"), ("high", "<i8")])

# The last stops of a profile, oldest first, and when the guard last tripped.
STOPS = np.dtype([("used", "<i8"), ("tripped", "<i8"), ("us", "<i8", (MAX_STOPS,))])

# The last exits of a symbol, oldest first, its last stop, and when the lock last tripped.
LOSSES = np.dtype(
    [("used", "<i8"), ("tripped", "<i8"), ("last_stop", "<i8"), ("us", "<i8", (ROOM,)), ("r", "<f8", (ROOM,))]
)

situation_type, limits_type, rules_type, verdict_type, news_type, stops_type, losses_type = (
    numba.from_dtype(dtype) for dtype in (SITUATION, LIMITS, RULES, VERDICT, NEWS, STOPS, LOSSES)
)


@formula
def note(verdict: Record, gate: int, value: float, limit: float, passed: bool) -> None:  # noqa: FBT001
    """Record the verdict of one gate, by its index in GATES."""
    verdict.value[gate] = value
    verdict.limit[gate] = limit
    if passed:
        verdict.passed |= 1 << gate


# Counts in records stay where float64 tells neighbours apart.
_MOST_COUNT = 2**53


def limits_of(profile: RiskProfile) -> NDArray[np.void]:
    """A profile as one LIMITS record, shape (1,)."""
    limits = np.zeros(1, LIMITS)
    row = limits[0]
    for name in ("risk_fraction", "capital_share", "fresh_share", "funding_rate", "triggers", "cooldown_bars"):
        row[name] = getattr(profile, name)
    for name in ("daily_drawdown", "total_drawdown", "symbol_exposure", "direction_exposure", "leverage", "reward"):
        row[name] = getattr(profile, name)
    row["slippage_ppm"] = round(profile.slippage * 1e6)
    row["targets"] = len(profile.targets)
    for place, (r, share) in enumerate(profile.targets):
        row["target_r"][place], row["target_share"][place] = r, share
    row["fresh_us"] = profile.fresh_seconds * 1e6
    for prefix, window in (("high", profile.news_high), ("med", profile.news_med), ("funding", profile.funding)):
        row[f"{prefix}_before"], row[f"{prefix}_after"] = -window[0] * MINUTE, window[1] * MINUTE
    row["stops"] = profile.stop_guard_stops
    row["stops_within"] = profile.stop_guard_hours * HOUR
    row["stops_lock"] = profile.stop_guard_lock_hours * HOUR
    row["losses_r"] = profile.low_profit_r
    row["losses_within"] = profile.low_profit_hours * HOUR
    row["losses_lock"] = profile.low_profit_lock_hours * HOUR
    row["positions"] = profile.max_positions
    row["stop_atr_least"], row["stop_atr_most"] = profile.stop_atr
    row["heat"] = profile.portfolio_heat
    return limits


def rules_of(rules: InstrumentRules) -> NDArray[np.void]:
    """The rules of an instrument as one RULES record, shape (1,).

    A quantity must do for the limit order that opens and for the market order that a stop becomes: a step is its lot.
    """
    record = np.zeros(1, RULES)
    row = record[0]
    tick, step = rules.tick_size, rules.lot_size
    row["trading"], row["futures"] = rules.status == "TRADING", rules.is_futures
    row["tick"], row["step"] = float(tick), float(step)
    row["least_ticks"] = 1 if rules.min_price is None else max(1, _whole_above(rules.min_price / tick))
    row["most_ticks"] = _MOST_COUNT if rules.max_price is None else int(rules.max_price // tick)
    least = max(rules.min_qty, rules.market_min_qty or rules.min_qty)
    row["least_steps"] = max(1, _whole_above(least / step))
    most = [int(limit // step) for limit in (rules.max_qty, rules.market_max_qty) if limit is not None]
    row["most_steps"] = min([_MOST_COUNT, *most])
    row["least_notional"] = 0.0 if rules.min_notional is None else float(rules.min_notional)
    row["most_notional"] = np.inf if rules.max_notional is None else float(rules.max_notional)
    row["fee"] = float(max(rules.maker_fee, rules.taker_fee))
    row["leverage"] = rules.most_leverage
    return record


def _whole_above(count: Decimal) -> int:
    return int(count.to_integral_value(ROUND_CEILING))


def nothing_yet(dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """One STOPS or LOSSES record before the first exit, shape (1,)."""
    record = np.zeros(1, dtype)
    record["tripped"] = NEVER
    if dtype is LOSSES:
        record["last_stop"] = NEVER
    return record

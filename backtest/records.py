"""What a portfolio remembers, what it is fed and what it writes down: numpy records of fixed size.

Everything that stands in BOOK, SYMBOL, SERIES (and in the records of `risk` and `venues.fills` beside them) is the
whole state between two bars: a run that is interrupted and restored from these goes on as if nothing had happened.

Instants are µs since the epoch, prices of bars and money quote units as float64, prices of orders whole ticks,
quantities whole steps, sides +1 and −1. `NEVER` is an instant that was not, `FOREVER` one that does not come.

Invariant: fields are eight bytes wide but in DECISION, of which there are millions.

    decisions = np.empty(most, DECISION)
"""

from __future__ import annotations

import numba
import numpy as np

from risk.records import NEVER
from venues.fills.records import FILL, FOREVER

__all__ = [
    "ACCOUNT",
    "BOOK",
    "DECISION",
    "FOREVER",
    "GUARD",
    "NEVER",
    "SAMPLE",
    "SERIES",
    "SIGNAL",
    "STANDING",
    "SYMBOL",
    "TERMS",
    "TRADE",
    "TRADE_FILL",
]

DAY = 86_400_000_000

# One account and the one profile that trades it.
BOOK = np.dtype(
    [
        ("closed", "<f8"),  # capital and the result of everything that has ended
        ("equity", "<f8"),  # and of what is open, at the last close known
        ("peak", "<f8"),
        ("day", "<i8"),  # days since the epoch
        ("day_start", "<f8"),
        ("drawdown", "<f8"),  # the deepest, as a fraction of the peak before it
        ("long_notional", "<f8"),
        ("short_notional", "<f8"),
        ("heat", "<f8"),
        ("held", "<i8"),  # symbols with a bracket, waiting or open
        ("sampled", "<i8"),  # instant of the last sample
        ("sample_us", "<i8"),  # time between two
        ("last_exit", "<i8"),
        ("turnover", "<f8"),  # Σ notional of all fills
        # how much was written in the outputs of this call
        ("decisions", "<i8"),
        ("accounts", "<i8"),
        ("standings", "<i8"),
        ("guards", "<i8"),
        ("trades", "<i8"),
        ("fills", "<i8"),
        ("samples", "<i8"),
    ]
)

# One instrument. Rules, news and funding are stretches of common arrays, in the order of time.
SYMBOL = np.dtype(
    [
        ("rules", "<i8"),  # the version that is in force
        ("rules_end", "<i8"),
        ("news", "<i8"),  # the first event that may still matter
        ("news_end", "<i8"),
        ("funding", "<i8"),  # the first settlement that has not come
        ("funding_begin", "<i8"),
        ("funding_end", "<i8"),
        # its bracket
        ("holding", "<i8"),
        ("series", "<i8"),  # whose signal it came from, and whose bars it walks
        ("at", "<i8"),  # its next bar
        ("ends", "<i8"),  # when that bar has ended; FOREVER = none is known
        ("halts", "<i8"),  # when its rules cease to be those of a symbol that is traded; FOREVER = they do not
        ("due", "<i8"),  # when something can happen to it next
        ("costs", "<i8"),  # the version it was placed under
        ("settled", "<i8"),  # the first settlement of funding that it has not met
        ("signal", "<i8"),
        ("worth", "<f8"),  # its result so far, open part at `mark`
        ("mark", "<f8"),
        ("marked", "<i8"),  # the instant of that close
        ("notional", "<f8"),
        ("heat", "<f8"),
        # the last rows that were written for it
        ("standing", "<i8"),
        ("guard", "<i8"),
    ]
)

# One series whose signals are traded, or whose bars are asked when a longer one cannot tell.
SERIES = np.dtype(
    [
        ("symbol", "<i8"),
        ("tf", "<i8"),
        ("finer", "<i8"),  # the series inside its bars; −1 = none
        # stretches of the arrays of this call
        ("first", "<i8"),  # bars that finer questions may be asked of
        ("fresh", "<i8"),  # bars that have not happened yet
        ("end", "<i8"),
        ("signal", "<i8"),  # the first signal that may still live
        ("signals_end", "<i8"),
        ("at", "<i8"),  # the next bar to look at signals
        ("due", "<i8"),
    ]
)

SIGNAL = np.dtype(
    [
        ("number", "<i8"),  # within the run
        ("series", "<i8"),
        ("bar", "<i8"),  # that made it, in the arrays of this call; −1 = an earlier call's
        ("ts", "<i8"),
        ("side", "<i8"),
        ("entry", "<f8"),
        ("stop", "<f8"),
        ("atr14", "<f8"),  # NaN = not defined
        ("ttl_bars", "<i8"),
        ("structure", "<i8"),
        ("triggers", "<i8"),
        ("zone_ends", "<i8"),  # when its zone ceases to be active; FOREVER = it has none, or that is not known yet
        ("acted", "<i8"),
    ]
)

# One evaluation; with the rows it names it is all that the evaluation was given.
DECISION = np.dtype(
    [
        ("ts", "<i8"),
        ("close", "<f8"),
        ("signal", "<i4"),
        ("passed", "<i4"),  # bit k: gate k passed
        ("first", "<i2"),  # the first that failed; −1 = none, and a bracket was placed
        ("vol_state", "<i1"),
        ("zone_active", "<i1"),
        ("rules", "<i4"),
        ("account", "<i4"),
        ("standing", "<i4"),
        ("guard", "<i4"),
    ]
)

# What of a situation is the account's, the symbol's, and the guards'. A row is written when it differs from the last.
ACCOUNT = np.dtype(
    [(name, "<f8") for name in ("equity", "day_start", "peak", "long_notional", "short_notional", "heat")]
    + [("positions", "<i8"), ("stops_tripped", "<i8")]
)
STANDING = np.dtype([("brackets", "<i8"), ("symbol_notional", "<f8"), ("last_stop", "<i8"), ("losses_tripped", "<i8")])
GUARD = np.dtype(
    [(name, "<i8") for name in ("news", "news_limit", "funding_last", "funding_next")] + [("funding_rate", "<f8")]
)

# A bracket that has ended.
TRADE = np.dtype(
    [
        ("signal", "<i8"),
        ("symbol", "<i8"),
        ("series", "<i8"),
        ("costs", "<i8"),
        ("placed_us", "<i8"),
        ("entered_us", "<i8"),
        ("left_us", "<i8"),
        ("side", "<i8"),
        ("asked", "<i8"),  # ticks: limit of the entry
        ("stop", "<i8"),
        ("entered", "<i8"),  # 0 = it was never filled
        ("steps", "<i8"),
        ("gross", "<i8"),  # ticks × steps
        ("reason", "<i8"),
        ("guesses", "<i8"),
        ("fees", "<f8"),
        ("funding", "<f8"),
        ("pnl", "<f8"),
        ("r", "<f8"),
        ("mfe_r", "<f8"),
        ("mae_r", "<f8"),
        ("fills", "<i8"),  # how many
    ]
)

# A fill of a trade, entry included.
TRADE_FILL = np.dtype([("trade", "<i8"), *FILL.descr])

# How positions are led, beside the limits of the profile.
TERMS = np.dtype([("after_first", "<i8"), ("trail_atr", "<f8"), ("max_bars", "<i8")])

SAMPLE = np.dtype([("ts", "<i8"), ("equity", "<f8"), ("peak", "<f8")])

(
    book_type,
    symbol_type,
    series_type,
    signal_type,
    decision_type,
    account_type,
    standing_type,
    guard_type,
    trade_type,
    trade_fill_type,
    sample_type,
    terms_type,
) = (
    numba.from_dtype(dtype)
    for dtype in (BOOK, SYMBOL, SERIES, SIGNAL, DECISION, ACCOUNT, STANDING, GUARD, TRADE, TRADE_FILL, SAMPLE, TERMS)
)

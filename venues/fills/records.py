"""What the fill model is asked, what it remembers and what it answers: numpy records of fixed size.

A bracket is one entry, one stop and a ladder of targets. Its record holds first what was asked, then where it stands;
copying the record copies the bracket, so that a run can be interrupted between any two bars. Prices are whole counts
of the instrument's tick, quantities whole counts of its step, instants µs since the epoch; money is in quote units.

Invariant: all fields are eight bytes wide (or arrays of such), and what is not in use is zero.

    brackets = np.zeros(100, BRACKET)
"""

from __future__ import annotations

import numba
import numpy as np

# Rungs of the longest ladder, and the most fills a bracket can have: its entry, every rung, the rest.
MAX_RUNGS = 8
MAX_FILLS = MAX_RUNGS + 2

# An instant that never comes.
FOREVER = 2**63 - 1

ENTRY_KINDS = ("LIMIT", "MARKET")
LIMIT, MARKET = range(2)

AFTER_FIRST = ("keep", "breakeven", "trail")
KEEP, BREAKEVEN, TRAIL = range(3)

STATES = ("WAITING", "OPEN", "DONE")
WAITING, OPEN, DONE = range(3)

ROLES = ("ENTRY", "STOP", "TAKE_PROFIT", "EXIT")
ENTRY, STOP, TAKE_PROFIT, EXIT = range(4)

EXIT_REASONS = ("", "STOP", "BREAKEVEN", "TRAIL", "TARGET", "TIME", "LIQUIDATION", "EXPIRED", "END")
(NO_EXIT, BY_STOP, BY_BREAKEVEN, BY_TRAIL, BY_TARGET, BY_TIME, BY_LIQUIDATION, BY_EXPIRY, BY_END) = range(9)

# What `advance` answers.
NOTHING, FILLED, CLOSED, AMBIGUOUS = range(4)

# What is taken for true where even the finest bar cannot tell.
POLICIES = ("stop", "target")
STOP_FIRST, TARGET_FIRST = range(2)

REFUSALS = (
    "",
    "SHORT",
    "STOP_SIDE",
    "TARGET_ORDER",
    "QUANTITY_SUM",
    "MIN_QTY",
    "MAX_QTY",
    "MIN_NOTIONAL",
    "MAX_NOTIONAL",
)
(ACCEPTED, NO_SHORT, STOP_SIDE, TARGET_ORDER, QUANTITY_SUM, MIN_QTY, MAX_QTY, MIN_NOTIONAL, MAX_NOTIONAL) = range(9)

BRACKET = np.dtype(
    [
        # asked
        ("side", "<i8"),  # +1 long, −1 short
        ("kind", "<i8"),  # in ENTRY_KINDS
        ("entry", "<i8"),  # ticks; of a market entry: the price it was decided at
        ("stop", "<i8"),  # ticks
        ("steps", "<i8"),  # quantity of all rungs
        ("rungs", "<i8"),
        ("targets", "<i8", (MAX_RUNGS,)),  # ticks, nearest first
        ("shares", "<i8", (MAX_RUNGS,)),  # steps of each rung
        ("after_first", "<i8"),  # in AFTER_FIRST: what the stop does once the first target was filled
        ("trail", "<i8"),  # ticks behind the best price
        ("since_us", "<i8"),  # when it was placed: the open time of the first bar that may fill it
        ("bar_us", "<i8"),  # duration of a bar of its timeframe
        ("ttl_bars", "<i8"),  # how many bars the entry waits; 0 = for ever
        ("max_bars", "<i8"),  # how many bars the position is held, that of the entry included; 0 = for ever
        # where it stands
        ("state", "<i8"),  # in STATES
        ("expires_us", "<i8"),
        ("entered", "<i8"),  # ticks
        ("entered_us", "<i8"),
        ("open_steps", "<i8"),
        ("next_rung", "<i8"),
        ("stop_now", "<i8"),  # ticks
        ("stop_reason", "<i8"),  # in EXIT_REASONS: what the exit is called where the stop is hit
        ("moves_us", "<i8"),  # when the bar ends after which the stop moves next
        ("leaves_us", "<i8"),  # of the time stop
        ("liquidation", "<f8"),  # ticks times side; −inf = none
        ("best", "<f8"),  # ticks times side: the best price that surely came while the position was open
        ("worst", "<f8"),  # ticks times side: the worst that may have
        ("gross", "<i8"),  # Σ (exit − entry)·side·quantity, in ticks × steps: exact
        ("fees", "<f8"),
        ("funding", "<f8"),  # paid; negative = received
        ("burden", "<f8"),  # ticks of the margin of one step that funding has used up
        ("reason", "<i8"),  # in EXIT_REASONS
        ("left_us", "<i8"),
        ("guesses", "<i8"),  # bars that could not tell, where the policy decided
        ("fills", "<i8"),  # how many there were
    ]
)

# The fields of a bracket that are asked; the others are where it stands.
ASKED = (BRACKET.names or ())[: (BRACKET.names or ()).index("state")]

# What an instrument, its venue and the book's terms cost, as of a bar.
COSTS = np.dtype(
    [
        ("tick", "<f8"),
        ("step", "<f8"),  # of a bracket: what both a limit and a market order may be multiples of
        ("maker", "<f8"),  # fraction of the notional
        ("taker", "<f8"),
        ("slippage", "<f8"),  # fraction of the price, against the order
        ("maintenance", "<f8"),  # margin, fraction of the notional
        ("leverage", "<f8"),
        ("is_futures", "<i8"),
        ("policy", "<i8"),  # in POLICIES
        ("min_steps", "<i8"),
        ("max_steps", "<i8"),  # 0 = no limit
        ("min_notional", "<f8"),
        ("max_notional", "<f8"),  # 0 = no limit
    ]
)

FILL = np.dtype(
    [
        ("us", "<i8"),  # its bar's open where it filled there, else its bar's end: when it was certain
        ("role", "<i8"),  # in ROLES
        ("rung", "<i8"),  # of a TAKE_PROFIT, from 0; else −1
        ("side", "<i8"),  # +1 bought, −1 sold
        ("price", "<i8"),  # ticks
        ("steps", "<i8"),
        ("maker", "<i8"),
        ("fee", "<f8"),  # forfeited margin of a liquidation included
    ]
)

SINGLE_KINDS = ("LIMIT", "MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET")
SINGLE_LIMIT, SINGLE_MARKET, SINGLE_STOP, SINGLE_TAKE_PROFIT = range(4)

# An order that stands alone.
SINGLE = np.dtype(
    [
        ("side", "<i8"),  # +1 buys, −1 sells
        ("kind", "<i8"),  # in SINGLE_KINDS
        ("price", "<i8"),  # ticks: the limit, or the price that triggers; of a MARKET order: nothing
        ("steps", "<i8"),
        ("since_us", "<i8"),  # when it was placed: the open time of the first bar that may fill it
        ("expires_us", "<i8"),  # FOREVER = good till cancelled
        ("state", "<i8"),  # WAITING or DONE
        ("reason", "<i8"),  # BY_EXPIRY where it was not filled
    ]
)

bracket_type = numba.from_dtype(BRACKET)
costs_type = numba.from_dtype(COSTS)
fill_type = numba.from_dtype(FILL)
fills_type = fill_type[::1]
single_type = numba.from_dtype(SINGLE)

"""Every price there was: a fill model that needs no rules about bars, to hold the one with bars to.

Written for the long side, in ticks, from the words alone: it walks single trades and shares no code with the model.
Slippage is one tick. Trades inside a bar move by one tick at most; between two bars they may jump.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Trades:
    """A bracket that sees every trade.

    Args:
        entry: Its limit.
        stop: Its stop.
        ladder: Price and quantity of each rung.
        ttl_bars: How many bars the entry waits.
        max_bars: How many bars it is held.
        breakeven: Whether the stop moves to the entry after the bar of the first target.
        fills: Role, price and quantity, as they came.
    """

    entry: int
    stop: int
    ladder: list[tuple[int, int]]
    ttl_bars: int
    max_bars: int
    breakeven: bool
    fills: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open = 0
        self.rung = 0
        self.price = 0
        self.entered_at = -1
        self.done = False

    def bar(self, number: int, trades: list[int]) -> None:
        """All trades of a bar, oldest first."""
        if self.entered_at < 0 and number >= self.ttl_bars:
            self.done = True
        for place, trade in enumerate(trades):
            if not self.done:
                self._trade(number, place == 0, trade)
        if self.breakeven and self.rung > 0:
            self.stop = max(self.stop, self.price)

    def _trade(self, number: int, first: bool, trade: int) -> None:  # noqa: FBT001 - a test's inner step
        arrives = first and number == 0 and self.entered_at < 0
        if self.entered_at < 0:
            if trade >= self.entry:
                return
            self.price = min(self.entry, trade + 1) if arrives else self.entry
            self.entered_at, self.open = number, sum(quantity for _, quantity in self.ladder)
            self.fills.append(("ENTRY", self.price, self.open))
        if trade <= self.stop:
            self._leave("STOP", trade - 1, self.open)
        while self.open and trade > self.ladder[self.rung][0]:
            target, quantity = self.ladder[self.rung]
            self.rung += 1
            self._leave("TAKE_PROFIT", max(target, trade - 1) if arrives else target, quantity)
        if self.open and first and number >= self.entered_at + self.max_bars:
            self._leave("EXIT", trade - 1, self.open)

    def _leave(self, role: str, price: int, quantity: int) -> None:
        self.fills.append((role, price, quantity))
        self.open -= quantity
        self.done = self.open == 0

"""A seeded market: trends, ranges and shocks, volume by hour and weekday, and outages of the exchange.

A skeleton of hourly log prices (regime segments, drift in trends, pull to the middle in ranges, a jump at the start of
a shock, a slow pull back to the base price) spans 2017 to 2040 and is drawn once a symbol. Inside an hour six sub-steps
a minute form a Brownian bridge between its ends, so any block of 8 days can be drawn alone and is the same whatever
was asked before: a bar is a function of (seed, symbol, time). Outages belong to the exchange, not to the symbol.
It promises no likeness to any real market and no edge.

    SeededMarket(seed=7, symbols=("BTCUSDT",)).minutes("BTCUSDT", block)
"""

from __future__ import annotations

import math
import threading
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from venues.simulator.bars import BLOCK_DAYS, BLOCK_MS, MINUTE_MS, ORIGIN_MS, Bars, Col, Matrix, block_start, empty
from venues.simulator.market import SymbolRules, split_symbol

Floats = npt.NDArray[np.float64]

BLOCKS = 1052
HORIZON_MS = ORIGIN_MS + BLOCKS * BLOCK_MS
BLOCK_HOURS = BLOCK_DAYS * 24
BLOCK_MINUTES = BLOCK_HOURS * 60
SUB_STEPS = 6
HOURS = BLOCKS * BLOCK_HOURS

TREND, RANGE, SHOCK = 0, 1, 2
REGIME_SHARE = (0.42, 0.50, 0.08)
REGIME_HOURS = np.array((40.0, 30.0, 3.0))  # mean length of a segment
REGIME_SIGMA = np.array((1.0, 0.7, 4.0))  # multiples of the symbol's hourly volatility
REGIME_VOLUME = np.array((1.2, 0.8, 4.0))
SEGMENTS = 16_000  # more than twice what the horizon needs on average
TREND_DRIFT = 0.2  # of sigma, an hour
RANGE_PULL = 0.85  # share of a range's own drift that is taken out
SHOCK_JUMP = 1.5  # of the shock's sigma, in its first hour
DAILY_REVERSION = 0.006  # of the log distance to the base price

# By hour of day (UTC): quiet in the small hours, busiest when Europe and America overlap.
HOUR_OF_DAY = (
    1.0 + 0.55 * np.sin((np.arange(24) - 8.5) * math.tau / 24) + 0.15 * np.sin(np.arange(24) * 2 * math.tau / 24)
)
DAY_OF_WEEK = np.array((0.65, 1.05, 1.1, 1.1, 1.1, 1.05, 0.7))  # from Sunday: the origin is one
OUTAGES_PER_BLOCK = 0.2
OUTAGE_MINUTES = (2, 240)


@dataclass(frozen=True, slots=True)
class Profile:
    """How one symbol is priced and traded; units as in `SymbolRules`."""

    price: float
    price_decimals: int
    volume_decimals: int
    hourly_sigma: float
    minute_volume: float


PROFILES = {
    "BTCUSDT": Profile(60_000.0, 1, 3, 0.0045, 12.0),
    "ETHUSDT": Profile(3_000.0, 2, 3, 0.0055, 160.0),
    "BNBUSDT": Profile(600.0, 2, 2, 0.005, 90.0),
    "SOLUSDT": Profile(150.0, 2, 2, 0.0075, 1_500.0),
    "XRPUSDT": Profile(0.6, 4, 1, 0.0065, 90_000.0),
}


@dataclass(frozen=True, slots=True)
class _Skeleton:
    start: Floats  # log price over the base at the start of each hour
    move: Floats  # log return of each hour
    sigma: Floats  # volatility of each hour
    activity: Floats  # multiple of the usual volume


class SeededMarket:
    """Generated symbols.

    Args:
        seed: Chooses the market; every seed is another one.
        symbols: What is listed; names end in a known quote asset.
        first_ms: When all symbols were listed.
        end_ms: No bar opens at or after this instant.
    """

    def __init__(self, seed: int, symbols: tuple[str, ...], *, first_ms: int, end_ms: int = HORIZON_MS) -> None:
        self._seed = seed
        self._profiles = {symbol: PROFILES.get(symbol) or _profile_of(symbol) for symbol in symbols}
        self._skeletons: dict[str, _Skeleton] = {}
        self._lock = threading.Lock()
        self.symbols = {name: _rules(name, profile, first_ms, end_ms) for name, profile in self._profiles.items()}

    def minutes(self, symbol: str, block: int) -> Bars:
        """All 1m bars of one block inside the symbol's life, outages left out."""
        rules = self.symbols[symbol]
        if not 0 <= block < BLOCKS:
            return empty()
        profile, skeleton = self._profiles[symbol], self._skeleton(symbol)
        rng = self._rng(symbol, block, "minutes")
        hours = slice(block * BLOCK_HOURS, (block + 1) * BLOCK_HOURS)
        cells = np.empty((len(Col), BLOCK_MINUTES), dtype=np.int64)
        cells[Col.OPEN_MS] = block_start(block) + np.arange(BLOCK_MINUTES) * MINUTE_MS
        _prices(cells, rng, skeleton, hours, profile)
        _volumes(cells, rng, np.repeat(skeleton.activity[hours], 60), profile)
        opens = cells[Col.OPEN_MS]
        alive = (opens >= rules.first_ms) & (opens < rules.end_ms) & ~self._outage(block)
        return Bars(cells[:, alive])

    def _outage(self, block: int) -> npt.NDArray[np.bool_]:
        rng = self._rng("", block, "outages")
        down = np.zeros(BLOCK_MINUTES, dtype=np.bool_)
        for _ in range(int(rng.poisson(OUTAGES_PER_BLOCK))):
            start = int(rng.integers(BLOCK_MINUTES))
            length = int(np.clip(rng.lognormal(3.2, 0.9), *OUTAGE_MINUTES))
            down[start : start + length] = True
        return down

    def _skeleton(self, symbol: str) -> _Skeleton:
        with self._lock:
            if symbol not in self._skeletons:
                rng = self._rng(symbol, 0, "skeleton")
                self._skeletons[symbol] = _draw_skeleton(rng, self._profiles[symbol])
            return self._skeletons[symbol]

    def _rng(self, symbol: str, block: int, purpose: str) -> np.random.Generator:
        name = zlib.crc32(f"{purpose}:{symbol}".encode())
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, name, block])))


def _profile_of(symbol: str) -> Profile:
    """A plausible profile for a symbol without one of its own, the same in every process."""
    base, _ = split_symbol(symbol)
    price = 10.0 ** (zlib.crc32(base.encode()) % 400 / 100 - 1)
    decimals = 2 if price >= 100 else 4 if price >= 1 else 6
    return Profile(price, decimals, 2 if price >= 10 else 0, 0.007, round(400_000 / price, 2))


def _rules(symbol: str, profile: Profile, first_ms: int, end_ms: int) -> SymbolRules:
    base, quote = split_symbol(symbol)
    return SymbolRules(
        symbol=symbol,
        base=base,
        quote=quote,
        price_decimals=profile.price_decimals,
        volume_decimals=profile.volume_decimals,
        quote_decimals=profile.price_decimals + profile.volume_decimals,
        first_ms=first_ms,
        end_ms=min(end_ms, HORIZON_MS),
    )


def _draw_skeleton(rng: np.random.Generator, profile: Profile) -> _Skeleton:
    kinds = rng.choice(3, size=SEGMENTS, p=REGIME_SHARE)
    lengths = 1 + rng.geometric(1 / REGIME_HOURS[kinds])
    direction = rng.choice((-1.0, 1.0), size=SEGMENTS)
    segment = np.repeat(np.arange(SEGMENTS), lengths)[:HOURS]
    kind, heading = kinds[segment], direction[segment]
    of_day = np.arange(HOURS) % 24
    sigma = profile.hourly_sigma * REGIME_SIGMA[kind] * np.sqrt(HOUR_OF_DAY[of_day])
    move = sigma * rng.standard_normal(HOURS)
    counts = np.bincount(segment)
    mean = np.bincount(segment, weights=move) / counts
    first = np.diff(segment, prepend=-1) != 0
    move -= np.where(kind == RANGE, RANGE_PULL * mean[segment], 0.0)
    move += np.where(kind == TREND, TREND_DRIFT * sigma * heading, 0.0)
    move += np.where((kind == SHOCK) & first, SHOCK_JUMP * sigma * heading, 0.0)
    move += np.repeat(_pull(move.reshape(-1, 24).sum(axis=1)), 24) / 24
    end = np.cumsum(move)
    activity = REGIME_VOLUME[kind] * HOUR_OF_DAY[of_day] * DAY_OF_WEEK[np.arange(HOURS) // 24 % 7]
    return _Skeleton(end - move, move, sigma, activity)


def _pull(daily: Floats) -> Floats:
    """Each day's correction towards the base price: an AR(1) on the days, which has no vector form."""
    level, out = 0.0, np.empty_like(daily)
    for day, move in enumerate(daily.tolist()):
        out[day] = -DAILY_REVERSION * level
        level += move + out[day]
    return out


# Both fill their rows of the matrix in place: a block is the largest thing here and is not copied.
def _prices(cells: Matrix, rng: np.random.Generator, skeleton: _Skeleton, hours: slice, profile: Profile) -> None:
    steps = 60 * SUB_STEPS
    noise = rng.standard_normal((BLOCK_HOURS, steps)) * (skeleton.sigma[hours, None] / math.sqrt(steps))
    # The bridge: whatever the noise adds up to, the hour ends where the skeleton says.
    noise += (skeleton.move[hours] / steps - noise.mean(axis=1))[:, None]
    path = skeleton.start[hours, None] + np.cumsum(noise, axis=1)
    units = np.rint(np.exp(path) * (profile.price * 10**profile.price_decimals)).astype(np.int64)
    points = np.maximum(units, 1).reshape(BLOCK_MINUTES, SUB_STEPS)
    cells[Col.OPEN], cells[Col.CLOSE] = points[:, 0], points[:, -1]
    cells[Col.HIGH], cells[Col.LOW] = points.max(axis=1), points.min(axis=1)


def _volumes(cells: Matrix, rng: np.random.Generator, activity: Floats, profile: Profile) -> None:
    usual = profile.minute_volume * 10**profile.volume_decimals
    shape = rng.lognormal(-0.18, 0.6, BLOCK_MINUTES)
    volume = np.maximum(1, np.rint(usual * activity * shape)).astype(np.int64)
    width = np.maximum(cells[Col.HIGH] - cells[Col.LOW], 1)
    lean = 0.5 + 0.3 * (cells[Col.CLOSE] - cells[Col.OPEN]) / width + 0.05 * rng.standard_normal(BLOCK_MINUTES)
    taker = np.rint(volume * np.clip(lean, 0.02, 0.98)).astype(np.int64)
    total = cells[Col.OPEN] + cells[Col.HIGH] + cells[Col.LOW] + cells[Col.CLOSE]
    cells[Col.VOLUME], cells[Col.TAKER_BASE] = volume, taker
    cells[Col.QUOTE], cells[Col.TAKER_QUOTE] = total * volume // 4, total * taker // 4
    cells[Col.TRADES] = 1 + np.rint(400 * activity * np.sqrt(shape)).astype(np.int64)

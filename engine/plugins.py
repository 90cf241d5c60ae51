"""The protocol of plug-in bots: what a bot is given at each closed bar, and what it may answer.

A bot is any object with `name`, `inputs` and `on_bar`; it inherits from nothing. It is called once a bar, in order,
with the values it declared in `inputs`, each as it was known at that bar. What it wants to remember it puts into
`state`, a dict of JSON values: after every bar the state becomes bytes, and the next bar gets what those bytes say.

Invariant: a `Signal` that exists is one the tables accept. All times are µs since the epoch (UTC).
Left out: finding, running and stopping bots (room `bots`).

    class Silent:
        name, inputs = "silent", ("atr14",)
        def on_bar(self, ctx, bar, feats, state): return []
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, Protocol, TypeAlias

if TYPE_CHECKING:
    from contracts import SeriesKey

Side: TypeAlias = Literal["LONG", "SHORT"]
Scalar: TypeAlias = str | int | float | bool | None
State: TypeAlias = dict[str, Any]
Feats: TypeAlias = Mapping[str, Any]

SIDES = ("LONG", "SHORT")
ZONE_KINDS = ("OB", "FVG")
# The tables a bot may name in `inputs`, beside the columns of `indicators`.
INPUT_TABLES = (
    "regimes",
    "swings",
    "smc_events",
    "liquidity_events",
    "zone_events",
    "zones",
    "inversions",
    "signals",
)
MAX_TARGETS = 10
MAX_TTL_BARS = 1_000
MAX_FEATURES_BYTES = 4_096
_INT64 = 2**63
# Made once: `json.dumps` makes one at every call, which at 50,000 bars a second is most of the work.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


class Bar(NamedTuple):
    """One closed bar.

    Attributes:
        open_time: Its beginning, µs since the epoch.
        ts: The instant it became known (`open_time` + duration), µs since the epoch.
        open: Price in quote units, like high, low and close.
        high: See `open`.
        low: See `open`.
        close: See `open`.
        volume: Base units.
    """

    open_time: int
    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class BotContext(NamedTuple):
    """Where a bar stands.

    Attributes:
        key: Series of the bar.
        ts: The bar's `ts`; there is no other clock.
        params: The engine's parameters by name (engine-spec section 8), for reading only.
    """

    key: SeriesKey
    ts: int
    params: Mapping[str, Any]


class ZoneRef(NamedTuple):
    """The zone a signal is about, by the key it has in its series.

    Attributes:
        kind: `OB` or `FVG`.
        created_ts: When the zone became known, µs since the epoch.
    """

    kind: Literal["OB", "FVG"]
    created_ts: int


class Bot(Protocol):
    """A plug-in bot.

    Attributes:
        name: The agent its signals carry: lower case letters, digits and underscores, at most 40.
        inputs: Columns of `indicators` by name, and tables of `INPUT_TABLES`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above

    @property
    def inputs(self) -> tuple[str, ...]: ...  # noqa: D102 - described above

    def on_bar(self, ctx: BotContext, bar: Bar, feats: Feats, state: State) -> list[Signal]:
        """Look at one closed bar.

        Args:
            ctx: Series, instant and parameters.
            bar: The bar.
            feats: One entry for each input. A column: float, or None where it is not yet defined. A table: a tuple
                of the rows that became known at this bar, as dicts without the series key; times in µs. `zones` and
                `inversions` are those that changed at this bar, in the state they had then.
            state: What this bot kept for this series, `{}` at its first bar. Change it in place.

        Returns:
            The signals of this bar: none, one, or one of either side.
        """
        ...


@dataclass(frozen=True, slots=True)
class Signal:
    """A suggestion to trade, known at the bar it was returned for.

    Attributes:
        side: `LONG` or `SHORT`.
        entry: Price at which to enter, quote units.
        stop: Price at which the idea is wrong: below `entry` for LONG, above it for SHORT.
        tp_r: Targets in units of the risk |entry − stop|, ascending, 1 to 10 of them.
        ttl_bars: For how many bars the signal may be acted on, 1 to 1,000.
        score: 0 to 1.
        features: What the signal was seen by: JSON scalars by name, at most 4 KiB as text. The decision's gates read
            the names of engine-spec section 6 (`ema200_up`, `macd_hist_up`, `rsi_mid_rebound`, …).
        zone: The zone it is about; None = no zone.
        retest_ok: Whether the indicators confirm (a gate reads it).
        structure_ok: Whether the structure is in its direction (a gate reads it).

    Raises:
        ValueError: A value is of a wrong type or cannot be; the message names it.
    """

    side: Side
    _: KW_ONLY
    entry: float
    stop: float
    tp_r: tuple[float, ...] = (1.5, 2.0, 3.0)
    ttl_bars: int = 6
    score: float = 0.5
    features: Mapping[str, Scalar] = field(default_factory=dict)
    zone: ZoneRef | None = None
    retest_ok: bool = False
    structure_ok: bool = False

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            _refuse("side", "LONG or SHORT", self.side)
        entry, stop = _price("entry", self.entry), _price("stop", self.stop)
        if (stop >= entry) if self.side == "LONG" else (stop <= entry):
            where = "below" if self.side == "LONG" else "above"
            _refuse("stop", f"{where} the entry {entry} of a {self.side}", stop)
        values = {
            "entry": entry,
            "stop": stop,
            "tp_r": _targets(self.tp_r),
            "ttl_bars": _whole("ttl_bars", self.ttl_bars, low=1, high=MAX_TTL_BARS),
            "score": _score(self.score),
            "features": _features(self.features),
            "zone": _zone(self.zone),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        for name in ("retest_ok", "structure_ok"):
            if not isinstance(getattr(self, name), bool):
                _refuse(name, "True or False", getattr(self, name))

    @property
    def features_text(self) -> str:
        """`features` as canonical JSON: names sorted, no spaces."""
        return canonical_json(self.features)


def canonical_json(value: object) -> str:
    """JSON with sorted names, no spaces and floats in their shortest form: equal values have equal texts.

    Raises:
        TypeError: A value is no JSON value.
        ValueError: A number is not finite.
    """
    return _CANONICAL.encode(value)


def _refuse(name: str, needed: str, received: object) -> NoReturn:
    try:
        shown = repr(received)
    except ValueError:  # Python writes out no integer of more than 4,300 digits
        shown = f"a {type(received).__name__} too long to be written out"
    msg = f"signal: {name} must be {needed}, received {shown}"
    raise ValueError(msg)


def _real(name: str, value: object, needed: str) -> float:
    # numpy's float64 is a float; a bool is an int to Python, and never a price
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name, needed, value)
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the largest float
        number = math.inf
    if not math.isfinite(number):
        _refuse(name, needed, value)
    return number


def _price(name: str, value: object) -> float:
    price = _real(name, value, "a finite positive number")
    if price <= 0.0:
        _refuse(name, "a finite positive number", value)
    return price


def _score(value: object) -> float:
    score = _real("score", value, "a number from 0 to 1")
    if not 0.0 <= score <= 1.0:
        _refuse("score", "a number from 0 to 1", value)
    return score


def _whole(name: str, value: object, *, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _refuse(name, f"a whole number from {low} to {high}", value)
    return value


def _targets(value: object) -> tuple[float, ...]:
    needed = f"1 to {MAX_TARGETS} positive ascending numbers"
    if not isinstance(value, tuple | list) or not 1 <= len(value) <= MAX_TARGETS:
        _refuse("tp_r", needed, value)
    targets = tuple(_real("tp_r", one, needed) for one in value)
    if any(after <= before for before, after in zip((0.0, *targets), targets, strict=False)):
        _refuse("tp_r", needed, value)
    return targets


def _features(value: object) -> dict[str, Scalar]:
    if not isinstance(value, Mapping):
        _refuse("features", "a mapping of names to text, numbers, True, False or None", value)
    for name, one in value.items():
        if not isinstance(name, str) or not _storable(name):
            _refuse("features", "named by plain text", name)
        if not _is_scalar(one):
            _refuse(f"features[{name!r}]", "text, a finite number, True, False or None", one)
    features = dict(value)
    size = len(canonical_json(features).encode())
    if size > MAX_FEATURES_BYTES:
        _refuse("features", f"at most {MAX_FEATURES_BYTES} bytes as text", f"{size} bytes")
    return features


def _is_scalar(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, int):
        return -_INT64 <= value < _INT64
    return isinstance(value, float) and math.isfinite(value)


def _storable(text: str) -> bool:
    """Whether a database can hold the text: no NUL, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _zone(value: object) -> ZoneRef | None:
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 2 or value[0] not in ZONE_KINDS:
        _refuse("zone", "None or a pair of OB or FVG and the zone's created_ts", value)
    return ZoneRef(value[0], _whole("zone.created_ts", value[1], low=-_INT64, high=_INT64 - 1))

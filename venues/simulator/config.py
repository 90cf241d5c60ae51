"""What a simulator is started with; one frozen value, checked before a port is opened.

Without a file of bars the market is the seeded one: listed since 2020, without an end in sight, its clock beginning
now. With a file, or with `end`, the clock begins one day before the end of the bars: a day is left to be played.

    SimulatorConfig(bars=Path("bars.csv.gz"), symbol="BTCUSDT", speed=60)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts import from_us, to_us
from venues.simulator.barfile import FileMarket, read_bars
from venues.simulator.generator import HORIZON_MS, SeededMarket
from venues.simulator.market import Market, UnknownSymbol, split_symbol
from venues.simulator.profiles import SPOT, USDM

LISTED_AT = datetime(2020, 1, 1, tzinfo=UTC)
DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT")


class SimulatorConfig(BaseModel):
    """Settings of one simulator.

    Attributes:
        host: Address to listen on; loopback unless a container needs otherwise.
        spot_port: Port of the spot address; 0 = any free one. The same for the two below.
        bars: File of 1m bars; None = the seeded market.
        symbol: Name the file's bars are listed under.
        seed: Chooses the seeded market, and the noise of the funding rates.
        symbols: What the seeded market lists.
        listed_at: When the seeded market's symbols were listed.
        end: No seeded bar opens at or after this; None = the generator's horizon (2040).
        speed: Simulated seconds a real second; 0 = the clock stands until it is moved.
        start: Where the clock begins; None = see above.
        archive_daily_delay: How long after midnight a day's file appears.
        archive_monthly_delay: How long after the first Monday's midnight the last month's file appears.
        spot_weight_limit: Request weight a minute on spot.
        usdm_weight_limit: Request weight a minute on USD-M.
        usdm_funding_limit: Requests of fundingRate and fundingInfo in five minutes.
        socket_life: Real seconds after which a WebSocket is closed.
        max_streams: Streams a WebSocket may hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    spot_port: int = Field(default=0, ge=0, le=65535)
    usdm_port: int = Field(default=0, ge=0, le=65535)
    archive_port: int = Field(default=0, ge=0, le=65535)
    bars: Path | None = None
    symbol: str = "BTCUSDT"
    seed: int = Field(default=7, ge=0)
    symbols: tuple[str, ...] = Field(default=DEFAULT_SYMBOLS, min_length=1)
    listed_at: AwareDatetime = LISTED_AT
    end: AwareDatetime | None = None
    speed: float = Field(default=1.0, ge=0, le=100_000, allow_inf_nan=False)
    start: AwareDatetime | None = None
    archive_daily_delay: timedelta = timedelta(hours=2)
    archive_monthly_delay: timedelta = timedelta(hours=2)
    spot_weight_limit: int = Field(default=SPOT.weight_limit, ge=1)
    usdm_weight_limit: int = Field(default=USDM.weight_limit, ge=1)
    usdm_funding_limit: int = Field(default=500, ge=1)
    socket_life: float = Field(default=86_400.0, gt=0)
    max_streams: int = Field(default=1024, ge=1)

    @field_validator("symbol")
    @classmethod
    def _listable(cls, value: str) -> str:
        return _symbol(value)

    @field_validator("symbols")
    @classmethod
    def _all_listable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            msg = f"a symbol is named twice: {', '.join(value)}"
            raise ValueError(msg)
        return tuple(_symbol(symbol) for symbol in value)

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [port for port in (self.spot_port, self.usdm_port, self.archive_port) if port]
        if len(set(ports)) != len(ports):
            msg = f"the three addresses need three ports, received {ports}"
            raise ValueError(msg)
        return self

    def market(self) -> Market:
        """The market these settings describe.

        Raises:
            BarsRejected: The file of bars cannot be used.
        """
        if self.bars is not None:
            return FileMarket(read_bars(self.bars), self.symbol)
        end_ms = HORIZON_MS if self.end is None else to_us(self.end) // 1000
        return SeededMarket(self.seed, self.symbols, first_ms=to_us(self.listed_at) // 1000, end_ms=end_ms)

    def clock_start(self, market: Market, *, now: datetime) -> datetime:
        """Where the clock begins.

        Args:
            market: The market of these settings.
            now: The real time, which a seeded market without an end begins at.
        """
        if self.start is not None:
            return self.start
        if self.bars is None and self.end is None:
            return now
        last = max(rules.end_ms for rules in market.symbols.values())
        return from_us(last * 1000) - timedelta(days=1)


def _symbol(value: str) -> str:
    if value != value.upper():
        msg = f"symbols are upper case, received {value!r}"
        raise ValueError(msg)
    try:
        split_symbol(value)
    except UnknownSymbol as error:
        raise ValueError(str(error)) from error
    return value

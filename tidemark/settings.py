"""The one settings object of a process: read once at start, frozen afterwards.

Sources, strongest first: arguments, `TIDEMARK_*` variables, `TIDEMARK_*_FILE` (secrets only: the file's text is
the value), and a YAML file (`TIDEMARK_CONFIG`, else `tidemark.yaml` in the working folder). A secret in the YAML
file is refused, an unknown key too. Nested values take two underscores: `TIDEMARK_BINANCE_SPOT__REST`.
The file of a demo says so (`demo: true`) and stands alone: no variable can mix a demo with anything real.

    settings = load_settings()
    settings.venue("binance_spot").rest
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

CONFIG_VARIABLE = "TIDEMARK_CONFIG"
DEFAULT_CONFIG = Path("tidemark.yaml")
# Durations of the timeframes there are; settings import nothing of ours, a test keeps this in step with contracts.
MINUTES = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1440,
}


class SettingsError(Exception):
    """The settings cannot be used; the message names the key, what was received and where it may be set."""


class VenueSettings(BaseModel):
    """Where one venue is reached. Change the addresses to use a simulator or a mirror.

    Attributes:
        rest: Base address of the public REST API.
        archive: Base address of the public data archive.
        weight_share: Share of the venue's request-weight limit that this process may use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest: str
    archive: str = "https://data.binance.vision"
    weight_share: float = Field(default=0.8, gt=0, le=1)

    @field_validator("rest", "archive")
    @classmethod
    def _http_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            msg = f"an http(s) address is needed, received {value!r}"
            raise ValueError(msg)
        return value.rstrip("/")


class BotSettings(BaseModel):
    """Plug-in bots (docs/bots.md).

    Attributes:
        folder: Folder of bot files, beside the installed packages' entry points; absent = none.
        deadline_ms: How long a bot may take for one bar before it is quarantined.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = None
    deadline_ms: int = Field(default=250, ge=1)

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()


class CalendarSource(BaseModel):
    """One calendar of events that move markets.

    Attributes:
        name: What it is called; the events are its own from one load to the next.
        path: File to read; one of `path` and `url` is needed.
        url: http(s) address to read; a link to a Google Sheet is read as its CSV export.
        form: What kind of file it is; `auto` = told from its name and content.
        timezone: Zone of times that name none; absent = rows with such times are refused.
        severities: Word of the file → `HIGH`, `MED` or `IGNORE`, beside high, medium, low and their like.
        severity: Severity of rows that state none.
        currency: Currency of rows that state none; absent = they concern every market (`ALL`).
        known_days_before: How many days before its start an event that does not say so counts as known to a backtest;
            absent = only since it was first loaded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    path: Path | None = None
    url: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    form: Literal["auto", "csv", "json", "ics"] = "auto"
    timezone: str | None = None
    severities: Mapping[str, Literal["HIGH", "MED", "IGNORE"]] = Field(default_factory=dict)
    severity: Literal["HIGH", "MED", "IGNORE"] = "MED"
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{2,10}$")
    known_days_before: int | None = Field(default=None, ge=0)

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            msg = f"there is no time zone {value!r}: it reads like Europe/Berlin or UTC"
            raise ValueError(msg)
        return value

    @field_validator("severities")
    @classmethod
    def _lower(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return {word.lower(): severity for word, severity in value.items()}

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            msg = f"calendar source {self.name!r} needs a path or a url, one of them"
            raise ValueError(msg)
        return self


class CalendarSettings(BaseModel):
    """Where events that move markets are read.

    Attributes:
        sources: The calendars, each with a name of its own.
        horizon_days: How far ahead recurring events of ICS files are written out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[CalendarSource, ...] = ()
    horizon_days: int = Field(default=400, ge=1, le=3660)

    @field_validator("sources")
    @classmethod
    def _named_once(cls, value: tuple[CalendarSource, ...]) -> tuple[CalendarSource, ...]:
        names = [source.name for source in value]
        for name in names:
            if names.count(name) > 1:
                msg = f"two calendar sources are called {name!r}: each needs a name of its own"
                raise ValueError(msg)
        return value


class _SecretFiles(PydanticBaseSettingsSource):
    """`TIDEMARK_<NAME>_FILE` gives a secret by the path of the file that holds it."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"TIDEMARK_{field_name.upper()}_FILE"
        path = os.environ.get(variable) if _is_secret(field) else None
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            msg = f"{variable} names {path}, which cannot be read: {error.strerror}"
            raise SettingsError(msg) from error

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class _YamlFile(PydanticBaseSettingsSource):
    """The settings file, parsed once, without secrets."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        path = config_path()
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            msg = f"{path} cannot be read as YAML: {' '.join(str(error).split())}"
            raise SettingsError(msg) from error
        if data is not None and not isinstance(data, dict):
            msg = f"{path} holds a {type(data).__name__}: settings are written as `name: value` lines"
            raise SettingsError(msg)
        self.data: dict[str, Any] = data or {}
        for name, field in settings_cls.model_fields.items():
            if name in self.data and _is_secret(field):
                variable = f"TIDEMARK_{name.upper()}"
                msg = f"{path} holds the secret {name!r}: give it as {variable} or {variable}_FILE instead"
                raise SettingsError(msg)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self.data.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self.data


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


class Settings(BaseSettings):
    """Everything a process of the platform is told from outside.

    Attributes:
        home: Folder of what this installation keeps on disk (embedded database, Dagster home, logs).
        admin_url: Superuser URL of an external PostgreSQL or TimescaleDB server; absent = the embedded server in
            `home`. Only `db upgrade` needs it; the role passwords it makes are kept in `home`.
        batch_url: URL by which this process logs in as `tidemark_batch`; absent = made from `home`.
        dagster_url: The same for Dagster's own storage, as `postgresql+psycopg2://`.
        database: Name of the platform's database.
        dagster_database: Name of the database that holds Dagster's storage.
        bots: Where plug-in bots are found and how long they may take.
        calendar: Calendars of events that move markets.
        sub_timeframes: Timeframe → the shorter one whose structure breaks confirm its retests (`micro_bos`); a
            backfill stores it with each series it keeps.
        dagster_port: Port of the Dagster UI on loopback; the next free one is taken when it is in use.
        log_format: `auto` = readable on a terminal, JSON lines elsewhere.
        demo: Written by `tidemark demo` into its own file: variables are ignored.
    """

    model_config = SettingsConfigDict(
        env_prefix="TIDEMARK_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
        frozen=True,
        extra="forbid",
        validate_default=True,
    )

    home: Path = Path(".tidemark")
    admin_url: SecretStr | None = None
    batch_url: SecretStr | None = None
    dagster_url: SecretStr | None = None
    database: str = Field(default="tidemark", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    dagster_database: str = Field(default="dagster", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    binance_spot: VenueSettings = VenueSettings(rest="https://data-api.binance.vision")
    binance_usdm: VenueSettings = VenueSettings(rest="https://fapi.binance.com")
    bots: BotSettings = BotSettings()
    calendar: CalendarSettings = CalendarSettings()
    sub_timeframes: Mapping[str, str] = Field(default_factory=dict)
    dagster_port: int = Field(default=3000, ge=1, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_format: Literal["auto", "json", "text"] = "auto"
    demo: bool = False

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("sub_timeframes")
    @classmethod
    def _shorter_and_dividing(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for tf, sub in value.items():
            for name in (tf, sub):
                if name not in MINUTES:
                    msg = f"{name!r} is no timeframe: use {', '.join(MINUTES)}"
                    raise ValueError(msg)
            if MINUTES[sub] >= MINUTES[tf] or MINUTES[tf] % MINUTES[sub]:
                msg = f"{sub} cannot be the sub-timeframe of {tf}: it must be shorter and divide it"
                raise ValueError(msg)
        return MappingProxyType(dict(value))

    def venue(self, name: str) -> VenueSettings:
        """Settings of one venue by its key name (`binance_spot`, `binance_usdm`)."""
        found = {"binance_spot": self.binance_spot, "binance_usdm": self.binance_usdm}
        return found[name]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, variables, secret files, then the YAML file; no `.env` and no secrets folder."""
        del dotenv_settings, file_secret_settings
        file = _YamlFile(settings_cls)
        if file.data.get("demo") is True:
            return init_settings, file
        return init_settings, env_settings, _SecretFiles(settings_cls), file


def config_path() -> Path:
    """The YAML file this process reads (it need not exist unless it was named)."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - pydantic checks each of them
    """Read and freeze the settings.

    Raises:
        SettingsError: A value is missing or wrong, a secret stands in the YAML file, or a named file is absent.
    """
    path = config_path()
    if CONFIG_VARIABLE in os.environ and not path.is_file():
        msg = f"{CONFIG_VARIABLE} names {path}, which does not exist"
        raise SettingsError(msg)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(_problem(e) for e in error.errors())
        msg = f"settings ({path} and TIDEMARK_* variables): {problems}"
        raise SettingsError(msg) from error


def _problem(error: Any) -> str:  # noqa: ANN401 - one entry of pydantic's error list
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":  # its value is not repeated: it may be a secret under a mistyped name
        return f"{name}: there is no such setting"
    field = Settings.model_fields.get(str(error["loc"][0])) if error["loc"] else None
    received = "a secret" if field is not None and _is_secret(field) else repr(error["input"])
    return f"{name}: {error['msg']}, received {received}"

"""The one settings object of a process: read once at start, frozen afterwards.

Sources, strongest first: arguments, `TIDEMARK_*` variables, `TIDEMARK_*_FILE` (secrets only: the file's text is
the value), and a YAML file (`TIDEMARK_CONFIG`, else `tidemark.yaml` in the working folder). A secret in the YAML
file is refused, an unknown key too. Nested values take two underscores: `TIDEMARK_BINANCE_SPOT__REST`.

    settings = load_settings()
    settings.venue("binance_spot").rest
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

CONFIG_VARIABLE = "TIDEMARK_CONFIG"
DEFAULT_CONFIG = Path("tidemark.yaml")


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
        dagster_port: Port of the Dagster UI on loopback; the next free one is taken when it is in use.
        log_format: `auto` = readable on a terminal, JSON lines elsewhere.
    """

    model_config = SettingsConfigDict(
        env_prefix="TIDEMARK_", env_nested_delimiter="__", frozen=True, extra="forbid", validate_default=True
    )

    home: Path = Path(".tidemark")
    admin_url: SecretStr | None = None
    batch_url: SecretStr | None = None
    dagster_url: SecretStr | None = None
    database: str = Field(default="tidemark", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    dagster_database: str = Field(default="dagster", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    binance_spot: VenueSettings = VenueSettings(rest="https://data-api.binance.vision")
    binance_usdm: VenueSettings = VenueSettings(rest="https://fapi.binance.com")
    dagster_port: int = Field(default=3000, ge=1, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_format: Literal["auto", "json", "text"] = "auto"

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

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
        yaml = YamlConfigSettingsSource(settings_cls, yaml_file=config_path())
        return init_settings, env_settings, _SecretFiles(settings_cls), yaml


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
    _refuse_secrets_in(path)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, received {_shown(e)}" for e in error.errors()
        )
        msg = f"settings ({path} and TIDEMARK_* variables): {problems}"
        raise SettingsError(msg) from error


def _shown(error: Any) -> str:  # noqa: ANN401 - one entry of pydantic's error list
    field = Settings.model_fields.get(str(error["loc"][0])) if error["loc"] else None
    return "a secret" if field is not None and _is_secret(field) else repr(error["input"])


def _refuse_secrets_in(path: Path) -> None:
    if not path.is_file():
        return
    secrets = [name for name, field in Settings.model_fields.items() if _is_secret(field)]
    text = path.read_text(encoding="utf-8")
    present = [name for name in secrets if any(line.split(":")[0].strip() == name for line in text.splitlines())]
    if present:
        variable = f"TIDEMARK_{present[0].upper()}"
        msg = f"{path} holds the secret {present[0]!r}: give it as {variable} or {variable}_FILE instead"
        raise SettingsError(msg)

from pathlib import Path

import pytest

from contracts import Timeframe
from tidemark.settings import MINUTES, SettingsError, load_settings
from venues.binance.hosts import DEFAULT_HOSTS


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMARK_CONFIG", raising=False)
    return tmp_path


def test_the_defaults_point_at_the_real_exchange_and_the_embedded_server() -> None:
    settings = load_settings()
    assert settings.venue("binance_spot").rest == "https://data-api.binance.vision"
    assert settings.venue("binance_usdm").rest == "https://fapi.binance.com"
    assert settings.venue("binance_spot").archive == "https://data.binance.vision"
    assert settings.admin_url is None
    assert settings.home.is_absolute()


def test_the_default_addresses_are_those_of_the_client() -> None:
    """Settings may not import the client: this keeps the two in step."""
    for venue, hosts in DEFAULT_HOSTS.items():
        found = load_settings().venue(venue)
        assert (found.rest, found.archive, found.weight_share) == (hosts.rest, hosts.archive, hosts.weight_share)


def test_a_variable_wins_over_the_file(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / "tidemark.yaml").write_text("log_level: ERROR\ndagster_port: 3100\n")
    monkeypatch.setenv("TIDEMARK_LOG_LEVEL", "DEBUG")
    settings = load_settings()
    assert (settings.log_level, settings.dagster_port) == ("DEBUG", 3100)


def test_a_nested_address_is_set_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_BINANCE_SPOT__REST", "http://127.0.0.1:8001/")
    assert load_settings().binance_spot.rest == "http://127.0.0.1:8001"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().log_level = "DEBUG"  # type: ignore[misc]


def test_an_unknown_key_in_the_file_is_refused_by_name(empty_folder: Path) -> None:
    (empty_folder / "tidemark.yaml").write_text("dagster_prot: 3100\n")
    with pytest.raises(SettingsError, match="dagster_prot"):
        load_settings()


def test_a_wrong_value_is_told_with_what_was_received(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_DAGSTER_PORT", "eighty")
    with pytest.raises(SettingsError, match=r"dagster_port.*'eighty'"):
        load_settings()


@pytest.mark.parametrize("written", ["admin_url: {}", '"admin_url": {}', "{{admin_url: '{}'}}"])
def test_a_secret_in_the_file_is_refused_without_repeating_it(empty_folder: Path, written: str) -> None:
    (empty_folder / "tidemark.yaml").write_text(written.format("postgresql://postgres:hunter2@db/postgres"))
    with pytest.raises(SettingsError, match="TIDEMARK_ADMIN_URL_FILE") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_secret_is_read_from_the_file_its_variable_names(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / "url").write_text("postgresql://postgres:hunter2@db/postgres\n")
    monkeypatch.setenv("TIDEMARK_ADMIN_URL_FILE", str(empty_folder / "url"))
    settings = load_settings()
    assert settings.admin_url is not None
    assert settings.admin_url.get_secret_value() == "postgresql://postgres:hunter2@db/postgres"
    assert "hunter2" not in repr(settings)


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_ADMIN_URL_FILE", "nowhere/url")
    with pytest.raises(SettingsError, match="TIDEMARK_ADMIN_URL_FILE names nowhere/url"):
        load_settings()


def test_a_named_configuration_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_CONFIG", "nowhere.yaml")
    with pytest.raises(SettingsError, match=r"nowhere\.yaml, which does not exist"):
        load_settings()


def test_the_value_of_a_mistyped_setting_is_not_repeated(empty_folder: Path) -> None:
    (empty_folder / "tidemark.yaml").write_text("admin_urll: postgresql://postgres:hunter2@db/postgres\n")
    with pytest.raises(SettingsError, match="admin_urll: there is no such setting") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("- 1", "holds a list"), ("a: [", "cannot be read as YAML")])
def test_a_file_that_holds_no_settings_is_named(empty_folder: Path, text: str, message: str) -> None:
    (empty_folder / "tidemark.yaml").write_text(text)
    with pytest.raises(SettingsError, match=rf"tidemark\.yaml {message}"):
        load_settings()


def test_a_part_of_a_venue_can_be_set_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_BINANCE_SPOT__WEIGHT_SHARE", "0.5")
    venue = load_settings().binance_spot
    assert (venue.weight_share, venue.rest) == (0.5, "https://data-api.binance.vision")


def test_no_variable_reaches_into_a_demo(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / "demo.yaml").write_text("demo: true\nhome: here\nbinance_spot: {rest: 'http://127.0.0.1:1'}\n")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(empty_folder / "demo.yaml"))
    monkeypatch.setenv("TIDEMARK_HOME", "/real")
    monkeypatch.setenv("TIDEMARK_ADMIN_URL", "postgresql://postgres:hunter2@real/postgres")
    monkeypatch.setenv("TIDEMARK_BINANCE_SPOT__REST", "https://api.binance.com")
    settings = load_settings()
    assert (settings.home.name, settings.admin_url) == ("here", None)
    assert settings.binance_spot.rest == "http://127.0.0.1:1"


def test_sub_timeframes_come_from_the_file_or_a_variable(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dict(load_settings().sub_timeframes) == {}
    (empty_folder / "tidemark.yaml").write_text("sub_timeframes: {15m: 1m, 1h: 5m}\n")
    assert dict(load_settings().sub_timeframes) == {"15m": "1m", "1h": "5m"}
    monkeypatch.setenv("TIDEMARK_SUB_TIMEFRAMES", '{"4h": "15m"}')
    assert load_settings().sub_timeframes["4h"] == "15m"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{15m: 15m}", "15m cannot be the sub-timeframe of 15m: it must be shorter and divide it"),
        ("{1m: 15m}", "15m cannot be the sub-timeframe of 1m"),
        ("{8h: 3h}", "'3h' is no timeframe: use 1m, 3m, "),
        ("{12h: 8h}", "8h cannot be the sub-timeframe of 12h: it must be shorter and divide it"),
        ("{quarter: 1m}", "'quarter' is no timeframe"),
    ],
)
def test_a_sub_timeframe_that_cannot_be_is_refused(empty_folder: Path, written: str, message: str) -> None:
    (empty_folder / "tidemark.yaml").write_text(f"sub_timeframes: {written}\n")
    with pytest.raises(SettingsError, match=f"sub_timeframes.*{message}"):
        load_settings()


def test_the_timeframes_of_the_settings_are_those_there_are() -> None:
    """Settings may not import the contracts: this keeps the two in step."""
    assert {tf: minutes * 60_000_000 for tf, minutes in MINUTES.items()} == {str(tf): tf.us for tf in Timeframe}


def test_calendars_are_read_with_paths_made_absolute_and_words_in_lower_case(empty_folder: Path) -> None:
    assert load_settings().calendar.sources == ()
    (empty_folder / "tidemark.yaml").write_text(
        """
        calendar:
          horizon_days: 90
          sources:
            - {name: fed, path: fed.csv, timezone: America/New_York, severities: {Rot: HIGH}, known_days_before: 30}
            - {name: ecb, url: "https://example.com/ecb.ics", form: ics, currency: EUR}
        """
    )
    calendar = load_settings().calendar
    fed, ecb = calendar.sources
    assert (calendar.horizon_days, fed.path, fed.url) == (90, empty_folder / "fed.csv", None)
    assert (dict(fed.severities), fed.severity, fed.known_days_before) == ({"rot": "HIGH"}, "MED", 30)
    assert (ecb.form, ecb.currency, ecb.timezone, ecb.path) == ("ics", "EUR", None, None)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{name: fed}", "needs a path or a url"),
        ("{name: fed, path: a, url: https://example.com/a}", "needs a path or a url, one of them"),
        ("{name: Fed up, path: a}", "calendar.sources.0.name"),
        ("{name: fed, path: a, timezone: Mars/Olympus}", "there is no time zone 'Mars/Olympus'"),
        ("{name: fed, path: a, severities: {x: LOUD}}", "calendar.sources.0.severities.x"),
        ("{name: fed, path: a, colour: red}", "calendar.sources.0.colour: there is no such setting"),
        ("{name: fed, path: a}, {name: fed, path: b}", "two calendar sources are called 'fed'"),
    ],
)
def test_a_calendar_that_cannot_be_read_so_is_refused_by_name(empty_folder: Path, source: str, told: str) -> None:
    (empty_folder / "tidemark.yaml").write_text(f"calendar: {{sources: [{source}]}}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert told in str(caught.value)

"""docs/profiles.md says what the models say, of every field."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel, ValidationError

from docs.profiles import PAGE, page, sentences
from engine import EngineParams
from risk import RiskProfile

TEXT = PAGE.read_text(encoding="utf-8")
MODELS: dict[str, type[BaseModel]] = {"Risk profile": RiskProfile, "Engine parameters": EngineParams}


def rows(title: str) -> dict[str, list[str]]:
    """The cells of the table under a heading, by the field's name."""
    part = TEXT.partition(f"\n## {title}\n")[2].partition("\nBesides")[0]
    lines = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in part.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells for cells in lines}


def test_the_page_is_what_the_models_say_today() -> None:
    assert page() == TEXT, "write it again: python -m docs.profiles"


@pytest.mark.parametrize("title", MODELS)
def test_every_field_has_a_default_bounds_a_unit_and_a_sentence(title: str) -> None:
    found, model = rows(title), MODELS[title]
    assert list(found) == list(model.model_fields) == list(sentences(model))
    assert all(len(cells) == 5 and all(cells) for cells in found.values())
    assert all(cells[4].endswith(".") for cells in found.values())


@pytest.mark.parametrize(
    ("title", "name", "default", "may_be"),
    [
        ("Risk profile", "risk_fraction", "`0.005`", "above 0 to 0.05"),
        ("Risk profile", "low_profit_r", "`-2.0`", "-100 to below 0"),
        ("Risk profile", "max_bars", "`null`", "1 to 100000 or null"),
        ("Risk profile", "news_high", "`[-30, 30]`", "two, -1440 to 1440"),
        ("Risk profile", "after_first", "`keep`", "`keep`, `breakeven`, `trail`"),
        (
            "Risk profile",
            "targets",
            "`[[1.5, 0.33], [2.0, 0.33], [3.0, 0.34]]`",
            "1 to 8 of [above 0 to 100; above 0 to 1]",
        ),
        ("Engine parameters", "zigzag_k", "`2.0`", "above 0"),
        ("Engine parameters", "fvg_min_atr", "`0.3`", "0 or more"),
        ("Engine parameters", "pivot_n", "`3`", "2 to 10"),
    ],
)
def test_defaults_and_bounds_are_those_of_the_model(title: str, name: str, default: str, may_be: str) -> None:
    assert rows(title)[name][1:3] == [default, may_be]


@pytest.mark.parametrize(("title", "model"), MODELS.items())
def test_a_value_at_a_bound_of_the_page_is_taken_and_one_beyond_it_is_refused(
    title: str, model: type[BaseModel]
) -> None:
    looked_at = 0
    for name, cells in rows(title).items():
        bound = re.fullmatch(r"(?:above )?\S+ to ([\d.]+)", cells[2])
        if bound is None:
            continue
        most = float(bound[1]) if "." in cells[1] else int(bound[1])
        with pytest.raises(ValidationError, match=f"(?s){name}\n.*less than or equal to"):
            model.model_validate({name: most + 1})
        try:
            model.model_validate({name: most})
        except ValidationError as error:  # for what binds it to another field
            assert "must not exceed" in str(error)  # noqa: PT017 - not every bound can be met alone
        looked_at += 1
    assert looked_at >= 10


def test_the_rules_between_fields_stand_under_the_tables() -> None:
    besides = " ".join(" ".join(re.findall(r"Besides: (.*?\.)\n", TEXT, re.DOTALL)).split())
    for rule in (
        "`risk_fraction` is at most `portfolio_heat`",
        "`daily_drawdown` at most `total_drawdown`",
        "`symbol_exposure` at most `direction_exposure`",
        "`range_adx` is at most `trend_adx`",
    ):
        assert rule in besides

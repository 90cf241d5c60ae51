"""What a person reads whose values were refused."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from contracts.complaints import complaints_of, did_you_mean


class Meal(BaseModel):
    """Something to refuse values of."""

    model_config = ConfigDict(extra="forbid", strict=True)

    courses: int = 3
    price: float = 9.5
    sizes: tuple[int, int] = (1, 2)

    @model_validator(mode="after")
    def _is_affordable(self) -> Meal:
        if self.price > 100:
            msg = f"price must not exceed 100, received {self.price}"
            raise ValueError(msg)
        return self


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"courses": "5e-1"}, "courses: Input should be a valid integer, received '5e-1'"),
        ({"price": 200.0}, "meal: price must not exceed 100, received 200.0"),
        ({"corses": 4}, "corses: no such field; did you mean courses?"),
        ({"colour": 4}, "colour: no such field"),
        ({"sizes": (1, None)}, "sizes.1: Input should be a valid integer, received None"),
        (
            {"courses": 0.5, "prise": 1.0},
            "courses: Input should be a valid integer, received 0.5; prise: no such field; did you mean price?",
        ),
    ],
)
def test_a_complaint_names_the_field_the_fault_and_what_was_received(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Meal.model_validate(values)
    assert complaints_of(refused.value, Meal, whole="meal") == told


def test_nothing_is_meant_where_no_name_is_near() -> None:
    assert did_you_mean("xyz", ["courses", "price"]) == ""
    assert did_you_mean("prices", ["courses", "price"]) == "; did you mean price?"

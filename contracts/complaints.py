"""What is wrong with values that a model refused, for the person who wrote them.

A complaint names the field, says what is wrong with it and what was received. A name that is none is answered with the
nearest one that is.

Invariant: the value stands in every complaint about one. Left out: what was being read; that is the caller's to say.

    complaints_of(error, RiskProfile)     # "risk_fracton: no such field; did you mean risk_fraction?"
    did_you_mean("risk_fracton", names)   # "; did you mean risk_fraction?"
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import BaseModel, ValidationError


# Below this, difflib's ratio finds a name for everything.
_NEAR = 0.7


def complaints_of(error: ValidationError, model: type[BaseModel], *, whole: str = "limits") -> str:
    """All that a model complained of, in its order.

    Args:
        error: Its complaint.
        model: The model, whose fields are all that can be stated.
        whole: What to call the values together, where a complaint is about more than one field.
    """
    return "; ".join(_complaint(dict(one), model.model_fields, whole) for one in error.errors())


def did_you_mean(name: str, names: Collection[str]) -> str:
    """The name that was meant, as the end of a sentence; nothing where none is near."""
    near = get_close_matches(name, names, n=1, cutoff=_NEAR)
    return f"; did you mean {near[0]}?" if near else ""


def _complaint(error: dict[str, Any], names: Collection[str], whole: str) -> str:
    field = ".".join(map(str, error["loc"])) or whole
    if error["type"] == "extra_forbidden":
        return f"{field}: no such field{did_you_mean(field, names)}"
    text = str(error["msg"]).removeprefix("Value error, ")
    # What our own checks say holds the value already.
    return f"{field}: {text}" if error["type"] == "value_error" else f"{field}: {text}, received {error['input']!r}"

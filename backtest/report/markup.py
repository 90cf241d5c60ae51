"""HTML that cannot be broken by what it shows, and numbers as a person reads them.

Invariant: whatever is not `Markup` is text and is escaped; a number that does not exist is shown as “–”, never as NaN.

    element("td", number(1234.5, 2), class_="number")      # <td class="number">1,234.50</td>
"""

from __future__ import annotations

import json
import math
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NONE: Final = "–"

_MINUS: Final = "−"
_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Anything as text of a page: escaped unless it is `Markup`; None = “–”."""
    if isinstance(value, Markup):
        return value
    return Markup(NONE if value is None else escape(str(value)))


def joined(parts: Iterable[object]) -> Markup:
    """Several things after each other."""
    return Markup("".join(map(text, parts)))


def element(name: str, *children: object, **attributes: str | int | None) -> Markup:
    """An element with its children.

    Args:
        name: Of the element.
        children: Escaped unless they are `Markup`.
        attributes: By name; `_` stands for `-`, a `_` at the end is left out, None = no such attribute.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1, class_: str | None = None
) -> Markup:
    """A table that can be scrolled sideways where the page is narrow.

    Args:
        caption: What it shows.
        columns: Their headings.
        rows: Cells; the first of each row is its heading. A cell that is `<td>` markup is taken as it is.
        words: So many columns, from the first, hold words; the others hold numbers.
        class_: Of the table.
    """
    head = element(
        "tr", *(element("th", name, scope="col", class_=_kind(at, words)) for at, name in enumerate(columns))
    )
    body = joined(element("tr", *(_cell(at, cell, words) for at, cell in enumerate(row))) for row in rows)
    inner = element("caption", element("span", caption)), element("thead", head), element("tbody", body)
    whole = element("table", *inner, class_=class_)
    return element("div", whole, class_="scroll", role="region", tabindex="0", aria_label=caption)


def script_json(value: Any) -> Markup:  # noqa: ANN401 - whatever JSON takes
    """JSON that may stand inside `<script>`: nothing in it can end the element or open a comment."""
    told = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(told.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def number(value: float | None, digits: int = 2, *, unit: str = "", sign: bool = False) -> str:
    """A number with a fixed count of decimals and commas between thousands.

    Args:
        value: None, NaN or infinite = “–”.
        digits: Decimals.
        unit: Written after it.
        sign: Whether a number above 0 gets a plus.
    """
    if value is None or not math.isfinite(value):
        return NONE
    told = f"{abs(value):,.{digits}f}"
    shown_zero = not any(digit in told for digit in "123456789")
    before = "" if shown_zero else _MINUS if value < 0 else "+" if sign else ""
    return f"{before}{told}{unit}"


def percent(fraction: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """A fraction of 1 in percent; None = “–”."""
    return number(None if fraction is None else 100 * fraction, digits, unit=" %", sign=sign)


def readable(value: Any) -> str:  # noqa: ANN401 - whatever JSON takes
    """A setting as a person writes it: numbers in their shortest form, lists with commas, no quotes and no braces."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{_MINUS if value < 0 else ''}{abs(value):.12g}"
    if isinstance(value, list | tuple):
        return ", ".join(f"({readable(one)})" if isinstance(one, list | tuple) else readable(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {readable(one)}" for key, one in value.items()) or "none"
    return str(value)


def counted(count: int, noun: str) -> str:
    """So many of something: 1 bar, 2 bars."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def length(seconds: int) -> str:
    """A time in the longest unit that it is a whole number of; none = 0."""
    for span, name in _SPANS:
        if seconds and seconds % span == 0:
            return counted(seconds // span, name)
    return "none"


def tone(value: float | None) -> str | None:
    """The class of a number that may be a gain or a loss; None = it is neither."""
    if value is None or not math.isfinite(value) or value == 0:
        return None
    return "up" if value > 0 else "down"


def _kind(at: int, words: int) -> str | None:
    return None if at < words else "number"


def _cell(at: int, cell: object, words: int) -> Markup:
    if isinstance(cell, Markup) and cell.startswith("<td"):
        return cell
    if at == 0:
        return element("th", cell, scope="row")
    return element("td", cell, class_=_kind(at, words))


def toned(shown: str, value: float | None) -> Markup:
    """A cell of a number, in the tone of what it means; what is shown as 0 has none."""
    is_zero = not any(digit in shown for digit in "123456789")
    return element("td", shown, class_=" ".join(filter(None, ("number", None if is_zero else tone(value)))))

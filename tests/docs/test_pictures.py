"""The drawings as files: sound, self-contained, and no flag over another."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from docs.pictures.chart import DRAWN, KNOWN
from docs.pictures.gallery import pictures
from docs.pictures.svg import Drawing, text_width

if TYPE_CHECKING:
    from docs.pictures.picture import Picture

SVG = "{http://www.w3.org/2000/svg}"
PLAIN = {"svg", "title", "desc", "rect", "line", "circle", "text", "linearGradient", "stop"}
every_picture = pytest.mark.parametrize("picture", pictures(), ids=lambda picture: picture.name)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - drawn here


@every_picture
def test_a_picture_is_made_of_plain_shapes_and_asks_for_nothing_from_outside(picture: Picture) -> None:
    root = parsed(picture.svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= PLAIN
    assert picture.svg.count("http") == 1  # the name of the format
    title, description = root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")
    assert title
    assert description


@every_picture
def test_no_flag_covers_another_and_none_leaves_the_picture(picture: Picture) -> None:
    root = parsed(picture.svg)
    flags = [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width"))
        for rect in root.iter(f"{SVG}rect")
        if rect.attrib.get("stroke") in (KNOWN, DRAWN) and rect.attrib["height"] == "16.0"
    ]
    assert len(flags) >= 2
    assert all(x >= 0 and x + width <= float(root.attrib["width"]) for x, _, width in flags)
    for (x1, y1, w1), (x2, y2, w2) in combinations(flags, 2):
        apart = x1 + w1 <= x2 or x2 + w2 <= x1 or abs(y1 - y2) >= 16
        assert apart, ((x1, y1), (x2, y2))


@every_picture
def test_the_text_of_a_flag_has_room_in_it(picture: Picture) -> None:
    elements = list(parsed(picture.svg))
    flags = [
        (rect, text)
        for rect, text in pairwise(elements)
        if rect.attrib.get("stroke") in (KNOWN, DRAWN) and rect.attrib.get("height") == "16.0"
    ]
    assert flags
    for rect, text in flags:
        assert text_width(text.text or "", size=11) < float(rect.attrib["width"])


def test_text_is_escaped_and_numbers_have_one_decimal() -> None:
    drawing = Drawing(10, 20, title="a < b", description='"&"')
    drawing.add("line", x1=1, y1=0.26, stroke_width=1.5, stroke='a"b')
    drawing.text(1, 2, "<&>", size=11, fill="#000000")
    root = parsed(drawing.document())
    assert root.findtext(f"{SVG}title") == "a < b"
    assert root.findtext(f"{SVG}text") == "<&>"
    line = root.find(f"{SVG}line")
    assert line is not None
    assert line.attrib == {"x1": "1.0", "y1": "0.3", "stroke-width": "1.5", "stroke": 'a"b'}

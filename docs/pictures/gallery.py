"""Every picture of docs/concepts.md, in the page's order.

Invariant: equal for every caller, on every machine: the bars are seeded and the engine is exact.

    for picture in pictures(): (FOLDER / f"{picture.name}.svg").write_text(picture.svg)
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from docs.pictures import retests, structure, zones
from docs.pictures.market import Market
from docs.pictures.picture import Picture

FOLDER: Final = Path(__file__).parents[1] / "images" / "concepts"

_DRAWN_BY: Final = (
    structure.swings,
    structure.zigzag,
    structure.breaks,
    structure.equal_levels,
    structure.sweep,
    zones.order_block,
    zones.fair_value_gap,
    zones.inversion,
    retests.retest,
    retests.micro_bos,
)


@cache
def pictures() -> tuple[Picture, ...]:
    """All of them; drawn once a process."""
    market = Market.of_the_pictures()
    return tuple(draw(market) for draw in _DRAWN_BY)

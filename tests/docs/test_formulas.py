"""The sums under the pictures, against the rows: the page explains what the engine did, for every zone and signal."""

from __future__ import annotations

import ast

import pytest

from docs.pictures.formulas import score, strength_of_block, strength_of_gap
from docs.pictures.market import Market

MARKET = Market.of_the_pictures()
VOLUMES = 19  # bars before the first one whose mean volume is defined


def total(text: str) -> float:
    """The value of a sum of products such as `0.30 + 0.15·3/10`."""
    terms = []
    for term in text.split(" + "):
        product, _, divisor = term.partition("/")
        value = 1.0
        for factor in product.split("·"):
            value *= ast.literal_eval(factor)
        terms.append(value / float(divisor or 1))
    return sum(terms)


@pytest.mark.parametrize(("kind", "explain"), [("FVG", strength_of_gap), ("OB", strength_of_block)])
def test_the_terms_of_a_strength_add_up_to_the_row_s(kind: str, explain: object) -> None:
    assert callable(explain)
    zones = [row for row in MARKET.rows.zones.to_dicts() if row["kind"] == kind]
    zones = [row for row in zones if MARKET.bar(row["created_ts"]) >= VOLUMES]
    assert len(zones) > 50
    for zone in zones:
        text = explain(MARKET, zone)
        assert total(text.partition(" = ")[2]) == zone["strength"], (zone, text)


def test_the_terms_of_a_score_add_up_to_the_row_s() -> None:
    strengths = {(row["kind"], row["created_ts"]): row["strength"] for row in MARKET.rows.zones.to_dicts()}
    signals = MARKET.rows.signals.to_dicts()
    assert len(signals) > 50
    for signal in signals:
        text = score(signal, strengths[signal["zone_kind"], signal["zone_created_ts"]])
        assert total(text) == pytest.approx(signal["score"], abs=1e-12), text

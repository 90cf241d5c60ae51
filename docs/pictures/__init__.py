"""The pictures of docs/concepts.md, drawn from the engine's own rows.

Invariant: the committed files under docs/images/concepts are, byte for byte, what these modules draw today, and every
figure in the page's captions comes from the same rows (`tests/docs/test_concepts.py`). Left out: any picture of a real
market; all bars are of one seeded random walk.

    python -m docs.pictures            # draws every file again
"""

"""Many paths of the same steps at once: where they end and how deep they fall.

A step is what one day or one trade does to the whole account; steps compound. They are handed on as logarithms, so that
a path is a sum: no growth is too great for a float, and an account that is gone stays gone.

    steps = log_steps(returns)
    final, deepest = walked(steps[indices])  # indices: paths × steps
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Numbers of one array at a time: what a processor's cache holds in part and any machine's memory holds whole.
_CELLS = 1 << 20


def log_steps(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 + r) of each step; −∞ where it loses everything or more."""
    with np.errstate(divide="ignore"):
        return np.log1p(np.maximum(returns, -1.0))


def walked(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Walk every row of steps from an account of 1.

    Args:
        steps: `log_steps`, paths × steps; at least one step.

    Returns:
        For each path the logarithm of what is left, and the deepest fall below the peak so far as a fraction of it
        (0 to 1; the beginning is the first peak).
    """
    levels = np.cumsum(steps, axis=1)
    final = levels[:, -1].copy()
    peaks = np.maximum.accumulate(levels, axis=1)
    np.maximum(peaks, 0.0, out=peaks)
    np.subtract(levels, peaks, out=levels)
    return final, -np.expm1(levels.min(axis=1))


def batches(paths: int, *, steps: int) -> Iterator[slice]:
    """The rows 0…paths in stretches that are small enough to hold `steps` numbers each."""
    rows = max(1, _CELLS // max(steps, 1))
    for first in range(0, paths, rows):
        yield slice(first, min(first + rows, paths))

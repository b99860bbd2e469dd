"""The weights of a mixture, as far as its models share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def solve_weights(q: NDArray, weights: NDArray, total: float) -> NDArray:
    """Inverse information of log weights (which are free up to a constant) times q."""
    step = q / np.maximum(total * weights, 1e-300)
    return step - weights @ step

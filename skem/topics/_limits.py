"""How small a number may be.

Below the normal range (1.2e-38 in float32, 2.2e-308 in float64) are the subnormal numbers, and each
product with one costs some processors a hundred cycles. Kernels multiply the probability of a word,
the probability of a topic, and a count. So neither probability may fall below a limit whose square
is normal; where a count is a factor as well, the product is computed in float64, and may not fall
below that square.

Smaller probabilities become the limit rather than zero, for two reasons. EM cannot leave zero,
though a topic that has nearly disappeared from a document may be needed again once the topics have
changed. (In one run on the Python reference, 100 topics, 300 steps, the bound ended 0.001 nats per
token lower with zeros below 1e-30 in float64, and 0.007 lower with zeros below 1e-18 in float32;
part of such differences is chance.) And a word that no topic of a document has would have
log-likelihood -inf. What the limit adds is below rounding: 1e-18 in float32, whose rounding is
6e-8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST32, LEAST64 = 1e-18, 1e-140
"""Least probabilities above zero, whose squares are normal numbers."""


def least(x: Any) -> float:
    """Least probability above 0 in an array of the type of x; kernels use this function too."""
    return LEAST32 if x.itemsize == 4 else LEAST64


def counts_of_type(counts: NDArray, dtype: Any) -> NDArray:
    """Expected counts, to which a prior is added, in another type: 0 if negligible in it."""
    dtype = np.dtype(dtype)
    return np.where(counts > least(dtype) ** 2, counts, 0.0).astype(dtype)


def at_least(q: NDArray) -> NDArray:
    """Probabilities to start from: zeros remain, and others are at least `least`."""
    return np.where(q > 0, np.maximum(q, least(q)), 0.0).astype(q.dtype)


def relative_powers(q: NDArray, power: float, axis: int) -> tuple[NDArray, NDArray]:
    """(q / largest) ** power along an axis, and the logs of the largest, in float64.

    Tempered posteriors need only ratios. The powers themselves would exceed the range of numbers:
    the tenth power of 1e-4 is not a normal number in float32. Powers of positive numbers are at
    least `least`, so that no word loses its last topic.
    """
    top = q.max(axis=axis, keepdims=True)
    top = np.where(top > 0, top, 1).astype(q.dtype)
    low = least(q) ** (1 / power)
    powers = np.power(np.maximum(q / top, low), q.dtype.type(power)) * (q > 0)
    return powers, np.log(top.astype(np.float64)).squeeze(axis)

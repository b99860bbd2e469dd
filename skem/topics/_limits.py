"""How small a number may get before it is zero.

Below the normal range (1.2e-38 in float32, 2.2e-308 in float64) are the subnormal numbers, each
product of which costs some processors a hundred cycles. Kernels multiply a probability of a word, a
probability of a topic, and a count. So neither probability is let fall below a limit whose square
is normal; and where a count comes in as well, the product is taken in float64, and is not let fall
below that square.

A floor and not zero, for two reasons. EM cannot leave zero, though a topic that has all but left a
document may be wanted again once the topics have changed. (In one run on the Python reference, 100
topics, 300 steps, the bound ended 0.001 nats per token lower with zeros below 1e-30 in float64, and
0.007 lower with zeros below 1e-18 in float32; part of such differences is chance.) And a word that
no topic of a document has would have log-likelihood -inf. What the floor adds is below rounding:
1e-18 of a whole in float32, whose rounding is 6e-8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST32, LEAST64 = 1e-18, 1e-140


def least(x: Any) -> float:
    """Least probability above 0 in an array of the type of x; kernels take this function too."""
    return LEAST32 if x.itemsize == 4 else LEAST64


def counts_of_type(counts: NDArray, dtype: Any) -> NDArray:
    """Expected counts, which a prior is added to, in another type: 0 if next to nothing in it."""
    dtype = np.dtype(dtype)
    return np.where(counts > least(dtype) ** 2, counts, 0.0).astype(dtype)


def at_least(q: NDArray) -> NDArray:
    """Probabilities to start from: zeros stay, and others are not so small that they are lost."""
    return np.where(q > 0, np.maximum(q, least(q)), 0.0).astype(q.dtype)


def relative_powers(q: NDArray, power: float, axis: int) -> tuple[NDArray, NDArray]:
    """(q / largest) ** power along an axis, and the logs of the largest, in float64.

    Tempered posteriors need ratios only. Powers themselves would leave the range of numbers: the
    tenth of 1e-4 is not one of float32. Those of positive numbers stop at `least`, not at zero, so
    that no word loses its last topic.
    """
    top = q.max(axis=axis, keepdims=True)
    top = np.where(top > 0, top, 1).astype(q.dtype)
    low = least(q) ** (1 / power)
    powers = np.power(np.maximum(q / top, low), q.dtype.type(power)) * (q > 0)
    return powers, np.log(top.astype(np.float64)).squeeze(axis)

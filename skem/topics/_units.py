"""Counts of any size: units that keep numbers in range, and refusal of counts that have none.

PLSA does not depend on the unit of the counts (the exponents of a Dirichlet prior have the same
unit), so counts that are far from 1 are divided by a power of two, which rounds nothing. LDA does
depend on it, because its priors count in tokens: its counts must be such that the product of any
two sums of them is a normal number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.topics._counts import Counts

_NEAR = 32
"""Counts are used unchanged if they are within so many powers of two of 1: products of a few such
numbers are normal in float32."""

_MOST = 1e30
"""Exponent of a prior, in the unit of the counts, above which the counts vanish beside it."""


def power_of(sizes: NDArray) -> NDArray:
    """Powers of two near positive sizes; 0 for sizes near 1, and for zeros."""
    mantissa, power = np.frexp(sizes)
    power = np.where(mantissa < np.sqrt(0.5), power - 1, power)
    return np.where(np.abs(power) > _NEAR, power, 0)


def common_power(counts: Counts) -> int:
    """The power of two by which all counts are divided: near their mean, or 0."""
    total = counts.data.sum(dtype=np.float64)
    return int(power_of(np.array(total / max(len(counts.data), 1))))


def divided(counts: Counts, powers: NDArray | int) -> Counts:
    """Counts over 2 ** powers, one number or one per document; without counts that become zero."""
    if not np.any(powers):
        return counts
    if np.ndim(powers):
        powers = np.repeat(powers, np.diff(counts.indptr))
    with np.errstate(over="ignore", under="ignore"):
        return counts.kept(np.ldexp(counts.data, -np.asarray(powers)))


def check_batch(counts: Counts, weight: NDArray | None) -> None:
    """Refuse a batch whose counts are too large or too small in the unit of the first one.

    Raises
    ------
    ValueError
        If they are; the message names X.
    """
    low, high = range_of(counts.dtype)
    with np.errstate(over="ignore"):
        total = _total(counts, weight)
    if not low <= total <= high:
        raise ValueError(
            f"X holds {total:.3g} times as much as an average entry of the first batch, "
            "sample_weight included. Give all batches counts and weights in one unit."
        )


def check_tokens(counts: Counts, weight: NDArray | None = None) -> None:
    """Refuse counts whose products with each other exceed the range of their dtype.

    Counts that are all zero are accepted.

    Raises
    ------
    ValueError
        If there are such counts; the message names X (and sample_weight, if given) and the range.
    """
    low, high = range_of(counts.dtype)
    with np.errstate(over="ignore"):
        total = _total(counts, weight)
    if len(counts.data) and not low <= total <= high:
        weighted = "" if weight is None else " times sample_weight"
        raise ValueError(
            f"The counts of X{weighted} add up to {total:.3g}; in {counts.dtype} that must be from "
            f"{low:.0e} to {high:.0e}. Divide X by a constant: the priors count in tokens, so an "
            "entry that is seen once should be about 1."
        )


def _total(counts: Counts, weight: NDArray | None) -> float:
    sizes = counts.sizes()
    return float(sizes.sum() if weight is None else weight @ sizes)


def range_of(dtype: Any) -> tuple[float, float]:
    """Numbers whose products are normal numbers of the dtype."""
    info = np.finfo(dtype)
    return float(info.tiny) ** 0.5, float(info.max) ** 0.5


def prior_in_unit(exponents: NDArray, unit: float, power: int, name: str) -> NDArray:
    """Exponents of a Dirichlet density for counts that are divided by ``unit`` x 2 ** power.

    Raises
    ------
    ValueError
        If they are so large that the counts vanish beside them; the message names the prior.
    """
    with np.errstate(over="ignore"):
        divided = np.ldexp(exponents / unit, -power)
    largest = float(np.abs(divided).max())
    if not largest <= _MOST:
        raise ValueError(
            f"{name} is too strong: one of its parameters, less 1, is {largest:.3g} times an "
            f"average entry of X (of average weight), and beyond {_MOST:.0e} times X vanishes. "
            f"A prior counts in tokens: lower {name}, or multiply X by a constant."
        )
    return divided


def prior_of_documents(exponents: NDArray, power: int) -> NDArray:
    """The same for documents that are divided by 2 ** power, at most `_MOST`."""
    largest = np.abs(exponents).max()
    return exponents * min(np.ldexp(1.0, -power), _MOST / largest) if largest > 0 else exponents

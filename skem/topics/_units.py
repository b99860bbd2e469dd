"""Counts of any size: units that keep numbers in range, and what has none that does.

PLSA does not depend on the unit of the counts (of a Dirichlet prior, its exponents are in the same
unit), so counts that are far from 1 are divided by a power of two, which rounds nothing. LDA does
depend on it, for its priors count in tokens: there counts must be such that the product of any two
sums of them is a normal number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.topics._counts import Counts

# Powers of two from 1 within which counts are taken as they are.
_NEAR = 32

# An exponent of a prior, in the unit of the counts, above which nothing is left of them.
_MOST = 1e30


def power_of(sizes: NDArray) -> NDArray:
    """Powers of two near sizes that are positive, 0 for those near 1 (and for zeros)."""
    mantissa, power = np.frexp(sizes)
    power = np.where(mantissa < np.sqrt(0.5), power - 1, power)
    return np.where(np.abs(power) > _NEAR, power, 0)


def common_power(counts: Counts) -> int:
    """The power of two that all counts may be divided by: about their mean, or 0."""
    total = counts.data.sum(dtype=np.float64)
    return int(power_of(np.array(total / max(len(counts.data), 1))))


def divided(counts: Counts, powers: NDArray | int) -> Counts:
    """Counts over 2 ** powers, a number or one for each document; without those that are lost."""
    if not np.any(powers):
        return counts
    if np.ndim(powers):
        powers = np.repeat(powers, np.diff(counts.indptr))
    with np.errstate(over="ignore", under="ignore"):
        return counts.kept(np.ldexp(counts.data, -np.asarray(powers)))


def check_batch(counts: Counts, weight: NDArray | None) -> None:
    """Refuse a batch that is too large or too small in the unit of the first one.

    Raises
    ------
    ValueError
        That names X.
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
    """Refuse counts whose products with each other leave the range of their dtype.

    Documents that hold nothing at all may pass.

    Raises
    ------
    ValueError
        That names X, and sample_weight if there is one, and the range.
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
    """Exponents of a Dirichlet density beside counts divided by ``unit`` x 2 ** power.

    Raises
    ------
    ValueError
        If they are so large that nothing is left of the counts; the message names the prior.
    """
    with np.errstate(over="ignore"):
        divided = np.ldexp(exponents / unit, -power)
    largest = float(np.abs(divided).max())
    if not largest <= _MOST:
        raise ValueError(
            f"{name} is too strong: of its parameters one less 1 is {largest:.3g} times an average "
            f"entry of X (of average weight), and more than {_MOST:.0e} times leaves nothing of X. "
            f"A prior counts in tokens: lower {name}, or multiply X by a constant."
        )
    return divided


def prior_of_documents(exponents: NDArray, power: int) -> NDArray:
    """The same beside documents that are divided by 2 ** power; where they hold next to nothing,
    as large as leaves nothing of them.
    """
    largest = np.abs(exponents).max()
    return exponents * min(np.ldexp(1.0, -power), _MOST / largest) if largest > 0 else exponents

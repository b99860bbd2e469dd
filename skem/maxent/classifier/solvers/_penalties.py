r"""Penalties of each weight, out of the parameters of an estimator.

The objective is C x (summed loss) + (l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2), divided by C and
by the total weight S. A prior variance v_j has w_j^2 / (2 v_j) in place of the L2 part. A box of
width A_j has A_j |w_j| per unit of sample weight in place of the L1 part: its dual is the maximum
of the entropy under |E_model f_j - E_data f_j| <= A_j (Kazama & Tsujii 2003; Dudik, Phillips &
Schapire 2007).
"""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._validation import as_numbers

LEAST, LARGEST = 1e-300, 1e300
"""Penalties whose products with squares of small weights, and whose inverses, are normal numbers.
"""


def penalties(
    shape: tuple[int, ...],
    total_weight: float,
    *,
    C: float,
    l1_ratio: float,
    prior_variance: Any,
    expectation_box: Any,
) -> tuple[NDArray, NDArray]:
    """L2 and L1 penalty of each weight, in nats per unit of sample weight.

    Parameters
    ----------
    shape : tuple of int
        Of the weights: (n_logits, n_features), or (n_features,) for joint features.
    total_weight : float
        S.
    C, l1_ratio : float
    prior_variance : float, array-like or None
    expectation_box : float, array-like or None

    Returns
    -------
    l2, l1 : ndarray of shape (n_weights,)

    Raises
    ------
    ValueError
        If ``prior_variance`` or ``expectation_box`` has not that shape or values out of range, or a
        penalty is too large to compute with. What is too small for that is none.
    """
    with np.errstate(over="ignore", divide="ignore"):
        ones, strength = np.ones(shape), float(1 / np.float64(C * total_weight))
    _check_largest(strength, f"C={C:.3g}", "Give a larger C.")
    l2, l1 = (1 - l1_ratio) * strength * ones, l1_ratio * strength * ones
    if prior_variance is not None:
        if np.isinf(C):
            raise ValueError(
                "prior_variance has no effect with C=inf, which is data without any prior. Give "
                "a finite C: with C=1 the objective is the posterior density."
            )
        variance = _per_weight(prior_variance, "prior_variance", shape)
        if not (variance > 0).all():
            raise ValueError(
                f"prior_variance must be positive, got {variance.min():g}. A variance of inf is no "
                "penalty; a feature whose weight is to be zero can be left out."
            )
        with np.errstate(over="ignore"):
            l2 = strength / variance
        given = f"prior_variance={variance.min():.3g}"
        _check_largest(float(l2.max()), given, "Give a larger variance, or leave the feature out.")
    if expectation_box is not None:
        width = _per_weight(expectation_box, "expectation_box", shape)
        if not ((width >= 0) & np.isfinite(width)).all():
            raise ValueError(
                "expectation_box must hold finite widths of at least 0, got values from "
                f"{width.min():g} to {width.max():g}. A feature whose expectation is free can be "
                "left out."
            )
        l1 = width
    l2, l1 = (np.where(p >= LEAST, p, 0.0).ravel() for p in (l2, l1))
    return l2, l1


def _check_largest(penalty: float, given: str, remedy: str) -> None:
    if not penalty <= LARGEST:
        raise ValueError(
            f"{given} stands for a penalty of {penalty:.3g} nats per unit of sample weight, and at "
            f"most {LARGEST:.0e} can be computed with. {remedy}"
        )


def signs_of(value: Any, shape: tuple[int, ...]) -> NDArray:
    """Signs of weights, (n_weights,), of -1, 0 and 1; zeros for None.

    Raises
    ------
    ValueError
        If they have not that shape, or hold other numbers.
    """
    if value is None:
        return np.zeros(shape).ravel()
    signs = _per_weight(value, "weight_signs", shape)
    if not np.isin(signs, (-1, 0, 1)).all():
        bad = signs[~np.isin(signs, (-1, 0, 1))][0]
        raise ValueError(
            f"weight_signs must hold 1 (weights of at least zero), -1 (of at most zero) and 0 (of "
            f"any sign), got {bad:g}."
        )
    return signs.ravel()


def _per_weight(value: Any, name: str, shape: tuple[int, ...]) -> NDArray:
    """Numbers of that shape, out of one, of one a feature, or of one a weight."""
    array = as_numbers(value)
    if array is None:
        raise ValueError(f"{name} must hold real numbers; got {reprlib.repr(value)}.")
    allowed = {(): "a single number", shape[-1:]: f"(n_features,) = {shape[-1:]}"}
    if len(shape) == 2:
        allowed |= {(1, shape[1]): f"(1, n_features) = {(1, shape[1])}"}
        allowed |= {shape: f"that of coef_, {shape}"}
    if array.shape not in allowed:
        raise ValueError(
            f"{name} has shape {array.shape}, expected {'; or '.join(allowed.values())}."
        )
    if np.isnan(array).any():
        raise ValueError(f"{name} contains NaN. It must hold a number for each feature.")
    return np.broadcast_to(array, shape).astype(np.float64)

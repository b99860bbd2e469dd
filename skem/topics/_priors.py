"""Dirichlet priors: their parameters as the user gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem._validation import as_numbers
from skem.topics._units import prior_in_unit

LEAST, MOST = 1e-15, 1e10
"""Range of Dirichlet parameters of LDA. With larger ones, differences of log Gamma functions, of
which bounds consist, have hardly any accurate digits; smaller ones vanish in sums with counts of
float32."""


def check_prior(value: Any, name: str, shapes: dict[str, tuple[int, ...]]) -> NDArray | None:
    """Positive Dirichlet parameters, a number or of one of the shapes; None stays None.

    Raises
    ------
    ValueError
        That names the parameter and the shapes it may have.
    """
    if value is None:
        return None
    array = as_numbers(value)
    wanted = " or ".join(f"{axes} = {shape}" for axes, shape in shapes.items())
    if array is None or (array.ndim > 0 and array.shape not in shapes.values()):
        got = f"shape {array.shape}" if array is not None else repr(value)
        raise ValueError(
            f"{name} must be None, a number, or an array of shape {wanted}; got {got}."
        )
    if not np.isfinite(array).all() or (array <= 0).any():
        raise ValueError(
            f"{name} holds parameters of a Dirichlet distribution, which are finite and above 0; "
            f"got {array.min():g} as the smallest."
        )
    return array


def check_range(prior: NDArray | None, name: str) -> NDArray | None:
    """Dirichlet parameters with which LDA can compute.

    Raises
    ------
    ValueError
        That names the parameter and the range.
    """
    if prior is not None and not ((prior >= LEAST) & (prior <= MOST)).all():
        wrong = prior.max() if prior.max() > MOST else prior.min()
        raise ValueError(
            f"{name} holds {wrong:.3g}; it counts in tokens, and must be from {LEAST:.0e} to "
            f"{MOST:.0e}. Smaller values make topics no sparser, and larger ones outweigh X: usual "
            "values are from 0.01 to 10."
        )
    return prior


def exponents_of(
    priors: dict[str, Any], k: int, p: int, *, unit: float, power: int
) -> tuple[NDArray, NDArray]:
    """Exponents of the Dirichlet densities of PLSA: of topics in documents, of words in topics.

    Parameters
    ----------
    priors : dict
        ``doc_topic_prior`` and ``topic_word_prior`` as the user gives them.
    k, p : int
        Numbers of topics and of words.
    unit : float
        What the weights of the documents were divided by.
    power : int
        Their counts were divided by 2 to this power.

    Returns
    -------
    of_documents : ndarray of shape (k,)
    of_words : ndarray of shape (p, k), or (1, 1) where all are equal
    """
    name = "doc_topic_prior"
    doc = check_prior(priors[name], name, {"(n_components,)": (k,)})
    doc = np.zeros(k) if doc is None else np.array(np.broadcast_to(doc - 1, (k,)))
    of_documents = prior_in_unit(doc, 1.0, power, name)
    name = "topic_word_prior"
    shapes = {"(n_features,)": (p,), "(n_components, n_features)": (k, p)}
    word = check_prior(priors[name], name, shapes)
    if word is None or word.ndim == 0:
        word = np.full((1, 1), 0.0 if word is None else word - 1)
    else:
        word = np.broadcast_to(word - 1, (k, p)).T
    return of_documents, np.array(prior_in_unit(word, unit, power, name))

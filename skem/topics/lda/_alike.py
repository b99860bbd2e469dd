"""Topics that are nearly alike, as happens with fractions instead of counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances

from skem._warnings import warn_user

_ALIKE = 0.2
"""Topics are alike if they differ from their mean by less than this share of their words: those of
tf-idf may differ by 0.18, those of counts of the same texts by 0.56."""

_FRACTION = 0.5
"""Mean entry of X below which X does not hold counts."""

_TWINS = 0.02
"""Two topics that differ by less than this share of their words are the same topic."""


def warn_if_alike(topics: NDArray, entry: float) -> None:
    """Warn if the entries of X are fractions, and all topics, or half of them, are alike.

    Parameters
    ----------
    topics : ndarray of shape (n_components, n_features)
    entry : float
        Mean entry of X, sample weights included.
    """
    k = len(topics)
    if k == 1 or entry >= _FRACTION:
        return
    apart = np.abs(topics - topics.mean(axis=0)).sum(axis=1) / 2
    alike = k
    if apart.max() >= _ALIKE:
        distances = pairwise_distances(topics, metric="manhattan") / 2
        np.fill_diagonal(distances, np.inf)
        alike = int((distances.min(axis=1) < _TWINS).sum())
        if 2 * alike < k:
            return
    warn_user(
        f"{'All' if alike == k else f'{alike} of'} {k} topics are alike: the documents do not "
        "outweigh the priors, which count in tokens, because an entry of X is "
        f"{entry:.2g} on average, sample_weight included. Give counts rather than tf-idf or "
        "frequencies, and weights with a mean of one; or use PLSA, which has no priors.",
        UserWarning,
    )

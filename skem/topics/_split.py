"""Tokens of documents in two parts, for document completion."""

from __future__ import annotations

import numpy as np

from skem.topics._counts import Counts


def split_tokens(
    counts: Counts, hidden_share: float, rng: np.random.RandomState
) -> tuple[Counts, Counts]:
    """Tokens that are seen, and tokens that are hidden, of the same documents.

    Whole counts are split token by token (binomial), others entry by entry. A document of which
    nothing would be left to see shows all it has.

    Parameters
    ----------
    counts : Counts
    hidden_share : float
        In (0, 1).
    rng : RandomState

    Returns
    -------
    seen, hidden : Counts
    """
    data = counts.data
    whole = bool((data == np.floor(data)).all() and data.max(initial=0) < 2**31)
    if whole:
        hidden = rng.binomial(data.astype(np.int64), hidden_share).astype(data.dtype)
    else:
        hidden = np.where(rng.uniform(size=len(data)) < hidden_share, data, 0).astype(data.dtype)
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    left = np.bincount(rows, weights=data - hidden, minlength=counts.shape[0])
    hidden[left[rows] <= 0] = 0
    return counts.kept(data - hidden), counts.kept(hidden)

"""Tokens of documents in two parts, for document completion."""

from __future__ import annotations

import numpy as np

from skem.topics._counts import Counts

_MOST_TOKENS = 2**31
"""Counts up to which a binomial number is drawn for them: the generator takes C integers."""


def split_tokens(
    counts: Counts, hidden_share: float, rng: np.random.RandomState
) -> tuple[Counts, Counts]:
    """Tokens that are seen, and tokens that are hidden, of the same documents.

    Whole counts are split token by token (binomial), others entry by entry. A document whose tokens
    would all be hidden keeps all of them.

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
    whole = bool((data == np.floor(data)).all() and data.max(initial=0) < _MOST_TOKENS)
    if whole:
        hidden = rng.binomial(data.astype(np.int64), hidden_share).astype(data.dtype)
    else:
        hidden = np.where(rng.uniform(size=len(data)) < hidden_share, data, 0).astype(data.dtype)
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    left = np.bincount(rows, weights=data - hidden, minlength=counts.shape[0])
    hidden[left[rows] <= 0] = 0
    return counts.kept(data - hidden), counts.kept(hidden)

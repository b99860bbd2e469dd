r"""From outputs of a network to chances of tokens: p(w) = softmax(V h + b)_w.

Conventions:
    h.shape = (n, D)           one row for each prediction
    targets.shape = (n,)       ids, 0 to V - 1

Log-probabilities are in nats.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_ABOVE_ONE = 1.001
"""Least dimensions of the last cluster before they are rounded down: one is left in any case."""


class FullSoftmax(nn.Module):
    """All V tokens compete.

    Parameters
    ----------
    size : int
        D.
    n_tokens : int
        V.
    weight : Parameter of shape (V, D), default=None
        Of an embedding, to be shared with it.
    """

    def __init__(self, size: int, n_tokens: int, weight: Tensor | None = None):
        super().__init__()
        if weight is None:
            weight = nn.Parameter(torch.empty(n_tokens, size))
            nn.init.uniform_(weight, -(size**-0.5), size**-0.5)
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(n_tokens))

    def nll(self, h: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
        """Sum of -log p of the targets, each with its weight."""
        logits = functional.linear(h, self.weight, self.bias)
        if weight is None:
            return functional.cross_entropy(logits, targets, reduction="sum")
        nll = functional.cross_entropy(logits, targets, reduction="none")
        return nll @ weight.to(nll.dtype)

    def log_prob(self, h: Tensor) -> Tensor:
        """Log p of all tokens, (n, V)."""
        return functional.linear(h, self.weight, self.bias).log_softmax(-1)

    def log_prob_of(self, h: Tensor, targets: Tensor) -> Tensor:
        """Log p of the targets, (n,)."""
        logits = functional.linear(h, self.weight, self.bias)
        return -functional.cross_entropy(logits, targets, reduction="none")


class AdaptiveSoftmax(nn.Module):
    """Rare tokens compete in clusters of their own (Grave et al. 2017).

    Ids are in the order of frequency, 0 the most frequent.

    Parameters
    ----------
    size : int
        D.
    n_tokens : int
        V.
    cutoffs : sequence of int
        First id of each cluster of rare tokens.
    div_value : float, default=4.0
        By how much each cluster has fewer dimensions than the one before; less if the last one
        would have none.
    """

    def __init__(self, size: int, n_tokens: int, cutoffs: Sequence[int], div_value: float = 4.0):
        super().__init__()
        div_value = min(div_value, (size / _ABOVE_ONE) ** (1 / len(cutoffs)))
        self.tree = nn.AdaptiveLogSoftmaxWithLoss(
            size, n_tokens, list(cutoffs), div_value, head_bias=True
        )

    def nll(self, h: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
        """Sum of -log p of the targets, each with its weight."""
        log_p = self.tree(h, targets).output
        return -(log_p.sum() if weight is None else log_p @ weight.to(log_p.dtype))

    def log_prob(self, h: Tensor) -> Tensor:
        """Log p of all tokens, (n, V)."""
        return self.tree.log_prob(h)

    def log_prob_of(self, h: Tensor, targets: Tensor) -> Tensor:
        """Log p of the targets, (n,)."""
        return self.tree(h, targets).output

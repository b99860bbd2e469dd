"""How the module of a recurrent language model begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skem.deep.modules.language_model import LanguageModel
from skem.deep.modules.softmax import FullSoftmax
from skem.deep.sequences._text import Vocabulary

_LARGE = 50_000
"""Tokens from which on a softmax is adaptive."""

_FIFTEENTHS = 1, 3
"""Shares of the ranks at which its two clusters of rarer tokens begin."""

_NEVER = -1e30
"""The logit of a token that is never predicted."""


def cutoffs_of(cutoffs: str | Sequence[int] | None, n_tokens: int) -> tuple[int, ...]:
    """Ranks at which clusters of rarer tokens begin, in a vocabulary of that size.

    Raises
    ------
    ValueError
        If they do not rise inside it.
    """
    if cutoffs is None:
        return ()
    if not isinstance(cutoffs, str):
        cuts = tuple(cutoffs)
        integers = all(isinstance(cut, (int, np.integer)) for cut in cuts)
        if not integers or sorted({0, *cuts, n_tokens}) != [0, *cuts, n_tokens]:
            raise ValueError(
                f"cutoffs must be rising integers from 1 to {n_tokens - 1}, the vocabulary "
                f"having {n_tokens} tokens; got {cuts!r}."
            )
        return tuple(int(cut) for cut in cuts)
    return tuple(n * n_tokens // 15 for n in _FIFTEENTHS) if n_tokens > _LARGE else ()


def logits_of_frequencies(vocabulary: Vocabulary) -> Tensor:
    """How often tokens are, as logits; those that were never met have some."""
    counts = torch.as_tensor(vocabulary.counts_, dtype=torch.float32) + 0.5
    return counts.log() - counts.log().mean()


def start_at_frequencies(module: LanguageModel, vocabulary: Vocabulary) -> None:
    """Chances start at how often tokens are; that of the start of a document stays zero."""
    softmax = module.softmax
    if isinstance(softmax, FullSoftmax):
        bias: Tensor = softmax.bias
        bias.data.copy_(logits_of_frequencies(vocabulary))
    else:
        bias = softmax.tree.head.bias
    bias.data[vocabulary.start] = _NEVER

"""States of a fitted recurrent language model, and what it expects next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem.deep.modules.language_model import LanguageModel
from skem.deep.recurrent._base import (
    GATES,
    Part,
    SequenceEstimatorMixin,
    in_own_order,
    repeat_equal,
)
from skem.deep.sequences._segments import NextTokens
from skem.deep.sequences._text import Sequences, Vocabulary

_LOGITS = 4096
"""Tokens of a vocabulary that count for the width of layers, at most: logits are made in parts."""

_CONTEXTS = 256
"""Contexts whose next token is predicted at once."""


class LanguageModelUseMixin(
    SequenceEstimatorMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
):
    """Next tokens and states of a fitted `RNNLanguageModel`."""

    representation: str

    @property
    def _module(self) -> LanguageModel:
        return self.net_.module_

    @property
    def _n_features_out(self) -> int:
        return self._module.recurrent.output_size

    @property
    def _width(self) -> int:
        """Numbers of the widest layer for one step, about."""
        module = self._module
        return max(GATES * max(module.recurrent.hidden_sizes), min(module.n_tokens, _LOGITS))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @staticmethod
    def _next_tokens(sequences: Sequences, vocabulary: Vocabulary) -> NextTokens:
        """The tokens of sequences as what is to be predicted."""
        return NextTokens(sequences.tokens, sequences.offsets, vocabulary.start, vocabulary.end)

    # ------------------------------------------------------------------ next token
    def predict_proba(self, X: Any) -> NDArray:
        """Give the probabilities of the token that follows each context.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Contexts from the start of a document on; they may be empty.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_vocabulary), float32
            Columns are those of ``vocabulary_.tokens_``.
        """
        check_is_fitted(self)
        return self._of_next(X, lambda log_p: np.exp(log_p, out=log_p))

    def _of_next(self, X: Any, function: Callable[[NDArray], NDArray]) -> NDArray:
        """What a function makes of the log-probabilities of the next token, for each context."""
        module = self._module
        sequences, first, back = in_own_order(self._encode(X))
        (h,) = self._last_and_mean(sequences, ("last",))
        found: Any = None
        with self._inference() as device:
            for part in gen_batches(len(h), _CONTEXTS):
                log_p = module.softmax.log_prob(module.projection(h[part].to(device)))
                values = function(log_p.cpu().numpy())
                if found is None:
                    found = np.empty((len(back), *values.shape[1:]), dtype=values.dtype)
                found[first[part]] = values
        return repeat_equal(found, first, back)

    def predict(self, X: Any) -> NDArray:
        """The most probable next token after each context, excluding special tokens.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Contexts from the start of a document on; they may be empty.

        Returns
        -------
        tokens : ndarray of shape (n_samples,)
            Strings or integers, as the tokens are.
        """
        check_is_fitted(self)
        special = self.vocabulary_.special

        def likeliest(log_p: NDArray) -> NDArray:
            log_p[:, special] = -np.inf
            return log_p.argmax(1)

        return np.array(self.vocabulary_.tokens(self._of_next(X, likeliest)))

    # ------------------------------------------------------------------ states
    def transform(self, X: Any) -> NDArray:
        """Give the states of the last layer after each document, or their means.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        states : ndarray of shape (n_samples, n_units), float32
            After the last token, or the mean over tokens; see ``representation``.
        """
        check_is_fitted(self)
        (h,) = self._last_and_mean(self._encode(X), (self.representation,))
        return h.numpy()

    def _last_and_mean(self, sequences: Sequences, wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
        """States after the last token, or means over tokens, (n_samples, H)."""
        module, end = self._module, self.vocabulary_.start
        sequences, first, back = in_own_order(sequences)
        # The token after the last one is a target only, and any will do.
        dataset = NextTokens(sequences.tokens, sequences.offsets, end, end)
        out = {
            name: torch.zeros(len(back), self._n_features_out, dtype=torch.float32)
            for name in wanted
        }
        at = torch.from_numpy(first)

        def one(part: Part) -> tuple[Tensor, ...]:
            outputs, state = module.encode(part.tokens, part.state)
            last, n_steps = part.lengths - 1 - part.first, len(outputs)
            if "last" in out:
                ended = torch.nonzero(last < n_steps)[:, 0]
                out["last"][at[part.documents[ended.cpu()]]] = outputs[last[ended], ended].cpu()
            if "mean" in out:
                valid = part.valid().to(outputs.dtype)
                valid[: max(1 - part.first, 0)] = 0  # the start
                sums = torch.einsum("tb,tbh->bh", valid, outputs)
                out["mean"][at[part.documents]] += (sums / (part.lengths - 1)[:, None]).cpu()
            return state

        with self._inference() as device:
            self._in_parts(dataset, self._width, device, one)
        for values in out.values():
            repeat_equal(values.numpy(), first, back)
        return tuple(out.values())

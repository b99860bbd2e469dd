"""What a fitted recurrent language model does with documents."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem._validation import check_positive_integer
from skem.deep import _segments
from skem.deep._generate import Choice, chosen
from skem.deep._random import draw_seed
from skem.deep._rnn_base import Part, SequenceEstimatorMixin, in_own_order, repeat_equal
from skem.deep._text import Sequences
from skem.deep.modules.draws import generator
from skem.deep.modules.language_model import LanguageModel


class LanguageModelUseMixin(
    SequenceEstimatorMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
):
    """Probabilities, states and draws of a fitted `RNNLanguageModel`."""

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
        return max(4 * max(module.recurrent.hidden_sizes), min(module.n_tokens, 4096))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    # ------------------------------------------------------------------ probabilities
    def score_samples(self, X: Any) -> NDArray:
        """Log-probability of each sequence, in nats.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float32
            Sums over tokens. With an end token log p of the sequence among those of all lengths,
            otherwise among those of its length.
        """
        check_is_fitted(self)
        return self._log_probs(self._encode(X)).astype(np.float32)

    def score_tokens(self, X: Any) -> list[NDArray]:
        """Log-probability of each token given those before it, in nats: minus its surprise.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        log_prob : list of ndarray of shape (n_tokens,), float32
            For each document; the last one is that of its end, if there is an end token. Their sum
            is `score_samples`.
        """
        check_is_fitted(self)
        sequences, _, back = in_own_order(self._encode(X))
        lengths = sequences.lengths + (self.vocabulary_.end is not None)
        starts = torch.from_numpy(np.cumsum(lengths) - lengths)
        found = np.empty(lengths.sum(), dtype=np.float32)

        def take(part: Part, log_p: Tensor) -> None:
            steps = part.first + torch.arange(len(log_p))
            at = starts[part.documents] + steps[:, None]
            valid = part.valid().cpu()
            found[at[valid].numpy()] = log_p.cpu()[valid].numpy()

        self._visit(sequences, take)
        documents = np.split(found, np.cumsum(lengths)[:-1])
        return [documents[i].copy() for i in back]

    def _log_probs(self, sequences: Sequences) -> NDArray:
        sequences, _, back = in_own_order(sequences)
        total = torch.zeros(len(sequences), dtype=torch.float64)

        def add(part: Part, log_p: Tensor) -> None:
            total[part.documents] += log_p.double().masked_fill(~part.valid(), 0.0).sum(0).cpu()

        self._visit(sequences, add)
        return total.numpy()[back]

    def _visit(self, sequences: Sequences, function: Callable[[Part, Tensor], None]) -> None:
        """Give the function the log-probabilities (T, B) of the targets of each part."""
        vocabulary, module = self.vocabulary_, self._module
        dataset = _segments.Documents(
            sequences.tokens, sequences.offsets, vocabulary.start, vocabulary.end
        )

        def one(part: Part) -> tuple[Tensor, ...]:
            log_p, state = module.log_prob_steps(part.tokens, part.targets, part.state)
            function(part, log_p)
            return state

        with self._inference() as device:
            self._in_parts(dataset, self._width, device, one)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-probability of a token over all documents, in nats: higher is better.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            Sum of `score_samples` divided by the number of tokens, including ends of documents if
            there is an end token.
        """
        check_is_fitted(self)
        sequences = self._encode(X)
        ends = 0 if self.vocabulary_.end is None else len(sequences)
        n = len(sequences.tokens) + ends
        if n == 0:
            raise ValueError("X has no tokens: every document is empty, and no end is predicted.")
        return float(self._log_probs(sequences).sum() / n)

    def perplexity(self, X: Any) -> float:
        """Exponential of minus `score`; lower is better.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        perplexity : float
            Per token.
        """
        return float(np.exp(-self.score(X)))

    def bits_per_character(self, X: Any) -> float:
        """Compute bits per character, -log2 p divided by the length of the strings.

        Parameters
        ----------
        X : str or sequence of str
            Documents. Whatever the tokens, and with the ends of documents if they are predicted.

        Returns
        -------
        bits : float

        Raises
        ------
        ValueError
            If documents are not strings.
        """
        check_is_fitted(self)
        texts = self._read_documents(X, reset=False)
        if texts.n_characters is None:
            raise ValueError(
                "bits_per_character needs documents that are strings, and X has tokens. "
                "perplexity takes any."
            )
        nats = self._log_probs(self.vocabulary_.compact(texts)).sum() / texts.n_characters.sum()
        return float(-nats / np.log(2))

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
            for part in gen_batches(len(h), 256):
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
        dataset = _segments.Documents(sequences.tokens, sequences.offsets, end, end)
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

    # ------------------------------------------------------------------ draws
    def generate(
        self,
        prompt: Any = None,
        n_tokens: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        random_state: Any = None,
        stream: bool = False,
    ) -> Any:
        """Draw the continuation of a document, token by token.

        Parameters
        ----------
        prompt : str or list of tokens, default=None
            How the document begins; None draws it from its start.
        n_tokens : int, default=100
            Tokens to draw. Fewer are drawn where the document ends.
        temperature : float, default=1.0
            Logits are divided by it: below 1, probable tokens become more probable.
        top_k : int, default=None
            Draw among this number of most probable tokens; 1 takes the most probable one.
        top_p : float, default=None
            Draw among the smallest set of most probable tokens with at least this total
            probability.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; that of the estimator if None.
        stream : bool, default=False
            Give tokens as they are drawn.

        Returns
        -------
        continuation : str or list of tokens, or iterator
            Without the prompt, as documents were in `fit`; an iterator over pieces of the text,
            or over tokens, if ``stream``.

        Raises
        ------
        ValueError
            If a token of the prompt is not in the vocabulary.
        """
        check_is_fitted(self)
        n_tokens = check_positive_integer(n_tokens, "n_tokens")
        choice = Choice(temperature, top_k, top_p).check()
        ids = self._prompt_ids(prompt)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        drawn = self._draws(ids, n_tokens, choice, seed)
        if stream:
            return self._pieces(drawn)
        return self.vocabulary_.decode(np.fromiter(drawn, np.int64))

    def _prompt_ids(self, prompt: Any) -> NDArray:
        """The start and the tokens of one prompt."""
        start = self.vocabulary_.start
        if prompt is None or (not isinstance(prompt, str) and len(prompt) == 0):
            return np.array([start])
        if not isinstance(prompt, str) and not isinstance(prompt[0], (str, numbers.Integral)):
            raise TypeError(
                "prompt must be one document, a string or a list of tokens; got "
                f"{type(prompt).__name__} of {type(prompt[0]).__name__}."
            )
        document = prompt if isinstance(prompt, str) else [prompt]
        sequences = self.vocabulary_.encode(document, strict=True, name="prompt")
        return np.concatenate([[start], sequences[0]])

    def _draws(self, ids: NDArray, n_tokens: int, choice: Choice, seed: int) -> Iterator[int]:
        """Ids one after the other, until the document ends."""
        module, vocabulary = self._module, self.vocabulary_
        never = [i for i in vocabulary.special if i != vocabulary.end]
        state: Any = None
        *before, token = torch.from_numpy(ids).split(1)
        if before:
            with self._inference() as device:
                state = module.encode(torch.stack(before).to(device))[1]
        for _ in range(n_tokens):
            with self._inference(seed) as device:
                log_p, state = module.advance(token.to(device), state)
                log_p[:, never] = -torch.inf
                token = chosen(log_p, choice)
                seed = int(torch.randint(2**31 - 1, (), generator=generator()))
            if int(token) == vocabulary.end:
                return
            yield int(token)

    def _pieces(self, drawn: Iterator[int]) -> Iterator[Any]:
        """What each token adds to the document, as far as the token before it tells."""
        decode = self.vocabulary_.decode
        before: list[int] = []
        for i in drawn:
            document = decode([*before, i])
            yield document[len(decode(before)) :] if isinstance(document, str) else document[-1]
            before = [i]

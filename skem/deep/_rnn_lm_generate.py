"""Documents that a fitted recurrent language model continues."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skem._validation import check_positive_integer
from skem.deep._generate import Choice, chosen
from skem.deep._random import draw_seed
from skem.deep._rnn_lm_score import LanguageModelScoreMixin
from skem.deep.modules.draws import generator


class LanguageModelGenerateMixin(LanguageModelScoreMixin):
    """Draws from a fitted `RNNLanguageModel`."""

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

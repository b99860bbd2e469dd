"""Documents that a fitted recurrent language model continues."""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skem._validation import check_positive_integer
from skem.deep.modules.draws import generator
from skem.deep.recurrent._lm_score import LanguageModelScoreMixin
from skem.deep.recurrent._sampling import Choice, chosen
from skem.deep.sequences._text import Vocabulary, read
from skem.deep.training._random import SEEDS, draw_seed


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
        prompt : str or sequence of tokens, default=None
            How the document begins; None and an empty one draw it from its start. A list of one
            document is that document. Tokens that are not in the vocabulary are read as the
            unknown one.
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
            If a token of the prompt is not in the vocabulary, and there is no unknown token.
        TypeError
            If the prompt is not one document, or has tokens of another kind than in `fit`.
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
        vocabulary = self.vocabulary_
        document = _one_document(prompt, vocabulary)
        if not len(document):
            return np.array([vocabulary.start])
        sequences = vocabulary.encode([document], name="prompt")
        return np.concatenate([[vocabulary.start], sequences[0]])

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
                seed = int(torch.randint(SEEDS, (), generator=generator()))
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


def _one_document(prompt: Any, vocabulary: Vocabulary) -> str | list:
    """The string, or the list of tokens, that a prompt is.

    Strings in a list are tokens; or one of them is a document, if it is text of several tokens.
    """
    if prompt is None or isinstance(prompt, str):
        return prompt or []
    items = _listed(prompt)
    if len(items) == 1 and not isinstance(items[0], (str, numbers.Number)):
        return _tokens_of(items[0])
    others = [item for item in items if not _is_token(item, vocabulary)]
    if not others:
        return items
    if len(items) == 1:
        return items[0]
    raise TypeError(
        "prompt must be one document, a string or a list of tokens; it has "
        f"{len(items)} items, and {reprlib.repr(others[0])} is not one token. Call generate for "
        "each document, or give the tokens of one as [[...]]."
    )


def _is_token(item: Any, vocabulary: Vocabulary) -> bool:
    """Whether an item of a list can be a token, as far as the tokenizer of text knows."""
    if isinstance(item, numbers.Number):
        return True
    if not isinstance(item, str):
        return False
    if vocabulary.kind in ("str", "int") or item in vocabulary:
        return True
    return read([item], vocabulary.tokenizer).types == [item]


def _tokens_of(document: Any) -> list:
    """The tokens of a document in a list."""
    items = _listed(document)
    for item in items:
        if not isinstance(item, (str, numbers.Number)):
            raise TypeError(
                "prompt must be one document, a string or a list of tokens; got "
                f"{reprlib.repr(item)} inside."
            )
    return items


def _listed(values: Any) -> list:
    """Items of a list, an array or a column, as Python's own.

    Raises
    ------
    TypeError
        If it is nothing of the kind.
    """
    if hasattr(values, "to_pylist"):
        return list(values.to_pylist())
    if hasattr(values, "tolist") or hasattr(values, "to_numpy"):
        array = np.asarray(values)
        values = (array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array).tolist()
    if isinstance(values, (dict, set, frozenset, bytes)) or not isinstance(values, Iterable):
        raise TypeError(
            "prompt must be one document, a string or a list of tokens; got "
            f"{type(values).__name__}."
        )
    return [values] if isinstance(values, str) else list(values)

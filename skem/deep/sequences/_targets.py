"""Target sequences of an encoder–decoder, and outputs of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skem._input import refuse_dates, refuse_masks
from skem._validation import check_known
from skem.deep.sequences._documents import Documents, Tokenizer, is_table, read
from skem.deep.sequences._tags import TokenLists
from skem.deep.sequences._text import Vocabulary


class Form(NamedTuple):
    """How targets were given."""

    n_dims: int = 0  # of an array of numbers; 0 for documents
    n_tokens: int | None = None  # that all have, if it is an array without padding

    def given_back(self, outputs: Sequence[NDArray], vocabulary: Vocabulary) -> Any:
        """Outputs, ids without start and end, as targets were given."""
        if self.n_tokens is not None:
            tokens = vocabulary.tokens(np.concatenate(outputs) if outputs else [])
            table = np.array(tokens, dtype=np.int64).reshape(len(outputs), self.n_tokens)
            return table[:, 0] if self.n_dims == 1 else table
        documents = [vocabulary.decode(ids) for ids in outputs]
        if vocabulary.kind in ("str", "int"):
            return TokenLists(documents)
        found = np.empty(len(documents), dtype=object)
        found[:] = documents
        return found


def read_targets(
    y: Any, tokenizer: Tokenizer, n: int | None = None, *, name: str = "y", of: str = "X"
) -> tuple[Documents, Form]:
    """Cut targets into tokens.

    Parameters
    ----------
    y : sequence of documents, or array-like of int of shape (n_samples,) or (n_samples, n_tokens)
        One-dimensional numbers are sequences of one token.
    tokenizer : {'char', 'word'} or callable or None
    n : int, default=None
        Number of sequences that they belong to.
    name, of : str, default='y', 'X'
        What errors call the targets, and what they belong to.

    Raises
    ------
    ValueError
        If there are none, or not n; if an array has NaN or fractions.
    TypeError
        If they are neither text nor sequences of tokens.
    """
    refuse_masks(y, name)
    form = Form()
    if is_table(y):
        refuse_dates(y, name)
        table = check_known(y, name)
        if table.dtype.kind == "c":
            raise ValueError(f"{name} has complex numbers. Tokens are strings or integers.")
        form, y = Form(table.ndim), np.atleast_2d(table.T).T
    targets = read(y, tokenizer, name=name)
    if n is not None and len(targets) != n:
        raise ValueError(
            f"{of} has {n} sequences, and {name} has {len(targets)}. Give one for each of {of}."
        )
    if form.n_dims and (targets.sequences.lengths == y.shape[1]).all():
        form = form._replace(n_tokens=y.shape[1])
    return targets, form

"""What the recurrent classifier and the tagger share: layers, weights of classes, training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from skem._sklearn import Interval, StrOptions
from skem.deep.modules.recurrent import Recurrent
from skem.deep.modules.sequence import Embedding
from skem.deep.recurrent._base import GATES, RECURRENT, NumbersAsTokensMixin
from skem.deep.sequences._labelled import Inputs, LabelledBatches, inference_groups
from skem.deep.sequences._text import Documents, Sequences, Vocabulary
from skem.deep.training._base import TRAINING, size_of_batches

_RARE = 1e-3
"""Share of all labels that is added to those of each class: chances start at more than zero."""

_BLOCK = 1 << 17
"""Labels that are counted at once."""

_SIZES = 4, 32
"""Least and greatest number of sequences of a batch of size 'auto'."""

COUNT = Interval(Integral, 1, None, closed="left")

# What parameters of both may be.
CONSTRAINTS: dict[str, list] = {
    "embedding_dim": [COUNT],
    "bidirectional": ["boolean"],
    "word_dropout": [Interval(Real, 0, None, closed="left")],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    **RECURRENT,
    **TRAINING,
}


class LabelledSequencesMixin(NumbersAsTokensMixin):
    """Fits of `RNNClassifier` and `RNNTagger`, which have the parameters above."""

    cell: str
    embedding_dim: int
    hidden_size: int | Sequence[int]
    n_layers: int
    bidirectional: bool
    word_dropout: float
    dropout: float
    dropout_embedding: float
    dropout_input: float
    dropout_hidden: float
    dropout_weights: float
    class_weight: Any
    classes_: NDArray

    _defining: tuple[str, ...] = (*NumbersAsTokensMixin._defining, "bidirectional")
    _of_tokens = False  # whether labels are those of tokens

    # ------------------------------------------------------------------ input
    def _learn_vocabulary(self, texts: Documents, **special: Any) -> Vocabulary:
        return super()._learn_vocabulary(texts, start=False, end=False, unknown=True, **special)

    def _check_classes(self, classes: NDArray, goes_on: bool) -> None:
        """Refuse one class, and with a warm start other ones."""
        if len(classes) < 2:
            what = "tag" if self._of_tokens else "class"
            shown = ", ".join(map(repr, classes.tolist()))
            raise ValueError(
                f"y has 1 {what}, {shown}: there is nothing to tell apart. Give at least two, with "
                "positive weight."
            )
        if goes_on and not np.array_equal(classes, self.classes_):
            absent = sorted(set(classes.tolist()) - set(self.classes_.tolist()))
            if absent or not self._of_tokens:
                raise ValueError(
                    f"y has the classes {classes.tolist()}, and warm_start=True goes on from a fit "
                    f"with {self.classes_.tolist()}. Give the same, or set warm_start=False."
                )

    def _class_weights(
        self, classes: NDArray, codes: NDArray, weight: NDArray | None = None
    ) -> NDArray | None:
        """Weight of each class, by ``class_weight``; None for all ones."""
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, dict):
            unknown = [c for c in self.class_weight if c not in set(classes.tolist())]
            if unknown:
                raise ValueError(
                    f"class_weight has {unknown[0]!r}, and y has {classes.tolist()} only. Leave it "
                    "out."
                )
        by_class = compute_class_weight(
            self.class_weight, classes=classes, y=classes[codes], sample_weight=weight
        )
        if not (np.isfinite(by_class).all() and (by_class >= 0).all() and by_class.any()):
            raise ValueError(
                f"class_weight must be numbers of 0 or more, not all zero; got {by_class.tolist()}."
            )
        return by_class

    # ------------------------------------------------------------------ module
    def _make_embedding(self, vocabulary: Vocabulary) -> Embedding:
        return Embedding(
            torch.as_tensor(vocabulary.counts_),
            self.embedding_dim,
            vocabulary.id_of("<unk>"),
            word_dropout=self.word_dropout,
            dropout=self.dropout_embedding,
        )

    def _make_recurrent(self, input_size: int) -> Recurrent:
        return Recurrent(
            input_size,
            self._hidden_sizes(),
            cell=self.cell,
            bidirectional=self.bidirectional,
            dropout_input=self.dropout_input,
            dropout_between=self.dropout_hidden,
            dropout_weights=self.dropout_weights,
        )

    def _start_at_frequencies(self, module: Any, codes: NDArray, weight: NDArray | None) -> None:
        """Chances of classes start at how often they are."""
        n = len(module.output.bias)
        if weight is None:  # in blocks, for numpy makes int64 of all codes
            parts = (codes[p] for p in gen_batches(len(codes), _BLOCK))
            found = sum(np.bincount(part, minlength=n) for part in parts)
        else:
            found = np.bincount(codes, weights=weight, minlength=n)
        counts = torch.as_tensor(found, dtype=torch.float64)
        p = (counts + _RARE * counts.sum()) / counts.sum()
        module.output.bias.data.copy_(p.log())

    # ------------------------------------------------------------------ training
    def _iterator_options(self, device: torch.device) -> dict[str, Any]:
        options: dict[str, Any] = {"iterator_train__shuffle": True}
        for name in ("iterator_train", "iterator_valid"):
            options |= {
                name: LabelledBatches,
                f"{name}__device": device,
                f"{name}__of_tokens": self._of_tokens,
            }
        return options

    def _auto_batch_size(self, train: Any) -> int:
        """Sequences of a batch."""
        return size_of_batches(len(train), _SIZES)

    # ------------------------------------------------------------------ use
    def _visit(
        self, dataset: Inputs, sequences: Sequences, function: Callable[[Tensor, Tensor], None]
    ) -> None:
        """Give the function numbers of sequences, and the log-probabilities of their labels.

        Those of classes, or of the tags of their tokens in the order of `SequenceTagger.logits`.
        """
        module = self.net_.module_
        width = GATES * module.recurrent.n_directions * max(module.recurrent.hidden_sizes)
        with self._inference() as device:
            for rows in inference_groups(sequences, width):
                logits = module.logits(*dataset.inputs(rows, device))
                function(rows, logits.double().log_softmax(1).cpu())

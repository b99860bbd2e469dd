r"""Sequences as the segments that truncated back-propagation trains on.

A document gives predictions: each token is the target of the one before it. ``start`` before the
first and ``end`` after the last token make a distribution over sequences of all lengths; without
``end`` it is one over sequences of that length, and without ``start`` given the first token.

Two layouts, both as columns beside each other, which are read step by step:

    stream      all documents as one text, cut in as many columns as a batch has
    documents   a document a column; a batch has documents of about the same length, the longest
                first, and loses those that have ended

Columns are cut in time where the truncation says so, and the state is carried over the cut:

    none        nowhere
    fixed       after ``bptt`` steps at most, in equal parts
    random      at random, with a mean of ``bptt`` steps (Tallec and Ollivier 2017): at a step where
                the text may be cut, it is with chance 1 - pi, and otherwise the gradient that goes
                back there is multiplied by 1 / pi, so that its expectation is that of no cuts
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skem.deep.modules.draws import generator
from skem.deep.sequences._sequences import Sequences

TRUNCATIONS = ("none", "fixed", "random")

_MIN_COLUMN = 4
"""Shortest column of a stream, in bptt: each one starts without what was before."""

_STRIDES = 4
"""Places in ``bptt`` steps where 'random' may cut: more of them make more and shorter kernels."""

_TAIL = 6.0
"""Lengths of random segments have a tail of this power."""


class Segment(NamedTuple):
    """A batch: what `LanguageModel.forward` takes; T steps of B sequences."""

    tokens: Tensor
    targets: Tensor
    weight: Tensor | None
    fresh: bool
    size: float
    joins: tuple[tuple[int, float], ...]


class NextTokens(Dataset):
    """Tokens and the tokens that follow them, document after document.

    Parameters
    ----------
    tokens : array of int of shape (n_tokens,)
        Of all documents.
    offsets : array of int64 of shape (n_documents + 1,)
        Where each one starts, and the end.
    start, end : int, default=None
        Ids of tokens to put before and after each document.

    Attributes
    ----------
    inputs, targets : Tensor of shape (n_predictions,), of the type of tokens
    lengths, starts : Tensor of shape (n_documents,)
        Predictions of each document, and where they start.
    """

    def __init__(
        self,
        tokens: Any,
        offsets: Any,
        start: int | None = None,
        end: int | None = None,
    ):
        framed = Sequences(tokens, offsets).framed(start, end)
        full, has_any = framed.tokens, framed.lengths > 0
        first, last = framed.offsets[:-1][has_any], framed.offsets[1:][has_any] - 1
        # Masks of numpy, for torch makes indices of them, which are as large as 8 tokens.
        keep = np.ones(len(full), dtype=bool)
        keep[last] = False
        self.inputs = torch.from_numpy(full[keep])
        keep[last], keep[first] = True, False
        self.targets = torch.from_numpy(full[keep])
        self.lengths = torch.from_numpy((framed.lengths - 1).clip(min=0))
        self.starts = self.lengths.cumsum(0) - self.lengths

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def n_predictions(self) -> int:
        """Tokens that are predicted."""
        return len(self.inputs)


def buckets(lengths: Tensor, batch_size: int, shuffle: bool = False) -> Sequence[Tensor]:
    """Numbers of documents of about the same length, the longest first, without empty ones.

    Parameters
    ----------
    lengths : Tensor of shape (n_documents,)
    batch_size : int
        Documents of a bucket, at most; buckets are about equally large.
    shuffle : bool, default=False
        Whether equally long documents are in random order, and the buckets.
    """
    n = len(lengths)
    order = torch.randperm(n, generator=generator()) if shuffle else torch.arange(n)
    order = order[lengths[order].argsort(descending=True, stable=True)]
    order = order[lengths[order] > 0]
    parts = order.tensor_split(max(-(-len(order) // batch_size), 1))
    if not shuffle:
        return parts
    return [parts[i] for i in torch.randperm(len(parts), generator=generator())]


class Segments:
    """The segments of `Documents`, for truncated back-propagation.

    Parameters
    ----------
    dataset : NextTokens
    batch_size : int
        Columns, at most.
    shuffle : bool, default=False
        Whether documents are in random order, and a stream starts anywhere, by torch's random
        state.
    device : torch.device or str, default=None
        Of the segments; that of the dataset if None.
    bptt : int, default=64
        Steps of a segment: the most of 'fixed', and the mean of 'random'.
    truncation : {'none', 'fixed', 'random'}, default='fixed'
        See above. 'none' is always of layout 'documents'.
    layout : {'auto', 'stream', 'documents'}, default='auto'
        See above. 'auto' makes a stream of documents that are longer than 4 ``bptt`` in the mean.

    Raises
    ------
    ValueError
        If there is nothing to predict, or ``bptt`` is too short for random cuts.
    """

    def __init__(
        self,
        dataset: NextTokens,
        batch_size: int,
        shuffle: bool = False,
        device: torch.device | str | None = None,
        *,
        bptt: int = 64,
        truncation: str = "fixed",
        layout: str = "auto",
    ):
        n = dataset.n_predictions
        if not n:
            raise ValueError("There is no token to predict: all sequences are too short.")
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.bptt, self.truncation = bptt, truncation
        self.stride = max(bptt // _STRIDES, 1)
        if truncation == "random" and self.stride >= bptt:
            raise ValueError(
                f"Random truncation needs a bptt above its stride, {self.stride}; got {bptt}."
            )
        if layout == "auto":
            layout = "stream" if n > _MIN_COLUMN * bptt * len(dataset) else "documents"
        self.layout = "documents" if truncation == "none" else layout
        self.device = dataset.inputs.device if device is None else torch.device(device)
        self.inputs, self.targets = (t.to(self.device) for t in (dataset.inputs, dataset.targets))
        self._n_segments = self._count()
        self.size = n / self._n_segments

    def __len__(self) -> int:
        """Segments of an epoch; about as many with 'random'."""
        return self._n_segments

    def _count(self) -> int:
        if self.layout == "stream":
            longest = [-(-self.dataset.n_predictions // self.n_columns)]
        else:
            lengths = self.dataset.lengths
            longest = [int(lengths[b[0]]) for b in buckets(lengths, self.batch_size)]
        if self.truncation == "none":
            return len(longest)
        return sum(-(-steps // self.bptt) for steps in longest)

    @property
    def n_columns(self) -> int:
        """Columns of a stream."""
        most = self.dataset.n_predictions // (_MIN_COLUMN * self.bptt)
        return min(self.batch_size, max(most, 1))

    def __iter__(self) -> Iterator[Segment]:
        if self.layout == "stream":
            yield from self._cut(*self._stream())
            return
        starts, lengths = self.dataset.starts, self.dataset.lengths
        for documents in buckets(lengths, self.batch_size, self.shuffle):
            yield from self._cut(starts[documents], lengths[documents])

    def _stream(self) -> tuple[Tensor, Tensor, _InStream]:
        """All documents, one after the other, as columns: starts, lengths, and what is there."""
        n, b, lengths = self.dataset.n_predictions, self.n_columns, self.dataset.lengths
        documents, shift = torch.arange(len(lengths)), 0
        if self.shuffle and len(lengths) > 1:
            documents = torch.randperm(len(lengths), generator=generator())
        if self.shuffle:
            shift = int(torch.randint(n, (), generator=generator()))
        bounds = torch.arange(b + 1) * n // b
        sizes, columns = bounds.diff().sort(descending=True)
        moved = _InStream(documents, lengths[documents].cumsum(0), shift)
        return bounds[columns], sizes, moved

    def _cut(
        self, starts: Tensor, lengths: Tensor, stream: _InStream | None = None
    ) -> Iterator[Segment]:
        """Columns of those starts and lengths as segments, each one made when its turn comes.

        They are columns of the stream, or documents, whose predictions are where they stand.
        """
        ends = lengths.tolist()
        most = self.dataset.n_predictions - 1
        for start, stop, joins in self._cuts(ends[0]):
            n = sum(end > start for end in ends)
            steps = torch.arange(start, stop)[:, None]
            index = (starts[:n] + steps).clamp_(max=most)  # after the end of a column any
            if stream is not None:
                index = stream.of(self.dataset, index)
            index = index.to(self.device)
            valid = None
            if ends[n - 1] < stop:
                valid = (steps < lengths[:n]).float().to(self.device)
            tokens, targets = self.inputs[index].long(), self.targets[index].long()
            yield Segment(tokens, targets, valid, start == 0, self.size, joins)

    def _cuts(self, n_steps: int) -> Iterator[tuple[int, int, tuple[tuple[int, float], ...]]]:
        """First step, end and joins of each segment."""
        if self.truncation == "random":
            yield from self._random_cuts(n_steps)
            return
        parts = 1 if self.truncation == "none" else -(-n_steps // self.bptt)
        bounds = [i * n_steps // parts for i in range(parts + 1)]
        for start, stop in itertools.pairwise(bounds):
            yield start, stop, ()

    def _random_cuts(
        self, n_steps: int
    ) -> Iterator[tuple[int, int, tuple[tuple[int, float], ...]]]:
        """After j strides without a cut its chance is a / ((a - 1) l + j), for a mean of l."""
        least = (_TAIL - 1) * self.bptt / self.stride
        start = 0
        while start < n_steps:
            joins: list[tuple[int, float]] = []
            step = self.stride
            while start + step < n_steps:
                chance = _TAIL / (least + len(joins) + 1)
                if float(torch.rand((), dtype=torch.float32, generator=generator())) < chance:
                    break
                joins.append((step, 1 / (1 - chance)))
                step += self.stride
            stop = min(start + step, n_steps)
            yield start, stop, tuple(joins)
            start = stop


class _InStream(NamedTuple):
    """Columns of a stream, of documents in some order, that starts anywhere and goes round."""

    documents: Tensor  # (n_documents,): in that order
    ends: Tensor  # (n_documents,): of each in the stream
    shift: int

    def of(self, dataset: NextTokens, index: Tensor) -> Tensor:
        """Positions of predictions at places of the stream."""
        place = (index - self.shift) % dataset.n_predictions
        if len(self.documents) == 1:
            return place
        nth = torch.searchsorted(self.ends, place, right=True)
        document = self.documents[nth]
        from_end = self.ends[nth] - place
        return dataset.starts[document] + dataset.lengths[document] - from_end

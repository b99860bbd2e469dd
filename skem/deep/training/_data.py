"""Rows in memory as batches: slices of whole tensors, where a DataLoader collates row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from skem.deep.modules.draws import generator


class TensorRows(Dataset):
    """Tensors that have a row for each sample; None stands for what there is not.

    Parameters
    ----------
    first : Tensor of shape (n_tensor_rows, ...)
    *others : Tensor of shape (n_tensor_rows, ...) or None
    rows : Tensor of int64 of shape (n_samples,), default=None
        Which of their rows, and in which order; all if None. Nothing is copied before a batch is.
    """

    def __init__(self, first: Tensor, *others: Tensor | None, rows: Tensor | None = None):
        self.tensors = (first, *others)
        self.device = first.device
        self.rows = None if rows is None else rows.to(self.device)
        self.n_rows = len(first if rows is None else rows)

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, index: Any) -> tuple[Tensor | None, ...]:
        """Rows by a slice or a tensor of numbers."""
        if isinstance(index, Tensor):
            index = index.to(self.device)
        if self.rows is not None:
            index = self.rows[index]
        if isinstance(index, Tensor):
            return tuple([None if t is None else t.index_select(0, index) for t in self.tensors])
        return tuple([None if t is None else t[index] for t in self.tensors])


class Batches:
    """The batches of `TensorRows`, in order or shuffled by the random state of the fit.

    Parameters
    ----------
    dataset : TensorRows
    batch_size : int
    shuffle : bool, default=False
    device : torch.device or str, default=None
        Where batches go, if the rows are elsewhere.
    """

    def __init__(
        self,
        dataset: TensorRows,
        batch_size: int,
        shuffle: bool = False,
        device: torch.device | str | None = None,
    ):
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.device = device

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor | None, ...]]:
        n, size = len(self.dataset), self.batch_size
        order = torch.randperm(n, generator=generator()) if self.shuffle else None
        moved = self.device is not None and self.dataset.device != torch.device(self.device)
        for start in range(0, n, size):
            rows = slice(start, start + size) if order is None else order[start : start + size]
            batch = self.dataset[rows]
            if moved:
                batch = tuple(None if t is None else t.to(self.device) for t in batch)
            yield batch
